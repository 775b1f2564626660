package disk

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
)

// contents are small parts; nothing here is signed, since disk places what it is given.
func contents(t *testing.T) Contents {
	erofs := sample(40 * verity.BlockSize)
	salt := make([]byte, verity.MaxSalt)
	tree, root, err := verity.Build(bytes.NewReader(erofs), 40, salt)
	require.NoError(t, err)
	m := release.Manifest{
		Version: 3, EROFS: release.Sum(erofs), Tree: release.Sum(tree),
		Verity: verity.Params{Root: root, Salt: salt, Blocks: 40, HashStart: 40},
	}
	return Contents{
		Boot: []byte("MZ boot image"), Signed: []byte("signed manifest\n"),
		Release: release.Release{Manifest: m, ID: sha256.Sum256([]byte("manifest"))},
		EROFS:   bytes.NewReader(erofs), Tree: bytes.NewReader(tree),
	}
}

// The disk as its readers see it: partitions by name, both slots and the factory
// release with their heads, the record, an ESP, and nothing where data will be.
func TestBuild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	c := contents(t)
	require.NoError(t, Build(path, c))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	parts, err := ReadGPT(f, layout.DiskSize)
	require.NoError(t, err)
	placed, err := Place(layout.Disk(), layout.DiskSize)
	require.NoError(t, err)
	require.Equal(t, placed, parts)
	window := map[string]*io.SectionReader{}
	for _, e := range parts {
		window[e.Name] = io.NewSectionReader(f, e.Start, e.Size)
	}
	for _, name := range []string{layout.SlotA, layout.SlotB, layout.Factory} {
		w := window[name]
		signed, err := release.ReadHead(w, w.Size())
		require.NoError(t, err)
		require.Equal(t, c.Signed, signed)
		require.NoError(t, verity.Verify(w, c.Release.Verity))
	}
	rec, src, err := slot.Load(window[layout.State])
	require.NoError(t, err)
	require.Equal(t, [2]error{}, src.Problem)
	require.Equal(t, Flashed(c.Release), rec)
	require.Equal(t, slot.A, slot.Choose(rec, map[slot.Name]slot.Release{
		slot.A: {Version: 3, Manifest: c.Release.ID}, slot.B: {Version: 3, Manifest: c.Release.ID},
	})[0].Slot)
	head := make([]byte, 3)
	_, err = window[layout.ESP].ReadAt(head, 0)
	require.NoError(t, err)
	require.Equal(t, "\xeb\x58\x90", string(head))
	data := make([]byte, 2<<20)
	_, err = window[layout.Data].ReadAt(data, 0)
	require.NoError(t, err)
	require.True(t, isZero(data))
}

// Same inputs, same bytes; and a gigabyte of disk takes what its contents take.
func TestBuildIsReproducibleAndSparse(t *testing.T) {
	dir := t.TempDir()
	var sums [2][32]byte
	for i := range sums {
		path := filepath.Join(dir, "disk.img")
		require.NoError(t, Build(path, contents(t)))
		f, err := os.Open(path)
		require.NoError(t, err)
		h := sha256.New()
		_, err = io.Copy(h, f)
		require.NoError(t, err)
		sums[i] = [32]byte(h.Sum(nil))
		info, err := f.Stat()
		require.NoError(t, err)
		require.EqualValues(t, layout.DiskSize, info.Size())
		require.Less(t, info.Sys().(*syscall.Stat_t).Blocks*512, int64(8<<20))
		require.NoError(t, f.Close())
		require.NoError(t, os.Remove(path))
	}
	require.Equal(t, sums[0], sums[1])
}

// A disk image that would be the same stays the same file; another one replaces it.
func TestBuildKeepsAnEqualFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	require.NoError(t, Build(path, contents(t)))
	first, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, Build(path, contents(t)))
	second, err := os.Stat(path)
	require.NoError(t, err)
	require.True(t, os.SameFile(first, second))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{1}, layout.DiskSize-1)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, Build(path, contents(t)))
	third, err := os.Stat(path)
	require.NoError(t, err)
	require.False(t, os.SameFile(second, third))
}

// A part that does not fit its manifest stops the build and leaves the old disk.
func TestBuildRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	c := contents(t)
	c.EROFS = bytes.NewReader(make([]byte, 40*verity.BlockSize))
	require.ErrorIs(t, Build(path, c), release.ErrAltered)
	c = contents(t)
	c.Boot = make([]byte, 80<<20)
	require.Error(t, Build(path, c), "boot image too large for the ESP")
	old, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "old", string(old))
}

func TestGPTGoldenFields(t *testing.T) {
	m := &memory{b: make([]byte, 4<<20)}
	parts := []Entry{{"choba-é", typeOf(layout.ESP), "00112233-4455-6677-8899-AABBCCDDEEFF", 1 << 20, 1 << 20}}
	require.NoError(t, WriteGPT(m, 4<<20, layout.DiskGUID, parts))
	require.Equal(t, byte(0xee), m.b[450], "protective MBR")
	require.Equal(t, "EFI PART", string(m.b[512:520]))
	require.Equal(t, "EFI PART", string(m.b[4<<20-512:][:8]))
	require.Equal(t, "\x28\x73\x2a\xc1\x1f\xf8\xd2\x11", string(m.b[1024:][:8]), "mixed-endian type of an ESP")
	require.Equal(t, "\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99", string(m.b[1040:][:10]))
	back, err := ReadGPT(m, 4<<20)
	require.NoError(t, err)
	require.Equal(t, parts, back)
}

func typeOf(name string) string {
	for _, p := range layout.Disk() {
		if p.Name == name {
			return p.Type
		}
	}
	return ""
}

// Every single changed byte of either table is noticed.
func TestGPTEveryByte(t *testing.T) {
	const size = 4 << 20
	m := &memory{b: make([]byte, size)}
	require.NoError(t, WriteGPT(m, size, layout.DiskGUID, []Entry{{"x", layout.DiskGUID, layout.DiskGUID, 1 << 20, 1 << 20}}))
	const table = 512 + entries*entrySize
	for _, at := range []int{512, size - table} {
		for i := range table {
			if i > 1024 && i%7 != 0 {
				continue // empty entries under one checksum: sampled
			}
			sector := (at + i) / 512
			if (sector == 1 || sector == size/512-1) && (at+i)%512 >= gptHeader {
				continue // reserved rest of a header's sector: no checksum covers it
			}
			m.b[at+i] ^= 0x10
			_, err := ReadGPT(m, size)
			require.Error(t, err, "byte %d", at+i)
			m.b[at+i] ^= 0x10
		}
	}
	_, err := ReadGPT(m, size)
	require.NoError(t, err)
}

func TestPlaceRefuses(t *testing.T) {
	_, err := Place(layout.Disk(), 64<<20)
	require.ErrorContains(t, err, "do not fit")
	_, err = Place([]layout.Partition{{Name: "odd", Size: 1000}}, 64<<20)
	require.Error(t, err)
	_, err = Place([]layout.Partition{{Name: "rest in the middle"}, {Name: "x", Size: 1 << 20}}, 64<<20)
	require.Error(t, err)
	m := &memory{b: make([]byte, 4<<20)}
	for _, e := range []Entry{
		{"bad type", "x", layout.DiskGUID, 1 << 20, 1 << 20},
		{"bad id", layout.DiskGUID, "x", 1 << 20, 1 << 20},
		{strings.Repeat("x", 37), layout.DiskGUID, layout.DiskGUID, 1 << 20, 1 << 20},
	} {
		require.Error(t, WriteGPT(m, 4<<20, layout.DiskGUID, []Entry{e}), e.Name)
	}
	require.Error(t, WriteGPT(m, 4<<20, "x", nil))
	require.Error(t, WriteGPT(m, 4<<20, layout.DiskGUID, make([]Entry, entries+1)))
}

func FuzzReadGPT(f *testing.F) {
	const size = 64 << 10
	m := &memory{b: make([]byte, size)}
	require.NoError(f, WriteGPT(m, size, layout.DiskGUID, nil))
	f.Add(m.b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 1024 {
			_, _ = ReadGPT(&memory{b: b}, int64(len(b)))
		}
	})
}

// memory is a disk.
type memory struct{ b []byte }

func (m *memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m.b).ReadAt(p, off) }
func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	return copy(m.b[off:], p), nil
}
