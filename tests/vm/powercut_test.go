package vm

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/tests/bench"
	"github.com/choba-os/choba/tests/powercut"
)

// recorded is a register whose every write to the disk is kept, with the disks as they were before each power-on.
type recorded struct {
	*bench.Register
	t      *testing.T
	before []string // raw disks
	boots  map[string][]byte
	table  map[string]int
	cuts   int
}

// recording makes a recorded one of a register that is off and has a folder for its writes.
func recording(t *testing.T, r *bench.Register) *recorded {
	boots := map[string][]byte{"old": open(t, pulled(t, r)).bootImage()}
	return &recorded{Register: r, t: t, boots: boots, table: map[string]int{}}
}

// on switches the register on and keeps the disk as it is before.
func (r *recorded) on(patterns ...string) {
	r.t.Helper()
	r.before = append(r.before, pulled(r.t, r.Register))
	on(r.t, r.Register, patterns...)
}

// judge cuts the nth power-on everywhere, and adds to the table of outcomes. floor is the TPM's.
func (r *recorded) judge(n int, title string, plan powercut.Plan, floor uint64) {
	r.t.Helper()
	ops, err := powercut.ReadLog(r.Recording(n))
	require.NoError(r.t, err)
	f, err := os.Open(r.before[n-1])
	require.NoError(r.t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(r.t, err)
	d := powercut.NewDisk(f)
	reg, err := powercut.NewRegister(d, info.Size(), trusted(r.t), r.boots)
	require.NoError(r.t, err)
	reg.Floor = floor
	cuts, err := powercut.Each(d, ops, plan, func(_ powercut.Cut, d *powercut.Disk) error {
		o, err := reg.Judge(d)
		r.table[title+": "+o.String()]++
		return err
	})
	require.NoError(r.t, err, "%s, after %d cuts", title, cuts)
	r.cuts += cuts
	r.t.Logf("%s: %d requests, %d cuts", title, len(ops), cuts)
}

// tell prints the table.
func (r *recorded) tell() {
	for _, row := range slices.Sorted(maps.Keys(r.table)) {
		r.t.Log(fmt.Sprintf("%6d  %s", r.table[row], row))
	}
	r.t.Logf("%6d  cuts in all: none dead", r.cuts)
}

// The power may go at any instant of the first boot, of an update with another kernel, of its trial and commit, and of
// the change of the boot partition behind it: the next start finds a boot image that the firmware takes, a whole
// release, and a key that opens for both; or it begins the first boot again. Some of the cut disks are booted.
func TestCutsOfAnUpdate(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	v.publish(bundle(t, 2, "", otherServer))
	s := v.serve()
	folder := short(t)
	r := recording(t, register(t, func(c *bench.Config) { c.Record, c.Watchdog, c.Server = folder, true, s.Addr }))
	r.on(committed)
	wait(t, r.Register, `screen: painted`)
	r.Cut()

	r.on(ready)
	wait(t, r.Register, offered(2))
	m := newMirror(t)
	time.Sleep(5 * time.Second)
	restartNow(t, r.Register, m)
	wait(t, r.Register, `choba-init: committed: version 2`)
	r.Cut()

	r.on(`the boot partition now has the boot image of version 2`)
	r.Cut()
	r.boots["new"] = open(t, pulled(t, r.Register)).bootImage()
	require.NotEqual(t, r.boots["old"], r.boots["new"])

	r.judge(1, "first boot", powercut.Plan{Torn: 2, Reordered: 3, Seed: 1}, 0)
	r.judge(2, "update, trial, commit", powercut.Plan{Torn: 8, Reordered: 12, Seed: 1}, 1)
	r.judge(3, "boot partition", powercut.Plan{Torn: 10, Reordered: 20, Seed: 1}, 1)
	r.tell()
	require.Greater(t, r.cuts, 10_000)
	for _, n := range []int{2, 3} {
		r.bootCut(n)
	}
}

// bootCut boots one of the states in the last third of a power-on's writes, where the most is at stake, torn and out of order.
func (r *recorded) bootCut(n int) {
	r.t.Helper()
	ops, err := powercut.ReadLog(r.Recording(n))
	require.NoError(r.t, err)
	f, err := os.Open(r.before[n-1])
	require.NoError(r.t, err)
	defer f.Close()
	d := powercut.NewDisk(f)
	want := rand.New(rand.NewPCG(2, uint64(n))).IntN(len(ops)/3) + len(ops)*2/3
	found := errors.New("found")
	_, err = powercut.Each(d, ops, powercut.Plan{Reordered: 1, Seed: 3}, func(c powercut.Cut, d *powercut.Disk) error {
		if c.At < want {
			return nil
		}
		r.t.Logf("booting power-on %d cut %s", n, c)
		again := again(r.t, r.Dir(), nil)
		alter(r.t, again, func(raw *flashed) {
			before, err := os.ReadFile(r.before[n-1])
			require.NoError(r.t, err)
			_, err = raw.file.WriteAt(before, 0)
			require.NoError(r.t, err)
			for at, b := range d.Sectors() {
				_, err := raw.file.WriteAt(b, at*powercut.Sector)
				require.NoError(r.t, err)
			}
		})
		require.Contains(r.t, on(r.t, again, ready, stop), "ready")
		again.Cut()
		return found
	})
	require.ErrorIs(r.t, err, found)
}
