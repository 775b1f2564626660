package boot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/eventlog"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/plan"
)

// Where things lie in the boot image and in the kernel's own file systems.
const (
	trustFile  = "/etc/choba/trust.txt"
	policyFile = "/etc/choba/run.p7b"
	securityfs = "/sys/kernel/security"
	bootParams = "/sys/kernel/boot_params/data"
	eventLog   = securityfs + "/tpm0/binary_bios_measurements"

	noDevice = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
)

// Names of missing protections, for CHOBA_OPEN and Stopped.Open.
const (
	NoTPM        = "no-tpm"
	NoSecureBoot = "no-secure-boot"
)

// prepare is the part that does not depend on a slot and changes nothing on the disk.
func (b *Boot) prepare() plan.Plan {
	return plan.Plan{Title: "prepare", Steps: []plan.Step{
		b.mount(Mount{"proc", "/proc", "proc", noDevice}),
		b.mount(Mount{"sysfs", "/sys", "sysfs", noDevice}),
		b.mount(Mount{"devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID | unix.MS_NOEXEC}),
		b.mount(Mount{"securityfs", securityfs, "securityfs", noDevice}),
		{Name: "say hello", Do: func() error { b.say("start"); return nil }},
		{Name: "find out who started this kernel", Do: b.readRole},
		{Name: "arm the watchdog, after asking it for the last reset", Do: b.armWatchdog},
		{Name: "read the trust list", Do: b.readTrust},
		{Name: "find the disk", Do: b.findDisk},
		{Name: "read the slot record", Do: b.readRecord},
		{Name: "check that the firmware and the kernel are locked", Do: b.checkLocks},
		{Name: "look for the TPM and read its version floor", Do: b.checkTPM},
		{Name: "read what the firmware measured into PCR 4", Do: b.readEvents},
		{Name: "look at the slots", Do: b.lookAtSlots},
	}}
}

// decide is what only the first kernel does.
func (b *Boot) decide() plan.Plan {
	return plan.Plan{Title: "decide", Steps: []plan.Step{
		{Name: "write down how the last departure ended", Do: b.settle},
		{Name: "see whether a factory reset was cut off", Do: b.checkReset},
		{Name: "choose", Do: func() error { b.choose(); return nil }},
	}}
}

func (b *Boot) mount(m Mount) plan.Step {
	return plan.Step{Name: fmt.Sprintf("mount %s on %s", m.Type, m.Target), Do: func() error { return b.world.Mount(m) }}
}

func (b *Boot) armWatchdog() (err error) {
	if b.fired, err = b.world.WatchdogFired(); err != nil {
		b.note("no evidence of the last reset: %v", err)
	}
	_, err = b.world.ArmWatchdog(Timeout)
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
	return b.missing(NoSecureBoot, b.root.NoSecureBoot, fmt.Errorf("%w: %s", explain.ErrUnlocked, strings.Join(open, ", ")))
}

// missing stops at a protection that is not there, unless trust.txt lets the register
// sell without it. Then every boot says so.
func (b *Boot) missing(name string, may trust.Leniency, err error) error {
	if may != trust.Sell {
		return err
	}
	b.open = append(b.open, name)
	b.note("INSECURE: %v", err)
	return nil
}

// checkTPM insists on a TPM, as far as trust.txt does, and reads the version floor.
func (b *Boot) checkTPM() error {
	floor, err := b.world.Floor()
	switch {
	case absent(err):
		return b.missing(NoTPM, b.root.NoTPM, fmt.Errorf("%w: %w", explain.ErrNoTPM, err))
	case errors.Is(err, seal.ErrNoFloor):
		b.say("the TPM holds no version floor yet")
		return nil
	}
	b.floor = floor
	// A floor that cannot be read now is still in the policy of the data key.
	return b.noteError("the version floor is not read", err)
}

// readEvents keeps the measurements of the boot image. They are only for foretelling
// PCR 4 when the boot image is replaced; without them that is not done.
func (b *Boot) readEvents() error {
	log, err := b.world.ReadFile(eventLog)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var digests [][sha256.Size]byte
	if err == nil {
		digests, err = eventlog.Digests(log, 4)
	}
	for _, d := range digests {
		b.events = append(b.events, hex.EncodeToString(d[:]))
	}
	return b.noteError("the firmware's log of measurements", err)
}

func (b *Boot) findDisk() (err error) {
	b.disk, err = b.world.FindDisk(layout.State, layout.SlotA, layout.SlotB)
	return errors.Join(err, b.world.FeedWatchdog())
}

// readRecord reads the record. A lost one is no reason to stop: what verifies may boot.
func (b *Boot) readRecord() error {
	state, err := b.world.Open(b.disk.Parts[layout.State].Path, false)
	if err != nil {
		return err
	}
	defer state.Close()
	rec, source, err := slot.Load(state)
	problem := err
	if p := errors.Join(source.Problem[:]...); err == nil && p != nil {
		problem = fmt.Errorf("copy %d used: %w", source.Copy, p)
	}
	b.record = rec
	if problem != nil {
		b.note("slot record: %v", problem)
		b.remember(history.Lost, "what", "slot record", "reason", problem.Error())
	}
	return nil
}

// settle closes what the last boot left open: with evidence against the slot that was
// departed for, as its failure. Releases that have used up their trials are refused.
func (b *Boot) settle() error {
	before := b.record
	rec, evidence, why := before, slot.None, ""
	if n := before.Departed; b.fired != "" && n != "" {
		evidence = slot.Watchdog
		why = fmt.Sprintf("version %d in slot %s hung: the watchdog (%s) restarted the machine", before.Slot(n).Version, n, b.fired)
		b.say("%s", why)
	}
	rec, changed := slot.Return(rec, evidence, why)
	if rec, b.asked = slot.AnswerAsked(rec); b.asked != "" {
		changed, b.why = true, before.Reason
	}
	if !changed {
		return nil
	}
	if err := b.storeRecord(rec); err != nil {
		return err
	}
	if evidence != slot.None && rec.Slot(before.Departed).State != slot.Refused {
		b.remember(history.Failed, "slot", string(before.Departed), "version", decimal(before.Slot(before.Departed).Version),
			"evidence", string(evidence), "reason", why)
	}
	b.rememberRefused(before, rec, evidence)
	return nil
}

// checkReset looks for a factory reset that is not at its end: no slot may boot before it is.
func (b *Boot) checkReset() error {
	state, err := b.world.Open(b.disk.Parts[layout.State].Path, false)
	if err != nil {
		return err
	}
	b.halfReset = act.Unfinished(state)
	return state.Close()
}

// wanted is why recovery stays although a slot may be good; nil = it does not.
func (b *Boot) wanted() error {
	switch {
	case b.halfReset:
		return explain.ErrHalfReset
	case b.asked == slot.AskedByPerson:
		return explain.ErrAsked
	case b.asked == slot.AskedForKey:
		return fmt.Errorf("%w: %s", explain.ErrNoKeys, b.why)
	}
	return nil
}

// rememberRefused writes a record for each release that was refused between two records.
func (b *Boot) rememberRefused(before, after slot.Record, e slot.Evidence) {
	for _, n := range slot.Names() {
		if s := after.Slot(n); s.State == slot.Refused && before.Slot(n).State != slot.Refused {
			b.say("slot %s: version %d is refused: %s", n, s.Version, after.Reason)
			b.remember(history.Failed, "slot", string(n), "version", decimal(s.Version), "evidence", string(e), "reason", after.Reason)
		}
	}
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

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
	return release.Check(b.root, signed, release.Register{Hardware: release.HardwarePC, Floor: b.floor})
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
