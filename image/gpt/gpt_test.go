package gpt

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
)

const sector = layout.Sector

// memory is a disk whose sectors are kept where they were written; the others are zero. It notes each write and sync.
type memory struct {
	size int64
	at   map[int64][sector]byte
	log  []change
}

// change is one sector written, or a sync.
type change struct {
	at   int64
	data [sector]byte
	sync bool
}

func newMemory(size int64) *memory { return &memory{size: size, at: map[int64][sector]byte{}} }

func (m *memory) copy() *memory { return &memory{size: m.size, at: maps.Clone(m.at)} }

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	if off%sector != 0 || len(p)%sector != 0 || off < 0 || off+int64(len(p)) > m.size {
		return 0, io.EOF
	}
	for n := 0; n < len(p); n += sector {
		s := m.at[off+int64(n)]
		copy(p[n:], s[:])
	}
	return len(p), nil
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if off%sector != 0 || len(p)%sector != 0 || off < 0 || off+int64(len(p)) > m.size {
		return 0, io.ErrShortWrite
	}
	for n := 0; n < len(p); n += sector {
		c := change{at: off + int64(n), data: [sector]byte(p[n:])}
		m.at[c.at] = c.data
		m.log = append(m.log, c)
	}
	return len(p), nil
}

func (m *memory) Sync() error {
	m.log = append(m.log, change{sync: true})
	return nil
}

// flip changes one bit.
func (m *memory) flip(at int64) {
	s := m.at[at/sector*sector]
	s[at%sector] ^= 0x10
	m.at[at/sector*sector] = s
}

const small = 4 << 20

func onePartition(t testing.TB) *memory {
	m := newMemory(small)
	require.NoError(t, Write(m, small, layout.DiskGUID, []Entry{{"x", layout.DiskGUID, layout.DiskGUID, 1 << 20, 1 << 20}}))
	return m
}

func TestGoldenFields(t *testing.T) {
	m := newMemory(small)
	parts := []Entry{{"choba-é", layout.Disk()[0].Type, "00112233-4455-6677-8899-AABBCCDDEEFF", 1 << 20, 1 << 20}}
	require.NoError(t, Write(m, small, layout.DiskGUID, parts))
	b := make([]byte, small)
	_, err := m.ReadAt(b, 0)
	require.NoError(t, err)
	require.Equal(t, byte(0xee), b[450], "protective MBR")
	require.Equal(t, "EFI PART", string(b[512:520]))
	require.Equal(t, "EFI PART", string(b[small-512:][:8]))
	require.Equal(t, "\x28\x73\x2a\xc1\x1f\xf8\xd2\x11", string(b[1024:][:8]), "mixed-endian type of an ESP")
	require.Equal(t, "\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99", string(b[1040:][:10]))
	back, err := Read(m, small)
	require.NoError(t, err)
	require.Equal(t, parts, back)
}

// Every single changed byte of either table is noticed.
func TestEveryByte(t *testing.T) {
	m := onePartition(t)
	const table = sector + entries*entrySize
	for _, at := range []int64{sector, small - table} {
		for i := range int64(table) {
			if i > 1024 && i%7 != 0 {
				continue // empty entries under one checksum: sampled
			}
			if s := (at + i) / sector; (s == 1 || s == small/sector-1) && (at+i)%sector >= headerSize {
				continue // reserved rest of a header's sector: no checksum covers it
			}
			m.flip(at + i)
			_, err := Read(m, small)
			require.Error(t, err, "byte %d", at+i)
			_, err = load(m, small)
			require.NoError(t, err, "byte %d: the other table is whole", at+i)
			m.flip(at + i)
		}
	}
	_, err := Read(m, small)
	require.NoError(t, err)
}

// What carries a right checksum but is not as written is refused: where things lie decides what is overwritten.
func TestReadRefuses(t *testing.T) {
	le := binary.LittleEndian
	for says, alter := range map[string]func(h, raw []byte){
		"larger disk":              func(h, _ []byte) { le.PutUint64(h[32:], small/sector) },
		"last usable":              func(h, _ []byte) { le.PutUint64(h[48:], 3000) },
		"entries are in sector 34": func(h, _ []byte) { le.PutUint64(h[72:], 34) },
		"first usable sector is 9": func(h, _ []byte) { le.PutUint64(h[40:], 9) },
		"field of the header":      func(h, _ []byte) { le.PutUint32(h[80:], 127) },
		"partition 1: sectors 33":  func(_, raw []byte) { le.PutUint64(raw[32:], 33) },
		"partition 1: sectors":     func(_, raw []byte) { le.PutUint64(raw[40:], 1<<63) },
		"partition 3: sectors":     func(_, raw []byte) { copy(raw[2*entrySize:], raw[:entrySize]) },
	} {
		m := onePartition(t)
		h, raw := make([]byte, sector), make([]byte, entries*entrySize)
		_, err := m.ReadAt(h, sector)
		require.NoError(t, err)
		_, err = m.ReadAt(raw, 2*sector)
		require.NoError(t, err)
		alter(h, raw)
		put(t, m, 1, h, raw)
		_, err = Read(m, small)
		require.ErrorContains(t, err, says)
	}
	_, err := Read(newMemory(512), 512)
	require.ErrorContains(t, err, "a disk of 512 bytes")
}

// put writes a header, with its checksums made right, and entries where it says; where that is nowhere, at the usual place.
func put(t testing.TB, m *memory, here int64, h, raw []byte) {
	le := binary.LittleEndian
	le.PutUint32(h[88:], crc32.ChecksumIEEE(raw))
	le.PutUint32(h[16:], 0)
	le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:headerSize]))
	_, err := m.WriteAt(h, here*sector)
	require.NoError(t, err)
	if _, err = m.WriteAt(raw, int64(le.Uint64(h[72:]))*sector); err != nil {
		_, err = m.WriteAt(raw, 2*sector)
	}
	require.NoError(t, err)
}

func TestPlaceAndWriteRefuse(t *testing.T) {
	_, err := Place(layout.Disk(), 64<<20)
	require.ErrorContains(t, err, "do not fit")
	_, err = Place([]layout.Partition{{Name: "odd", Size: 1000}}, 64<<20)
	require.Error(t, err)
	_, err = Place([]layout.Partition{{Name: "rest in the middle"}, {Name: "x", Size: 1 << 20}}, 64<<20)
	require.Error(t, err)
	m := newMemory(small)
	for _, e := range []Entry{
		{"bad type", "x", layout.DiskGUID, 1 << 20, 1 << 20},
		{"bad id", layout.DiskGUID, "x", 1 << 20, 1 << 20},
		{strings.Repeat("x", 37), layout.DiskGUID, layout.DiskGUID, 1 << 20, 1 << 20},
	} {
		require.Error(t, Write(m, small, layout.DiskGUID, []Entry{e}), e.Name)
	}
	require.Error(t, Write(m, small, "x", nil))
	require.Error(t, Write(m, small, layout.DiskGUID, make([]Entry, entries+1)))
}

// Whatever stands on the disk, with right checksums or not: no panic, no write before everything was looked at, no
// partition but the last altered, and that one never shrunk.
func FuzzReadAndGrow(f *testing.F) {
	seed := func(size, flashed int64) {
		m := flashedDisk(f, size, flashed)
		h, raw := make([]byte, sector), make([]byte, entries*entrySize)
		for _, here := range []int64{1, flashed/sector - 1} {
			_, err := m.ReadAt(h, here*sector)
			require.NoError(f, err)
			_, err = m.ReadAt(raw, int64(binary.LittleEndian.Uint64(h[72:]))*sector)
			require.NoError(f, err)
			f.Add(h[:headerSize], raw[:7*entrySize], here == 1)
		}
	}
	seed(2*layout.DiskSize, 2*layout.DiskSize)
	seed(2*layout.DiskSize, layout.DiskSize)
	f.Fuzz(func(t *testing.T, h, raw []byte, first bool) {
		const size = 2 * layout.DiskSize
		m, here := newMemory(size), int64(size/sector-1)
		if first {
			here = 1
		}
		head, table := make([]byte, sector), make([]byte, entries*entrySize)
		copy(head[:headerSize], h)
		copy(table, raw)
		put(t, m, here, head, table)
		_, _ = Read(m, size)
		was, err := load(m, size)
		m.log = nil
		g, growErr := Grow(m, size, layout.Data)
		if growErr != nil {
			require.Empty(t, m.log)
			return
		}
		require.NoError(t, err)
		before, is := was.list(), bytes.Clone(was.raw)
		after, err := load(m, size)
		require.NoError(t, err)
		old := before[len(before)-1]
		require.Equal(t, old.Start, g.Part.Start)
		require.GreaterOrEqual(t, g.Part.Size, old.Size)
		copy(is[(g.Number-1)*entrySize+40:][:8], after.raw[(g.Number-1)*entrySize+40:][:8])
		require.Equal(t, is, after.raw, "only the end of one entry may change")
	})
}
