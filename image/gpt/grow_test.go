package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
)

const disk = 4 * layout.DiskSize

// flashedDisk is a disk of one size onto which an image for a disk of another was flashed.
func flashedDisk(t testing.TB, size, flashed int64) *memory {
	m := newMemory(size)
	parts, err := Place(layout.Disk(), flashed)
	require.NoError(t, err)
	require.NoError(t, Write(m, flashed, layout.DiskGUID, parts))
	m.log = nil
	return m
}

func placed(t testing.TB, size int64) []Entry {
	parts, err := Place(layout.Disk(), size)
	require.NoError(t, err)
	return parts
}

// After growing, the disk reads as if it had been made for its size; growing again writes nothing. A larger disk that
// it is copied onto grows once more, with the entries at the other place.
func TestGrow(t *testing.T) {
	m := flashedDisk(t, disk, layout.DiskSize)
	for _, size := range []int64{disk, 2 * disk, 2*disk + 5*sector + 7*layout.MiB} {
		m.size, m.log = size, nil
		want := placed(t, size)
		g, err := Grow(m, size, layout.Data)
		require.NoError(t, err)
		require.Equal(t, Growth{Part: want[5], Number: 6, Changed: true}, g)
		got, err := Read(m, size)
		require.NoError(t, err)
		require.Equal(t, want, got)
		for _, c := range m.log {
			inside := c.at >= layout.MiB && c.at < want[5].Start+want[5].Size
			require.False(t, inside || c.at == 0 && !c.sync, "sector at %d is not the table's", c.at)
		}
		m.log = nil
		g, err = Grow(m, size, layout.Data)
		require.NoError(t, err)
		require.Equal(t, Growth{Part: want[5], Number: 6}, g)
		require.Empty(t, m.log)
	}
}

// A disk without a whole MiB more is left as it is.
func TestNothingToGrow(t *testing.T) {
	for _, more := range []int64{0, sector, 16 * layout.KiB} {
		m := flashedDisk(t, layout.DiskSize+more, layout.DiskSize)
		g, err := Grow(m, layout.DiskSize+more, layout.Data)
		require.NoError(t, err)
		require.Equal(t, Growth{Part: placed(t, layout.DiskSize)[5], Number: 6}, g)
		require.Empty(t, m.log)
	}
}

// Images of before had their first usable sector right behind the entries. Such a disk grows, too.
func TestGrowOfAnOlderImage(t *testing.T) {
	m := flashedDisk(t, disk, layout.DiskSize)
	h, raw := make([]byte, sector), make([]byte, entries*entrySize)
	_, err := m.ReadAt(h, sector)
	require.NoError(t, err)
	_, err = m.ReadAt(raw, 2*sector)
	require.NoError(t, err)
	binary.LittleEndian.PutUint64(h[40:], 34)
	put(t, m, 1, h, raw)
	_, err = Grow(m, disk, layout.Data)
	require.NoError(t, err)
	got, err := Read(m, disk)
	require.NoError(t, err)
	require.Equal(t, placed(t, disk), got)
}

// Whatever is not as expected is told, and nothing is written.
func TestGrowRefuses(t *testing.T) {
	type trouble struct {
		says  string
		size  int64
		name  string
		alter func(m *memory)
	}
	for _, x := range []trouble{
		{"larger disk", layout.DiskSize - layout.MiB, layout.Data, nil},
		{"the last partition is \"choba-data\"", disk, "other", nil},
		{"partition 6 lies behind it", disk, layout.Factory, nil},
		{"no GPT header", disk, layout.Data, func(m *memory) { clear(m.at) }},
		{"first: a checksum", disk, layout.Data, func(m *memory) { m.flip(3 * sector) }},
		{"a disk of 0 bytes", 0, layout.Data, nil},
	} {
		m := flashedDisk(t, disk, layout.DiskSize)
		if x.alter != nil {
			x.alter(m)
		}
		_, err := Grow(m, x.size, x.name)
		require.ErrorContains(t, err, x.says)
		require.Empty(t, m.log)
	}
}

// failing ends with the n-th write or sync.
type failing struct {
	*memory
	left int
}

var errWrite = errors.New("the disk does not write")

func (f *failing) WriteAt(p []byte, off int64) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errWrite
	}
	return f.memory.WriteAt(p, off)
}

func (f *failing) Sync() error {
	if f.left--; f.left < 0 {
		return errWrite
	}
	return f.memory.Sync()
}

// A disk that stops writing is told; what it holds by then is whole, and the next boot goes on.
func TestGrowOnAFailingDisk(t *testing.T) {
	for n := range 7 {
		m := flashedDisk(t, disk, layout.DiskSize)
		_, err := Grow(&failing{m, n}, disk, layout.Data)
		require.ErrorIs(t, err, errWrite, n)
		requireRecovers(t, m)
	}
	_, err := Grow(&failing{flashedDisk(t, disk, layout.DiskSize), 7}, disk, layout.Data)
	require.NoError(t, err)
}

// kernelReads is what Linux does without "gpt" on its command line (block/partitions/efi.c, find_valid_gpt): the first
// table by its checksums, never the second alone. EDK2 takes the second at the disk's end and writes the first anew.
func kernelReads(m *memory) bool {
	_, err := readTable(m, 1, lastSector(m.size))
	return err == nil
}

// requireRecovers wants a table on a disk that lost its power: as flashed or as grown, and the next Grow ends as
// though nothing had been.
func requireRecovers(t *testing.T, m *memory) {
	t.Helper()
	now, err := load(m, m.size)
	require.NoError(t, err)
	require.Contains(t, [][]Entry{placed(t, layout.DiskSize), placed(t, m.size)}, now.list())
	m = m.copy()
	_, err = Grow(m, m.size, layout.Data)
	require.NoError(t, err)
	got, err := Read(m, m.size)
	require.NoError(t, err)
	require.Equal(t, placed(t, m.size), got)
}

// Power is cut at every write: before each sector, within it (old, new, or noise), and with any of the sectors missing
// that were not synced yet. The first table is whole at every one of them but where its own header is noise; then the
// second is. The same holds for the boot after such a cut, which may be cut in turn.
func TestEveryPowerCut(t *testing.T) {
	start := flashedDisk(t, disk, layout.DiskSize)
	cuts := everyCut(t, start, func(c *memory, torn int64) {
		require.Equal(t, torn != sector, kernelReads(c), "torn: %d", torn)
		requireRecovers(t, c)
	})
	t.Logf("%d cuts", cuts)
	require.Greater(t, cuts, 250)

	torn := start.copy()
	_, err := Grow(torn, disk, layout.Data)
	require.NoError(t, err)
	torn.flip(sector)
	torn.log = nil
	again := everyCut(t, torn, func(c *memory, _ int64) { requireRecovers(t, c) })
	require.Greater(t, again, 100)
}

// everyCut lets the disk grow and gives each state in which a cut may leave it, with the offset of the sector that is
// noise in it (-1: none).
func everyCut(t *testing.T, start *memory, look func(c *memory, torn int64)) int {
	t.Helper()
	whole := start.copy()
	_, err := Grow(whole, whole.size, layout.Data)
	require.NoError(t, err)
	random := rand.New(rand.NewChaCha8([32]byte{1}))
	synced, cuts := start.copy(), 0
	var pending []change
	state := func(keep func(i int) bool, torn int64) {
		c := synced.copy()
		for i, p := range pending {
			if keep(i) {
				c.at[p.at] = p.data
			}
		}
		if torn >= 0 {
			c.at[torn] = [sector]byte(bytes.Repeat([]byte{0xa5}, sector))
		}
		look(c, torn)
		cuts++
	}
	for _, p := range whole.log {
		if p.sync {
			for range 20 { // the order within one epoch is the disk's own
				state(func(int) bool { return random.IntN(2) == 0 }, -1)
			}
			for _, q := range pending {
				synced.at[q.at] = q.data
			}
			pending = nil
			continue
		}
		pending = append(pending, p)
		all := func(int) bool { return true }
		state(all, -1)
		state(func(i int) bool { return i == len(pending)-1 }, -1)
		state(all, p.at)
	}
	state(func(int) bool { return true }, -1)
	return cuts
}
