// Package boot is the way from the boot image to a running slot: look, choose,
// check, spend, measure, close the doors behind, switch. A slot that carries another
// kernel than the running one is entered by a jump (kexec) into its own boot image,
// where this program runs once more and resumes.
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
	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/plan"
)

// Timeout is what the watchdog is set to: the time from the last feed here to the
// reset, within which init must have taken over.
const Timeout = 20 * time.Second

// Prefix begins every line that recovery prints; tests and technicians search for it.
const Prefix = "choba-recovery: "

// Boot is one run of recovery.
type Boot struct {
	world World

	jumped    bool // this kernel was jumped into; it resumes what the first one decided
	root      trust.Root
	disk      disk.Disk
	record    slot.Record
	asked     slot.Ask // why this boot is not to try a slot
	why       string   // the same, as whoever asked wrote it down
	halfReset bool     // a factory reset was cut off
	floor     uint64
	found     map[slot.Name]release.Release
	problem   map[slot.Name]error
	order     []slot.Candidate

	devices  map[slot.Name]string // open verity devices
	open     []string             // missing protections that trust.txt allows to miss
	events   []string             // PCR 4, as the firmware logged them
	fired    string               // the watchdog that caused the last reset
	notes    []string             // for CHOBA_BOOT_NOTES
	late     []history.Entry      // found before there was a disk to write them to
	troubles []explain.Trouble
}

// New prepares a run in the given world.
func New(w World) *Boot {
	return &Boot{world: w, found: map[slot.Name]release.Release{}, problem: map[slot.Name]error{}, devices: map[slot.Name]string{}}
}

// Run boots a slot. It returns only when none was booted, with all that is known.
func (b *Boot) Run() Stopped {
	err := b.prepare().Run()
	if b.jumped {
		return b.resumed(err)
	}
	if err == nil {
		err = b.decide().Run()
	}
	if err != nil {
		return b.stop(explain.General(err))
	}
	if err := b.wanted(); err != nil {
		return b.stop(explain.General(err))
	}
	b.report()
	for _, c := range b.order {
		if !c.Usable {
			continue
		}
		if err := b.enter(c).Run(); err != nil {
			b.leave(c)
			b.pass(c, err)
			continue
		}
		if err, gone := b.goOn(c); gone {
			return b.stop(explain.InSlot(c.Slot, err))
		}
	}
	return b.stop()
}

// goOn leaves for an entered slot, in this kernel or in the slot's own. gone = false:
// nothing is lost yet, and the other slot may be tried.
func (b *Boot) goOn(c slot.Candidate) (err error, gone bool) {
	same, err := b.sameImage()
	if err == nil && same {
		b.say("switch to slot %s version %d", c.Slot, b.found[c.Slot].Version)
		// From here on there is no way back to the other slot.
		return b.depart(c).Run(), true
	}
	if err == nil {
		b.say("jump into the kernel of slot %s version %d", c.Slot, b.found[c.Slot].Version)
		err = b.load(c).Run()
	}
	if err != nil {
		_ = b.world.UnloadKernel() // there is none, unless its last step failed half-way
		b.leave(c)
		b.pass(c, err)
		return err, false
	}
	// PCR 13 can name one slot only: a jump that fails now ends in a restart.
	return b.restart(fmt.Errorf("%w: %w", explain.ErrJump, b.jump(c).Run())), true
}

// Print writes down everything that a run may do.
func Print(out io.Writer) error {
	b := New(nowhere{})
	c := slot.Candidate{Slot: "X"}
	for _, p := range []plan.Plan{b.prepare(), b.decide(), b.enter(c), b.depart(c), b.load(c), b.jump(c),
		b.find(), b.restarting(nil), b.stopping()} {
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

// refuse keeps why a slot was not booted, says it and remembers it.
func (b *Boot) refuse(t explain.Trouble) {
	b.troubles = append(b.troubles, t)
	b.say("slot %s: %s", t.Slot, t.English())
	b.remember(history.Passed, "slot", string(t.Slot), "reason", t.English())
}

// report says what the choice among the slots was and keeps the reasons of the refused.
func (b *Boot) report() {
	for _, c := range b.order {
		if !c.Usable {
			b.refuse(explain.NotChosen(c, b.record.Slot(c.Slot), b.problem[c.Slot]))
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
