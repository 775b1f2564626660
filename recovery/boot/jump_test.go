package boot

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/recovery/explain"
)

// another is a register whose slots were built with another boot image than runs.
func another(t *testing.T) (*world, *vendor, release.Manifest, release.Manifest) {
	w, v, ma, mb := twoSlots(t)
	w.files[slotID] = []byte(otherImage)
	return w, v, ma, mb
}

func TestJumps(t *testing.T) {
	w, _, ma, _ := another(t)
	_, ended := run(w)
	require.ErrorIs(t, ended, errJumped)
	require.Equal(t, "choba.slot=a", w.loaded)
	require.Equal(t, system(ma), w.measure)
	require.Equal(t, slot.A, w.record().Departed)
	require.Equal(t, 1, w.record().A.Unready)
	require.Equal(t, []string{`jumped {"slot":"a","version":"7"}`}, w.history())
	require.Contains(t, w.lines, Prefix+"jump into the kernel of slot a version 7")
	at := len(w.done) - 8
	require.Equal(t, []string{"mount /dev/dm-choba-slot-a /slot", "load /slot/boot/boot.efi choba.slot=a", "measure",
		"unmount /slot", "remove choba-slot-a", "open /dev/choba-state", "feed", "jump"}, w.done[at:],
		"counted first, and the PCR is extended only when the kernel is loaded")
}

// TestKernelRefused: a kernel that cannot be loaded lets the other slot have its turn;
// nothing was measured for the first one, and no kernel stays loaded.
func TestKernelRefused(t *testing.T) {
	for name, break_ := range map[string]func(w *world){
		"not signed for kexec": func(w *world) { w.fail["load /slot/boot/boot.efi choba.slot=b"] = unix.ENOKEY },
		"cannot be read":       func(w *world) { w.fail["load /slot/boot/boot.efi choba.slot=b"] = unix.EIO },
	} {
		w, v, ma, _ := another(t)
		_, id := w.install(slot.B, v, 8, 2, nil)
		r := w.record()
		r.B = slot.Slot{State: slot.Trial, Version: 8, Tries: 3, Manifest: id}
		w.store(r)
		break_(w)
		_, ended := run(w)
		require.ErrorIs(t, ended, errJumped, name)
		require.Equal(t, system(ma), w.measure, name)
		require.Len(t, w.did("unload"), 1)
		require.Equal(t, "choba.slot=a", w.loaded)
		require.Equal(t, slot.Refused, w.record().B.State, "it would fail at the next boot as well")
		require.Contains(t, w.record().Reason, "booting slot a")
		text := strings.Join(w.history(), "\n")
		require.Contains(t, text, `failed {"evidence":"","reason":"version 8 in slot b: its kernel could not be started`)
	}
}

func TestSlotWithoutAnID(t *testing.T) {
	w, _, _, _ := twoSlots(t)
	delete(w.files, slotID)
	s, ended := run(w)
	require.NoError(t, ended)
	require.ErrorIs(t, s.Troubles[0].Cause, explain.ErrJump)
	require.Empty(t, w.record().Departed, "nothing runs: what happens now is no evidence against a slot")
}

// TestJumpFails: once PCR 13 names a slot, only a restart helps.
func TestJumpFails(t *testing.T) {
	for _, act := range []string{"measure", "unmount /slot", "remove", "feed", "jump"} {
		w, _, _, _ := another(t)
		w.fail[act] = unix.EBUSY
		if act == "feed" {
			w.fail = map[string]error{} // armed after the disk was found
			b := New(w)
			require.NoError(t, b.prepare().Run())
			w.fail[act] = unix.EBUSY
			c := slot.Candidate{Slot: slot.A}
			require.ErrorIs(t, b.jump(c).Run(), unix.EBUSY)
			continue
		}
		_, ended := run(w)
		require.ErrorIs(t, ended, errRestarted, act)
		require.Len(t, w.did("verity"), 1, "%s: the other slot is not tried", act)
		require.Len(t, w.measure, 1, act)
		require.NotEmpty(t, w.did("unload"), act)
		require.Contains(t, strings.Join(w.history(), "\n"), `restarted {"reason":"the jump into the slot's kernel`, act)
	}
}

// after is the second kernel on the same register.
func after(w *world, v *vendor, pcr seal.Digest) *world {
	next := w.powerOn(v)
	next.files[slotID], next.files[loaderType] = w.files[slotID], []byte("208\n")
	next.files[ownID] = w.files[slotID]
	next.pcr = pcr
	next.log = "<5>[    0.000000] Linux version 6.12\n<6>[    0.000000] Command line: " + w.loaded +
		"\n<5>[    0.030000] Kernel command line: noinitrd quiet\n<6>[    9.0] choba.slot=b\n"
	return next
}

func TestResumes(t *testing.T) {
	w, v, ma, _ := another(t)
	run(w)
	before := w.record()
	w = after(w, v, seal.Predict(system(ma)...))
	_, ended := run(w)
	require.ErrorIs(t, ended, errReplaced)
	require.Empty(t, w.measure, "it was measured before the jump")
	require.Equal(t, before, w.record(), "it was spent before the jump")
	require.Empty(t, w.did("open"))
	require.Empty(t, w.did("load"))
	require.Equal(t, []string{"CHOBA_SLOT=a", "CHOBA_JUMPED=1"}, []string{w.env[0], w.env[5]})
	require.Equal(t, []string{"write /proc/sys/kernel/kexec_load_disabled 1"}, w.did("write /proc"))
	require.Contains(t, w.lines, Prefix+"resume after a jump")
	require.Contains(t, w.lines, Prefix+"switch to slot a version 7")
}

// TestResumesInTheRightSlot: PCR 13 proves which release was meant; which of two slots
// with the same one, the hint or the slot record says.
func TestResumesInTheRightSlot(t *testing.T) {
	noTPM := func(w *world) { w.fail["choice"], w.fail["floor"] = os.ErrNotExist, os.ErrNotExist }
	for name, row := range map[string]struct {
		same     bool // both slots hold version 7
		departed slot.Name
		change   func(*world)
		want     string
	}{
		"PCR 13 against a wrong hint":             {false, slot.A, func(w *world) { w.log = "Command line: choba.slot=b\n" }, "a"},
		"PCR 13 alone":                            {false, "", func(w *world) { w.log = "" }, "a"},
		"the same in both: the hint":              {true, slot.A, func(w *world) { w.log = "Command line: choba.slot=b\n" }, "b"},
		"the same in both, no hint: the record":   {true, slot.B, func(w *world) { w.log = "" }, "b"},
		"the same in both, no log: the record":    {true, slot.B, func(w *world) { w.fail["log"] = unix.EPERM }, "b"},
		"a hint in a later line is none":          {true, slot.A, func(w *world) { w.log = "Command line: \nCommand line: choba.slot=b\n" }, "a"},
		"a hint for nothing":                      {true, slot.A, func(w *world) { w.log = "Command line: choba.slot=c choba.slot\n" }, "a"},
		"no TPM: the hint":                        {false, slot.A, func(w *world) { noTPM(w); w.log = "Command line: choba.slot=b\n" }, "b"},
		"no TPM, no hint: the record":             {false, slot.B, func(w *world) { noTPM(w); w.log = "" }, "b"},
		"no TPM, no hint, no record: not guessed": {false, "", func(w *world) { noTPM(w); w.log = "" }, ""},
		"no TPM, and the hinted one is damaged, the record's is not": {false, slot.B, func(w *world) {
			noTPM(w)
			clear(w.part(slot.A).data)
			w.log = "Command line: choba.slot=a\n"
		}, "b"},
	} {
		v := newVendor(t, "prod")
		v.list.NoTPM = trust.Sell
		w := newWorld(t, v)
		other := uint64(6)
		if row.same {
			other = 7
		}
		ma, a := w.install(slot.A, v, 7, 2, nil)
		_, b := w.install(slot.B, v, other, 2, nil)
		w.store(slot.Record{A: good(7, a), B: good(other, b), Preferred: slot.A, Departed: row.departed})
		w = after(w, v, seal.Predict(system(ma)...))
		row.change(w)
		_, ended := run(w)
		if row.want == "" {
			require.ErrorIs(t, ended, errRestarted, name)
			continue
		}
		require.ErrorIs(t, ended, errReplaced, name)
		require.Equal(t, "CHOBA_SLOT="+row.want, w.env[0], name)
	}
}

// TestSecondKernelNeverChooses: whatever fails after a jump ends in a restart; nothing
// is spent, measured or tried.
func TestSecondKernelNeverChooses(t *testing.T) {
	for name, break_ := range map[string]func(w *world){
		"another release was measured": func(w *world) { w.pcr[0] ^= 1 },
		"the TPM is broken":            func(w *world) { w.fail["choice"] = unix.EIO },
		"no disk":                      func(w *world) { w.noDisk = errors.New("no disk") },
		"no trust list":                func(w *world) { delete(w.files, trustFile) },
		"Secure Boot is off":           func(w *world) { w.files[bootParams][secureBootAt] = 0 },
		"root hash refused":            func(w *world) { w.fail["verity"] = unix.ENOKEY },
		"cannot be mounted":            func(w *world) { w.fail["mount /dev/dm"] = unix.EINVAL },
		"policy refused":               func(w *world) { w.fail["write /sys"] = unix.EKEYREJECTED },
		"cannot switch":                func(w *world) { w.fail["switch"] = unix.EINVAL },
		"cannot execute":               func(w *world) { w.fail["exec"] = unix.EACCES },
		"both slots wiped": func(w *world) {
			clear(w.part(slot.A).data)
			clear(w.part(slot.B).data)
		},
	} {
		w, v, ma, _ := another(t)
		run(w)
		before := w.record()
		w = after(w, v, seal.Predict(system(ma)...))
		break_(w)
		_, ended := run(w)
		require.ErrorIs(t, ended, errRestarted, name)
		require.Empty(t, w.measure, name)
		require.Equal(t, before, w.record(), name)
		require.LessOrEqual(t, len(w.did("verity")), 1, name)
		if w.noDisk == nil && len(w.files[trustFile]) > 0 && w.files[bootParams][secureBootAt] != 0 {
			require.Contains(t, strings.Join(w.history(), "\n"), "restarted {", name)
		}
	}
	w, v, _, _ := another(t)
	w = after(w, v, seal.Digest{})
	w.fail["restart"] = unix.EPERM
	s, ended := run(w)
	require.NoError(t, ended, "a machine that cannot even restart says why")
	require.ErrorIs(t, s.Troubles[0].Cause, ErrNotNamed)
}

func TestRoleMustBeKnown(t *testing.T) {
	for _, text := range []string{"", "x", "-1"} {
		w, _, _, _ := twoSlots(t)
		w.files[loaderType] = []byte(text)
		s, ended := run(w)
		require.NoError(t, ended, text)
		require.ErrorContains(t, s.Troubles[0].Cause, "who started this kernel", text)
	}
	for loader, jumped := range map[int]bool{0: false, 33: false, 208: true, 209: true, 0xe0: false} {
		w, _, _, _ := twoSlots(t)
		w.files[loaderType] = []byte(fmt.Sprintln(loader))
		b := New(w)
		require.NoError(t, b.readRole())
		require.Equal(t, jumped, b.jumped, loader)
	}
}

// TestJumpLoopEnds: a committed release whose kernel dies after every jump is left for
// the other slot, and then for recovery.
func TestJumpLoopEnds(t *testing.T) {
	w, v, _, _ := another(t)
	jumps := 0
	for range 100 {
		_, ended := run(w)
		if ended == nil {
			break
		}
		require.ErrorIs(t, ended, errJumped)
		jumps++
		next := w.powerOn(v)
		next.files[slotID] = []byte(otherImage)
		next.fired = "dog" // it hung
		w = next
	}
	require.Equal(t, 3+3, jumps, "with evidence each hang counts three of eight")
}

// FuzzHint: whatever stands in the kernel's log, a hint is one of the two slots or none.
func FuzzHint(f *testing.F) {
	f.Add("<6>[    0.000000] Command line: choba.slot=b\n")
	f.Add("Command line: quiet choba.slot=choba.slot=a choba.slot=\n")
	f.Fuzz(func(t *testing.T, log string) {
		n := New(&world{t: t, log: log}).hinted()
		require.True(t, n == "" || n.Other() != "")
		require.True(t, n == "" || strings.Contains(log, hint+string(n)))
	})
}
