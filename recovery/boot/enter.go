package boot

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/seal"
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
		{Name: "mount erofs on " + slotDir, Do: func() error {
			return b.world.Mount(Mount{b.device(c), slotDir, "erofs", unix.MS_RDONLY | unix.MS_NODEV | unix.MS_NOSUID})
		}},
	}}
}

// leave undoes what enter did, as far as it came.
func (b *Boot) leave(c slot.Candidate) {
	_ = b.world.Unmount(slotDir) // not mounted, unless its last step failed half-way
	_ = b.world.CloseVerity(deviceName(c.Slot))
	delete(b.devices, c.Slot)
}

func deviceName(n slot.Name) string { return "choba-slot-" + string(n) }

func (b *Boot) device(c slot.Candidate) string { return b.devices[c.Slot] }

// checkBlocks reads the whole slot and names the damaged block, where the
// kernel would only panic at it. It takes seconds, so it is kept for a slot
// whose last boot did not reach ready.
func (b *Boot) checkBlocks(c slot.Candidate) error {
	s := b.record.Slot(c.Slot)
	if s.Unready == 0 && (s.State != slot.Trial || s.Tries == slot.Tries) {
		return nil
	}
	b.say("slot %s: its last boot did not reach ready, checking every block", c.Slot)
	p, err := b.world.Open(b.partition(c.Slot).Path, false)
	if err != nil {
		return err
	}
	defer p.Close()
	return errors.Join(verity.Verify(p, b.found[c.Slot].Verity), b.world.FeedWatchdog())
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

func (b *Boot) storeRecord(rec slot.Record) error {
	state, err := b.world.Open(b.disk.Parts[layout.State].Path, true)
	if err != nil {
		return err
	}
	defer state.Close()
	if err := slot.Store(state, rec); err != nil {
		return err
	}
	b.record = rec
	return nil
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
		{Name: "measure the choice into PCR 13", Do: func() error { return b.measure(seal.System(b.found[c.Slot].Verity.Root.String())) }},
		{Name: "switch root to " + slotDir, Do: func() error { return b.world.SwitchRoot(slotDir, "/dev", "/proc", "/sys") }},
		{Name: "execute /init", Do: func() error { return b.world.Exec("/init", b.environment(c)) }},
	}}
}

// measure extends PCR 13. Without a TPM there is no sealed key to protect; init
// finds that out for itself and says so.
func (b *Boot) measure(e seal.Event) error {
	err := b.world.Measure(e)
	if absent(err) {
		return b.noteError("this register has no TPM", err)
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
	}
}
