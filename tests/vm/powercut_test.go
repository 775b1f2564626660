package vm

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/tests/bench"
	"github.com/choba-os/choba/tests/powercut"
)

// recorded is a register whose every write to the disk is kept, with the disks as they were before each power-on.
type recorded struct {
	*bench.Register
	t      *testing.T
	folder string
	before []string // raw disks
	boots  map[string][]byte
	table  map[string]int
	cuts   int
}

func record(t *testing.T, change func(*bench.Config)) *recorded {
	folder := short(t)
	r := register(t, func(c *bench.Config) {
		c.Record, c.Watchdog = folder, true
		if change != nil {
			change(c)
		}
	})
	boots := map[string][]byte{"old": open(t, pulled(t, r)).bootImage()}
	return &recorded{Register: r, t: t, folder: folder, boots: boots, table: map[string]int{}}
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
	text, err := os.ReadFile(filepath.Join(out, "keys/trust.txt"))
	require.NoError(r.t, err)
	root, err := trust.Parse(text)
	require.NoError(r.t, err)
	d := powercut.NewDisk(f)
	reg, err := powercut.NewRegister(d, info.Size(), root, r.boots)
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

// The power may go at any instant of the first boot: the next one finds a boot image, a release and a key, or begins
// the first boot again.
func TestCutsOfTheFirstBoot(t *testing.T) {
	r := record(t, nil)
	r.on(ready)
	wait(t, r.Register, `screen: painted`)
	r.Cut()
	r.judge(1, "first boot", powercut.Plan{Torn: 3, Reordered: 4, Seed: 1}, 0)
	r.tell()
}
