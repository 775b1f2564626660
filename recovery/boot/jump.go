package boot

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/plan"
)

// Where boot images and their names lie. The name (64 hex digits and a line feed) is
// made of everything in the image but its signatures: image/bootimage.
const (
	ownID     = "/etc/choba/boot.id"
	slotID    = slotDir + "/boot/boot.id"
	slotImage = slotDir + "/boot/boot.efi"

	// loaderType is 0xD0 when another kernel started this one (Documentation/arch/x86/boot.rst,
	// type_of_loader; the kernel's own kexec code writes it).
	loaderType  = "/proc/sys/kernel/bootloader_type"
	loaderKexec = 0xD

	hint = "choba.slot="
)

// readRole finds out whether the firmware or another kernel started this one. The slot
// was chosen and its try spent by the first kernel; the second never chooses.
func (b *Boot) readRole() error {
	text, err := b.world.ReadFile(loaderType)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 16)
	if err != nil {
		return fmt.Errorf("%s: %w", loaderType, err)
	}
	if b.jumped = n>>4 == loaderKexec; b.jumped {
		b.say("resume after a jump")
	}
	return nil
}

// sameImage says whether the entered slot was built with the boot image that runs.
func (b *Boot) sameImage() (bool, error) {
	own, err := b.world.ReadFile(ownID)
	if err != nil {
		return false, fmt.Errorf("%w: %w", explain.ErrJump, err)
	}
	theirs, err := b.world.ReadFile(slotID)
	if err != nil {
		return false, fmt.Errorf("%w: %w", explain.ErrJump, err)
	}
	return bytes.Equal(own, theirs), nil
}

// load is the part of the jump that may fail and let the other slot have its turn.
func (b *Boot) load(c slot.Candidate) plan.Plan {
	return plan.Plan{Title: fmt.Sprintf("load the kernel of slot %s", c.Slot), Steps: []plan.Step{
		{Name: "have the kernel check and load " + slotImage, Do: func() error {
			if err := b.world.LoadKernel(slotImage, hint+string(c.Slot)); err != nil {
				return fmt.Errorf("%w: %w", explain.ErrJump, err)
			}
			return nil
		}},
	}}
}

// jump is the way without return into the loaded kernel.
func (b *Boot) jump(c slot.Candidate) plan.Plan {
	return plan.Plan{Title: fmt.Sprintf("jump into the kernel of slot %s", c.Slot), Steps: []plan.Step{
		{Name: "measure the choice into PCR 13", Do: func() error { return b.measure(b.system(c.Slot)) }},
		{Name: "unmount " + slotDir, Do: func() error { return b.world.Unmount(slotDir) }},
		{Name: "give the slot's device back", Do: func() error { return b.world.CloseVerity(deviceName(c.Slot)) }},
		{Name: "write it into the history", Do: func() error {
			b.remember(history.Jumped, "slot", string(c.Slot), "version", decimal(b.found[c.Slot].Version))
			return nil
		}},
		{Name: "feed the watchdog, which goes on over the jump", Do: b.world.FeedWatchdog},
		{Name: "jump", Do: b.world.Jump},
	}}
}

// restart is the only way out when this boot cannot end well any more: a measurement
// was made for a slot that does not run, or this is not the kernel that may choose. The
// try is spent, so it cannot go on for ever.
func (b *Boot) restart(cause error) error {
	return fmt.Errorf("%w; restarting: %w", cause, b.restarting(cause).Run())
}

func (b *Boot) restarting(cause error) plan.Plan {
	return plan.Plan{Title: "restart", Steps: []plan.Step{
		{Name: "say why and write it into the history", Do: func() error {
			b.say("restart: %v", cause)
			b.remember(history.Restarted, "reason", cause.Error())
			return nil
		}},
		{Name: "forget the loaded kernel", Do: func() error {
			return b.noteError("a loaded kernel stays", b.world.UnloadKernel())
		}},
		{Name: "feed the watchdog", Do: func() error {
			return b.noteError("the watchdog is not fed", b.world.FeedWatchdog())
		}},
		{Name: "restart the machine", Do: b.world.Restart},
	}}
}

// resumed goes on in the slot's own kernel. Whatever goes wrong here ends in a restart:
// the first kernel chooses again.
func (b *Boot) resumed(err error) Stopped {
	if err == nil {
		err = b.find().Run()
	}
	if err == nil {
		c := b.order[0]
		b.say("switch to slot %s version %d", c.Slot, b.found[c.Slot].Version)
		err = b.depart(c).Run()
	}
	return b.stop(explain.General(b.restart(err)))
}

// find is how the second kernel finds its slot again: it spends and measures nothing.
func (b *Boot) find() plan.Plan {
	var c slot.Candidate
	return plan.Plan{Title: "resume after a jump", Steps: []plan.Step{
		{Name: "find the slot that PCR 13 names", Do: func() (err error) {
			c, err = b.named()
			b.order = []slot.Candidate{c}
			return err
		}},
		{Name: "have the kernel check the root hash", Do: func() error { return b.openVerity(c) }},
		{Name: "mount erofs on " + slotDir, Do: func() error { return b.mountSlot(c) }},
	}}
}

// ErrNotNamed means that no slot holds what the first kernel measured.
var ErrNotNamed = errors.New("no slot holds what was measured before the jump")

// named is the slot that the first kernel left for: PCR 13 proves it. Both slots may
// hold the same release; then, and without a TPM, the hint on the ignored command line
// and the slot record say which.
func (b *Boot) named() (slot.Candidate, error) {
	pcr, err := b.world.Choice()
	tpm := err == nil
	if err != nil && !absent(err) {
		return slot.Candidate{}, err
	}
	guesses := []slot.Name{b.hinted(), b.record.Departed}
	if tpm {
		guesses = append(guesses, slot.A, slot.B)
	}
	for _, n := range guesses {
		if n == "" || b.problem[n] != nil || tpm && seal.Predict(b.system(n)) != pcr {
			continue
		}
		return slot.Candidate{Slot: n, Usable: true, Reason: "the kernel before this one chose it"}, nil
	}
	return slot.Candidate{}, fmt.Errorf("%w: PCR 13 is %v; slot a: %v; slot b: %v", ErrNotNamed, pcr, b.problem[slot.A], b.problem[slot.B])
}

// hinted is the slot on the command line of the jump, or none.
func (b *Boot) hinted() slot.Name {
	log, err := b.world.KernelLog()
	if err != nil {
		b.note("the kernel's log: %v", err)
		return ""
	}
	for line := range bytes.Lines(log) {
		// The first mention counts: programs could write later lines, none runs yet.
		_, rest, ok := bytes.Cut(line, []byte("Command line: "))
		if !ok {
			continue
		}
		for _, word := range strings.Fields(string(rest)) {
			if name, ok := strings.CutPrefix(word, hint); ok && slot.Name(name).Other() != "" {
				return slot.Name(name)
			}
		}
		return ""
	}
	return ""
}

func (b *Boot) system(n slot.Name) seal.Event { return seal.System(b.found[n].Verity.Root.String()) }
