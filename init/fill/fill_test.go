package fill

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/image/gpt"
	"github.com/choba-os/choba/image/layout"
)

// flashed is a file with the partition table of the flashed image; the data partition as the kernel would show it.
func flashed(t *testing.T, size int64) (string, disk.Partition) {
	path := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(size))
	parts, err := gpt.Place(layout.Disk(), layout.DiskSize)
	require.NoError(t, err)
	require.NoError(t, gpt.Write(f, layout.DiskSize, layout.DiskGUID, parts))
	return path, disk.Partition{Name: layout.Data, Path: path + "6", Size: parts[5].Size, Disk: "disk"}
}

func TestNothingToFill(t *testing.T) {
	path, p := flashed(t, layout.DiskSize)
	got, err := Disk(path, p)
	require.NoError(t, err)
	require.Equal(t, p, got)
}

// A file is no block device: the table is grown, and as the kernel does not follow, the boot goes on with what it has.
// The next boot's kernel reads the new size by itself.
func TestKernelThatDoesNotFollow(t *testing.T) {
	path, p := flashed(t, 4*layout.DiskSize)
	got, err := Disk(path, p)
	require.ErrorIs(t, err, unix.ENOTTY)
	require.ErrorContains(t, err, "telling the kernel")
	require.Equal(t, p, got)

	want, err := gpt.Place(layout.Disk(), 4*layout.DiskSize)
	require.NoError(t, err)
	p.Size = want[5].Size
	got, err = Disk(path, p)
	require.NoError(t, err)
	require.Equal(t, p, got)

	p.Size++
	_, err = Disk(path, p)
	require.ErrorContains(t, err, "but")
}

func TestRefuses(t *testing.T) {
	path, p := flashed(t, 4*layout.DiskSize)
	p.Name = layout.Factory
	got, err := Disk(path, p)
	require.ErrorContains(t, err, "lies behind it")
	require.Equal(t, p, got)
	_, err = Disk(path+"absent", p)
	require.ErrorIs(t, err, os.ErrNotExist)
}
