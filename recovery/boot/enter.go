package boot

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/plan"
)

// slotDir is where the chosen slot is mounted before it becomes the root.
const slotDir = "/slot"

// enter opens one slot: all that may fail and let the other slot have its turn.
func (b *Boot) enter(c slot.Candidate) plan.Plan {
	return plan.Plan{Title: fmt.Sprintf("enter slot %s", c.Slot), Steps: []plan.Step{
		{Name: "check every block if its last boot failed", Do: func() error { return b.checkBlocks(c) }},
		{Name: "have the kernel check the root hash", Do: func() error { return b.openVerity(c) }},
		{Name: "spend a trial or count an unready boot, durably", Do: func() error { return b.spend(c) }},
		{Name: "mount erofs on " + slotDir, Do: func() error { return b.mountSlot(c) }},
	}}
}

func (b *Boot) mountSlot(c slot.Candidate) error {
	return b.world.Mount(Mount{b.devices[c.Slot], slotDir, "erofs", unix.MS_RDONLY | unix.MS_NODEV | unix.MS_NOSUID})
}

// leave undoes what enter did, as far as it came.
func (b *Boot) leave(c slot.Candidate) {
	_ = b.world.Unmount(slotDir) // not mounted, unless its last step failed half-way
	_ = b.world.CloseVerity(deviceName(c.Slot))
	delete(b.devices, c.Slot)
}

// pass gives a candidate up for this boot. A release on trial is refused: what recovery
// found wrong will be wrong at the next boot as well.
func (b *Boot) pass(c slot.Candidate, cause error) {
	t := explain.InSlot(c.Slot, cause)
	b.refuse(t)
	rec, changed := slot.Return(b.record, slot.None, "")
	if s := rec.Slot(c.Slot); s.State == slot.Trial {
		next, err := slot.Refuse(rec, c.Slot, fmt.Sprintf("version %d in slot %s: %s", s.Version, c.Slot, t.English()))
		if err == nil {
			rec, changed = next, true
		}
	}
	if !changed {
		return
	}
	b.rememberRefused(b.record, rec, "")
	_ = b.noteError("the slot record is not changed", b.storeRecord(rec))
}

func deviceName(n slot.Name) string { return "choba-slot-" + string(n) }

// checkBlocks reads the whole slot and names the damaged block, where the
// kernel would only panic at it. It takes seconds, so it is kept for a slot
// whose last boot did not reach ready, and for the second try of a trial.
func (b *Boot) checkBlocks(c slot.Candidate) error {
	s := b.record.Slot(c.Slot)
	if s.Unready == 0 && (s.State != slot.Trial || s.Tries != slot.Tries-1) {
		return nil
	}
	b.say("slot %s: its last boot did not reach ready, checking every block", c.Slot)
	p, err := b.world.Open(b.partition(c.Slot).Path, false)
	if err != nil {
		return err
	}
	defer p.Close()
	return verity.Verify(&fed{ReaderAt: p, feed: b.world.FeedWatchdog}, b.found[c.Slot].Verity)
}

// fed feeds the watchdog while something long is read, and only as it gets on.
type fed struct {
	io.ReaderAt
	feed func() error
	left int // bytes until the next feed
}

const fedEvery = 2 << 20

func (f *fed) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(p, off)
	if f.left -= n; f.left <= 0 {
		f.left = fedEvery
		err = errors.Join(err, f.feed())
	}
	return n, err
}

func (b *Boot) openVerity(c slot.Candidate) error {
	r := b.found[c.Slot]
	dev, err := b.world.OpenVerity(dm.Verity{
		Name:      deviceName(c.Slot),
		Table:     verity.Table(b.partition(c.Slot).Path, r.Verity, dm.VerityKey),
		Sectors:   r.Verity.Sectors(),
		Signature: r.RootSignature,
	})
	if err == nil {
		b.devices[c.Slot] = dev
	}
	return err
}

// spend writes the attempt down before anything of the slot is read: a boot that
// dies from now on has been counted.
func (b *Boot) spend(c slot.Candidate) error {
	next, err := slot.Depart(b.record, c)
	if err != nil {
		return err
	}
	return b.storeRecord(next)
}

// depart is the way without return: close the doors, measure, switch.
func (b *Boot) depart(c slot.Candidate) plan.Plan {
	write := func(path, text string) func() error {
		return func() error { return b.world.WriteFile(path, []byte(text)) }
	}
	ipe := securityfs + "/ipe/"
	return plan.Plan{Title: fmt.Sprintf("depart for slot %s", c.Slot), Steps: []plan.Step{
		{Name: "load the signed run-time execution policy", Do: b.loadPolicy},
		{Name: "activate it", Do: write(ipe+"policies/choba_run/active", "1")},
		{Name: "delete the boot policy", Do: write(ipe+"policies/choba_boot/delete", "1")},
		{Name: "give up CAP_MAC_ADMIN for good", Do: b.world.GiveUpMACAdmin},
		{Name: "unmount " + securityfs, Do: func() error { return b.world.Unmount(securityfs) }},
		{Name: "forbid loading another kernel", Do: write("/proc/sys/kernel/kexec_load_disabled", "1")},
		{Name: "measure the choice into PCR 13, unless that was done before a jump", Do: func() error {
			if b.jumped {
				return nil
			}
			return b.measure(b.system(c.Slot))
		}},
		{Name: "feed the watchdog for the last time", Do: b.world.FeedWatchdog},
		{Name: "switch root to " + slotDir, Do: func() error { return b.world.SwitchRoot(slotDir, "/dev", "/proc", "/sys") }},
		{Name: "execute /init", Do: func() error { return b.world.Exec("/init", b.environment(c)) }},
	}}
}

// measure extends PCR 13. Whether a register may be without a TPM is decided in prepare.
func (b *Boot) measure(e seal.Event) error {
	err := b.world.Measure(e)
	if absent(err) {
		return nil
	}
	return err
}

func (b *Boot) loadPolicy() error {
	policy, err := b.world.ReadFile(policyFile)
	if err != nil {
		return err
	}
	return b.world.WriteFile(securityfs+"/ipe/new_policy", policy)
}

// environment is all that init is told.
func (b *Boot) environment(c slot.Candidate) []string {
	r := b.found[c.Slot]
	return []string{
		"CHOBA_SLOT=" + string(c.Slot),
		"CHOBA_ROOTHASH=" + r.Verity.Root.String(),
		"CHOBA_VERSION=" + strconv.FormatUint(r.Version, 10),
		"CHOBA_POLICY_SIG=" + base64.StdEncoding.EncodeToString(r.PCR13Signature),
		"CHOBA_BOOT_NOTES=" + strings.Join(b.notes, "; "),
		"CHOBA_JUMPED=" + digit(b.jumped),
		"CHOBA_PCR4_EVENTS=" + strings.Join(b.events, ","),
		"CHOBA_OPEN=" + strings.Join(b.open, ","),
	}
}

func digit(yes bool) string {
	if yes {
		return "1"
	}
	return "0"
}
