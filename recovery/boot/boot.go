// Package boot is the way from the boot image to a running slot: look, choose,
// check, spend, measure, close the doors behind, switch.
//
// It is not the redeploying part of recovery and draws nothing. It decides no
// format and no trust itself: image/slot chooses, image/release and keys/trust
// say what is genuine, and the kernel checks every block.
//
// The rule that keeps it small: it only ever goes forward. Nothing that cannot
// be taken back (a spent try, a measurement, a dropped right) happens before
// everything that can still fail without it.
package boot

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/plan"
)

// Timeout is what the watchdog is set to: the time from here to init's first feed.
const Timeout = 60 * time.Second

// Prefix begins every line that recovery prints; tests and technicians search for it.
const Prefix = "choba-recovery: "

// Boot is one run of recovery.
type Boot struct {
	world World

	root    trust.Root
	disk    disk.Disk
	record  slot.Record
	found   map[slot.Name]release.Release
	problem map[slot.Name]error
	order   []slot.Candidate

	devices  map[slot.Name]string // open verity devices
	notes    []string             // for CHOBA_BOOT_NOTES
	troubles []explain.Trouble
}

// New prepares a run in the given world.
func New(w World) *Boot {
	return &Boot{world: w, found: map[slot.Name]release.Release{}, problem: map[slot.Name]error{}, devices: map[slot.Name]string{}}
}

// Run boots a slot. It returns only when none could be booted, with the reasons.
func (b *Boot) Run() []explain.Trouble {
	if err := b.prepare().Run(); err != nil {
		return append(b.troubles, explain.General(err))
	}
	b.report()
	for _, c := range b.order {
		if !c.Usable {
			continue
		}
		if err := b.enter(c).Run(); err != nil {
			b.leave(c)
			b.refuse(c.Slot, err)
			continue
		}
		b.say("switch to slot %s version %d", c.Slot, b.found[c.Slot].Version)
		// From here on there is no way back to the other slot.
		return append(b.troubles, explain.InSlot(c.Slot, b.depart(c).Run()))
	}
	return b.troubles
}

// Print writes down everything that a run may do.
func Print(out io.Writer) error {
	b := New(nowhere{})
	c := slot.Candidate{Slot: "X"}
	for _, p := range []plan.Plan{b.prepare(), b.enter(c), b.depart(c), b.stay(nil, nil)} {
		if _, err := fmt.Fprint(out, p); err != nil {
			return err
		}
	}
	return nil
}

// nowhere is a world for printing plans; nothing is ever done in it.
type nowhere struct{ World }

// say prints one line, whatever a cause has inside.
func (b *Boot) say(format string, args ...any) {
	b.world.Say(Prefix + oneLine(fmt.Sprintf(format, args...)))
}

func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

// note keeps a sentence for CHOBA_BOOT_NOTES and says it.
func (b *Boot) note(format string, args ...any) {
	text := oneLine(fmt.Sprintf(format, args...))
	b.notes = append(b.notes, text)
	b.say("note: %s", text)
}

// refuse keeps why a slot was not booted and says it.
func (b *Boot) refuse(n slot.Name, err error) {
	t := explain.InSlot(n, err)
	b.troubles = append(b.troubles, t)
	b.say("slot %s: %s", n, t.English())
}

// report says what the choice among the slots was and keeps the reasons of the refused.
func (b *Boot) report() {
	for _, c := range b.order {
		if !c.Usable {
			t := explain.NotChosen(c, b.record.Slot(c.Slot), b.problem[c.Slot])
			b.troubles = append(b.troubles, t)
			b.say("slot %s: %s", c.Slot, t.English())
			continue
		}
		reason := strings.TrimPrefix(c.Reason, "slot "+string(c.Slot))
		b.say("slot %s: %s", c.Slot, strings.TrimLeft(reason, ": "))
	}
}

func (b *Boot) partition(n slot.Name) disk.Partition {
	return b.disk.Parts[layout.SlotPartition(string(n))]
}

// noteError is for what is missing but does not keep the register from selling.
func (b *Boot) noteError(doing string, err error) error {
	if err != nil {
		b.note("%s: %v", doing, err)
	}
	return nil
}
