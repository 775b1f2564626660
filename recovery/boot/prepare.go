package boot

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/plan"
)

// Where things lie in the boot image and in the kernel's own file systems.
const (
	trustFile  = "/etc/choba/trust.txt"
	policyFile = "/etc/choba/run.p7b"
	securityfs = "/sys/kernel/security"
	bootParams = "/sys/kernel/boot_params/data"

	noDevice = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
)

// prepare is the part that does not depend on a slot.
func (b *Boot) prepare() plan.Plan {
	return plan.Plan{Title: "prepare", Steps: []plan.Step{
		b.mount(Mount{"proc", "/proc", "proc", noDevice}),
		b.mount(Mount{"sysfs", "/sys", "sysfs", noDevice}),
		b.mount(Mount{"devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID | unix.MS_NOEXEC}),
		b.mount(Mount{"securityfs", securityfs, "securityfs", noDevice}),
		{Name: "say hello", Do: func() error { b.say("start"); return nil }},
		{Name: "arm the watchdog", Do: b.armWatchdog},
		{Name: "read the trust list", Do: b.readTrust},
		{Name: "check that the firmware and the kernel are locked", Do: b.checkLocks},
		{Name: "find the disk", Do: b.findDisk},
		{Name: "read the slot record", Do: b.readRecord},
		{Name: "look at the slots", Do: b.lookAtSlots},
		{Name: "choose", Do: func() error { b.choose(); return nil }},
	}}
}

func (b *Boot) mount(m Mount) plan.Step {
	return plan.Step{Name: fmt.Sprintf("mount %s on %s", m.Type, m.Target), Do: func() error { return b.world.Mount(m) }}
}

func (b *Boot) armWatchdog() error {
	_, err := b.world.ArmWatchdog(Timeout)
	return b.noteError("no watchdog guards this boot", err)
}

func (b *Boot) readTrust() error {
	text, err := b.world.ReadFile(trustFile)
	if err != nil {
		return err
	}
	b.root, err = trust.Parse(text)
	return err
}

// secureBootAt is boot_params.secure_boot (Documentation/arch/x86/zero-page.rst);
// the value is the kernel's enum efi_secureboot_mode. The EFI stub asked the
// firmware for it; reading the variable itself takes up to two seconds.
const (
	secureBootAt = 0x1ec
	secureBootOn = 3
)

// checkLocks refuses a machine on which someone else may have put code before
// ours. It protects no data: the TPM does that, whatever is found here.
func (b *Boot) checkLocks() error {
	var open []string
	params, err := b.world.ReadFile(bootParams)
	if err != nil || len(params) <= secureBootAt || params[secureBootAt] != secureBootOn {
		open = append(open, "Secure Boot is off")
	}
	lockdown, err := b.world.ReadFile(securityfs + "/lockdown")
	if err != nil || !strings.Contains(string(lockdown), "[integrity]") && !strings.Contains(string(lockdown), "[confidentiality]") {
		open = append(open, "the kernel is not locked down")
	}
	enforce, err := b.world.ReadFile(securityfs + "/ipe/enforce")
	if err != nil || strings.TrimSpace(string(enforce)) != "1" {
		open = append(open, "the kernel does not enforce what may execute")
	}
	if len(open) == 0 {
		return nil
	}
	if !b.root.Insecure() {
		return fmt.Errorf("%w: %s", explain.ErrUnlocked, strings.Join(open, ", "))
	}
	b.note("INSECURE DEVELOPMENT BOOT: %s", strings.Join(open, ", "))
	return nil
}

func (b *Boot) findDisk() (err error) {
	b.disk, err = b.world.FindDisk(layout.State, layout.SlotA, layout.SlotB)
	return err
}

// readRecord reads the record and writes down releases that have used up their
// trials. A lost record is no reason to stop: what verifies may boot.
func (b *Boot) readRecord() error {
	state, err := b.world.Open(b.disk.Parts[layout.State].Path, true)
	if err != nil {
		return err
	}
	defer state.Close()
	rec, source, err := slot.Load(state)
	if err != nil {
		b.note("slot record: %v", err)
	} else if p := errors.Join(source.Problem[:]...); p != nil {
		b.note("slot record: copy %d used: %v", source.Copy, p)
	}
	rec, changed := slot.Settle(rec)
	if changed {
		if err := slot.Store(state, rec); err != nil {
			return err
		}
	}
	b.record = rec
	return nil
}

// lookAtSlots reads and checks the manifest of each slot.
func (b *Boot) lookAtSlots() error {
	for _, n := range slot.Names() {
		b.found[n], b.problem[n] = b.look(n)
	}
	return nil
}

func (b *Boot) look(n slot.Name) (release.Release, error) {
	part := b.partition(n)
	p, err := b.world.Open(part.Path, false)
	if err != nil {
		return release.Release{}, err
	}
	defer p.Close()
	signed, err := release.ReadHead(p, part.Size)
	if err != nil {
		return release.Release{}, err
	}
	return release.Check(b.root, signed, release.Register{Hardware: release.HardwarePC})
}

func (b *Boot) choose() {
	found := map[slot.Name]slot.Release{}
	for _, n := range slot.Names() {
		found[n] = slot.Release{Version: b.found[n].Version, Manifest: b.found[n].ID, Problem: b.problem[n]}
	}
	b.order = slot.Choose(b.record, found)
}

// absent says whether err means that a device is not there at all.
func absent(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV)
}
