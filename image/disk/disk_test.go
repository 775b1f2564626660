package disk

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/gpt"
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
	parts, err := gpt.Read(f, layout.DiskSize)
	require.NoError(t, err)
	placed, err := gpt.Place(layout.Disk(), layout.DiskSize)
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
