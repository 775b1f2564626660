package boot

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/recovery/explain"
)

func TestPlanIsTheOneWrittenDown(t *testing.T) {
	var got bytes.Buffer
	require.NoError(t, Print(&got))
	want, err := os.ReadFile("testdata/plan.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}

func good(version uint64, m slot.Manifest) slot.Slot {
	return slot.Slot{State: slot.Good, Version: version, Manifest: m}
}

// twoSlots is a register with version 7 in a (preferred) and 6 in b, both committed.
func twoSlots(t *testing.T) (*world, *vendor, release.Manifest, release.Manifest) {
	v := newVendor(t, "prod")
	w := newWorld(t, v)
	ma, a := w.install(slot.A, v, 7, 2, nil)
	mb, b := w.install(slot.B, v, 6, 2, nil)
	w.store(slot.Record{A: good(7, a), B: good(6, b), Preferred: slot.A})
	return w, v, ma, mb
}

func system(m release.Manifest) []seal.Event {
	return []seal.Event{seal.System(m.Verity.Root.String())}
}

func TestBootsThePreferredSlot(t *testing.T) {
	w, _, ma, _ := twoSlots(t)
	_, ended := run(w)
	require.ErrorIs(t, ended, errReplaced)

	require.Equal(t, system(ma), w.measure)
	require.Equal(t, 1, w.record().A.Unready)
	require.Equal(t, []string{
		"CHOBA_SLOT=a", "CHOBA_ROOTHASH=" + ma.Verity.Root.String(), "CHOBA_VERSION=7",
		"CHOBA_POLICY_SIG=" + strings.Repeat("A", 86) + "==", "CHOBA_BOOT_NOTES=",
		"CHOBA_JUMPED=0", "CHOBA_PCR4_EVENTS=", "CHOBA_OPEN=",
	}, w.env)
	require.Equal(t, Prefix+"start", w.lines[0])
	require.Equal(t, Prefix+"switch to slot a version 7", w.lines[len(w.lines)-1])

	table := verity.Table("/dev/choba-a", ma.Verity, dm.VerityKey)
	require.Equal(t, []string{
		"mount proc /proc", "mount sysfs /sys", "mount devtmpfs /dev", "mount securityfs /sys/kernel/security", "fired", "arm", "feed", "floor",
		"verity choba-slot-a " + table + " 128 signature",
		"open /dev/choba-state", "mount /dev/dm-choba-slot-a /slot",
		"write /sys/kernel/security/ipe/new_policy policy",
		"write /sys/kernel/security/ipe/policies/choba_run/active 1",
		"write /sys/kernel/security/ipe/policies/choba_boot/delete 1",
		"give up", "unmount /sys/kernel/security", "write /proc/sys/kernel/kexec_load_disabled 1",
		"measure", "feed", "switch /slot [/dev /proc /sys]", "exec /init",
	}, w.done)
}

// TestNextSlot: what is wrong with slot a is said, and slot b is booted and measured alone.
func TestNextSlot(t *testing.T) {
	for _, row := range []struct {
		name   string
		spoil  func(w *world, v *vendor)
		cause  error
		spends int // slot a's counter after the boot
	}{
		{"below threshold", func(w *world, v *vendor) { w.install(slot.A, v, 7, 1, nil) }, trust.ErrThreshold, 0},
		{"signed by strangers", func(w *world, v *vendor) { w.install(slot.A, newVendor(t, "evil"), 7, 3, nil) }, trust.ErrStranger, 0},
		{"another product", func(w *world, v *vendor) {
			w.install(slot.A, v, 7, 2, func(m *release.Manifest) { m.Product = "toaster" })
		}, release.ErrProduct, 0},
		{"other hardware", func(w *world, v *vendor) {
			w.install(slot.A, v, 7, 2, func(m *release.Manifest) { m.Hardware = []string{"abacus"} })
		}, release.ErrHardware, 0},
		{"head altered", func(w *world, v *vendor) { w.part(slot.A).data[layout.HeadOffset(slotSize)+100] ^= 1 }, frame.ErrChecksum, 0},
		{"head wiped", func(w *world, v *vendor) { clear(w.part(slot.A).data[layout.HeadOffset(slotSize):]) }, frame.ErrEmpty, 0},
		{"root hash signed by a stranger", func(w *world, v *vendor) { w.fail["verity choba-slot-a"] = dm.ErrStranger }, dm.ErrStranger, 0},
		{"root hash signature altered", func(w *world, v *vendor) { w.fail["verity choba-slot-a"] = dm.ErrSignature }, dm.ErrSignature, 0},
		{"cannot be mounted", func(w *world, v *vendor) { w.fail["mount /dev/dm-choba-slot-a"] = unix.EINVAL }, unix.EINVAL, 1},
		{"damaged after a failed boot", func(w *world, v *vendor) {
			r := w.record()
			r.A.Unready = 1
			w.store(r)
			w.part(slot.A).data[5*4096] ^= 1
		}, verity.ErrCorrupt, 1},
		{"hash tree damaged after a failed boot", func(w *world, v *vendor) {
			r := w.record()
			r.A.Unready = 1
			w.store(r)
			w.part(slot.A).data[blocks*4096+40] ^= 1
		}, verity.ErrCorrupt, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, v, _, mb := twoSlots(t)
			row.spoil(w, v)
			_, ended := run(w)
			require.ErrorIs(t, ended, errReplaced)
			require.Equal(t, system(mb), w.measure, "only the slot that runs is measured")
			require.Equal(t, row.spends, w.record().A.Unready)
			require.Equal(t, 1, w.record().B.Unready)
			require.Contains(t, w.env, "CHOBA_SLOT=b")
			words := explain.InSlot(slot.A, row.cause).Words().English
			require.Contains(t, strings.Join(w.lines, "\n"), Prefix+"slot a: "+words)
			require.Len(t, w.history(), 1)
			require.Contains(t, w.history()[0], `passed {"reason":"`+words)
			require.Contains(t, w.lines, Prefix+"switch to slot b version 6")
		})
	}
}

// TestNothingBoots: nothing but recovery is measured, and each slot's reason is said. (A51)
func TestNothingBoots(t *testing.T) {
	w, v, _, _ := twoSlots(t)
	w.install(slot.A, v, 7, 1, nil)
	w.fail["verity choba-slot-b"] = dm.ErrStranger
	stopped := New(w).Run()
	require.Len(t, stopped.Troubles, 2)
	require.Equal(t, []seal.Event{seal.Recovery()}, w.measure)
	require.Equal(t, v.list.Product, stopped.Root.Product)
	require.Len(t, stopped.Disk.Parts, 6)
	require.Len(t, stopped.Found, 1, "slot b's manifest is good; its contents are not")
	require.Contains(t, strings.Join(w.history(), "\n"), "stopped {")
	require.Empty(t, w.did("exec"))
	require.Contains(t, stopped.Troubles[0].English(), "too few of the vendor's keys have signed it")
	require.Contains(t, stopped.Troubles[1].Japanese(), "内容に販売元の署名がありません")
}

// TestLoopsEndInRecovery: two committed slots that never reach ready use up their
// boots, recovery stays, and only a new switch-on gives each one boot more.
func TestLoopsEndInRecovery(t *testing.T) {
	w, v, _, _ := twoSlots(t)
	powerOn := func() (troubles []explain.Trouble, booted bool) {
		w = w.powerOn(v)
		stopped, ended := run(w)
		if ended == nil {
			rec, changed := slot.Forgive(stopped.Record)
			require.True(t, changed)
			require.NoError(t, stopped.StoreRecord(rec))
		}
		return stopped.Troubles, ended == errReplaced
	}
	for range 2 * slot.UnreadyLimit {
		_, booted := powerOn()
		require.True(t, booted)
	}
	for range 2 {
		troubles, booted := powerOn()
		require.False(t, booted)
		require.Len(t, troubles, 2)
		require.Contains(t, troubles[0].English(), "too often")
		for range 2 {
			_, booted = powerOn()
			require.True(t, booted)
		}
	}
}

// TestNoWayBack: once the doors are closing the other slot is not tried, whatever happens.
func TestNoWayBack(t *testing.T) {
	for _, act := range []string{"write /sys/kernel/security/ipe", "give up", "write /proc/sys", "measure", "switch"} {
		w, _, _, _ := twoSlots(t)
		w.fail[act] = unix.EIO
		s, ended := run(w)
		require.NoError(t, ended)
		require.Len(t, s.Troubles, 1)
		require.ErrorIs(t, s.Troubles[0].Cause, unix.EIO)
		require.Equal(t, slot.A, s.Troubles[0].Slot)
		require.Empty(t, w.did("exec"), act)
		require.Len(t, w.did("verity"), 1, act)
	}
}

func TestTrialIsSpentBeforeTheSlotIsRead(t *testing.T) {
	w, v, _, _ := twoSlots(t)
	m, id := w.install(slot.B, v, 8, 3, nil)
	r := w.record()
	r.B = slot.Slot{State: slot.Trial, Version: 8, Tries: 3, Manifest: id}
	w.store(r)
	run(w)
	require.Equal(t, system(m), w.measure)
	require.Equal(t, slot.B, w.record().Departed)
	require.Equal(t, 2, w.record().B.Tries)

	// The last try spent: the next boot refuses it for good and takes slot a.
	r = w.record()
	r.B.Tries = 0
	w.store(r)
	again := w.powerOn(v)
	run(again)
	require.Contains(t, again.lines, Prefix+"slot b: its release failed its trial (slot b: version 8 failed its trial and is refused until it is offered anew)")
	require.Equal(t, slot.Refused, again.record().B.State)
	require.Contains(t, again.env, "CHOBA_SLOT=a")
}

func TestSpendingMustLast(t *testing.T) {
	w, _, _, _ := twoSlots(t)
	b := New(w)
	require.NoError(t, b.prepare().Run())
	require.NoError(t, b.decide().Run())
	w.fail["open /dev/choba-state"] = unix.EROFS
	require.ErrorIs(t, b.enter(b.order[0]).Run(), unix.EROFS)
	require.Empty(t, w.did("mount /dev/dm"), "what is not counted is not read")
}

func TestLocks(t *testing.T) {
	spoil := map[string]func(w *world){
		"Secure Boot is off":            func(w *world) { w.files[bootParams][secureBootAt] = 2 },
		"the kernel is not locked down": func(w *world) { w.files[securityfs+"/lockdown"] = []byte("[none] integrity") },
		"the kernel does not enforce":   func(w *world) { w.files[securityfs+"/ipe/enforce"] = []byte("0") },
	}
	for words, do := range spoil {
		w, _, _, _ := twoSlots(t)
		do(w)
		s, ended := run(w)
		require.NoError(t, ended)
		require.ErrorIs(t, s.Troubles[0].Cause, explain.ErrUnlocked)
		require.ErrorContains(t, s.Troubles[0].Cause, words)
		require.Equal(t, []seal.Event{seal.Recovery()}, w.measure)

		v := newVendor(t, "INSECURE-dev")
		v.list.NoSecureBoot = trust.Sell
		w = newWorld(t, v)
		_, id := w.install(slot.A, v, 1, 2, nil)
		w.store(slot.Record{A: good(1, id), Preferred: slot.A})
		do(w)
		_, ended = run(w)
		require.ErrorIs(t, ended, errReplaced)
		require.Contains(t, w.env[4], "CHOBA_BOOT_NOTES=INSECURE: the machine is not locked: "+words)
		require.Equal(t, "CHOBA_OPEN=no-secure-boot", w.env[7])
	}
}

func TestRecordCopies(t *testing.T) {
	w, _, ma, _ := twoSlots(t)
	state := w.parts["/dev/"+layout.State].data
	w.store(w.record()) // both copies are now written
	state[layout.RecordCopy1+70] ^= 1
	run(w)
	require.Equal(t, system(ma), w.measure)
	require.Contains(t, w.env[4], "slot record: copy 2 used")

	w, _, ma, _ = twoSlots(t)
	state = w.parts["/dev/"+layout.State].data
	clear(state[:layout.RecordCopy2+layout.RecordSize])
	run(w)
	require.Equal(t, system(ma), w.measure, "the newest release that verifies")
	require.Contains(t, w.env[4], "neither copy can be read")
	require.Equal(t, slot.Unknown, w.record().A.State)
}

func TestMachineTroubles(t *testing.T) {
	w, _, _, _ := twoSlots(t)
	w.noDisk = disk.ErrDoubled
	s, _ := run(w)
	require.ErrorIs(t, s.Troubles[0].Cause, disk.ErrDoubled)
	require.Empty(t, s.Troubles[0].Slot)

	w, _, ma, _ := twoSlots(t)
	w.fail["arm"] = errors.New("no\ndog")
	run(w)
	require.Contains(t, w.env[4], "no watchdog guards this boot: no dog")
	require.Equal(t, system(ma), w.measure)
}
