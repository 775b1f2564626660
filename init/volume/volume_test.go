package volume

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
)

// The kernel's part runs in the machine; here is what must hold before the kernel is asked.

func TestRoomInside(t *testing.T) {
	v := New("/dev/x", 10*layout.MiB+4095, "/data")
	require.EqualValues(t, 9*layout.MiB, v.bytes(), "whole blocks behind the header")
}

func TestTooSmallWipesTheKey(t *testing.T) {
	key := bytes.Repeat([]byte{1}, 64)
	_, err := New("/dev/x", layout.MiB, "/data").Open(key)
	require.ErrorContains(t, err, "too few")
	require.Equal(t, make([]byte, 64), key)
}

func TestNothingOpenNothingToClose(t *testing.T) {
	require.NoError(t, New("/dev/x", layout.MiB, "/data").Close())
}

// The size of a superblock as mkfs.ext4 writes it: 32 bits here, 32 there.
func TestBlocksOf(t *testing.T) {
	super := make([]byte, 1024)
	copy(super[4:], "\x00\x20\x00\x00")
	require.EqualValues(t, 8192, blocksOf(super))
	super[0x150] = 1
	require.EqualValues(t, 1<<32+8192, blocksOf(super))
}

func TestDevice(t *testing.T) {
	path := t.TempDir() + "/dev"
	require.NoError(t, os.WriteFile(path, make([]byte, 8192), 0o600))
	d := device(path)
	_, err := d.WriteAt([]byte("x"), 4096)
	require.NoError(t, err)
	require.NoError(t, d.Sync())
	got := make([]byte, 1)
	_, err = d.ReadAt(got, 4096)
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
	_, err = d.ReadAt(got, 8192)
	require.Error(t, err)
	_, err = device(path+"absent").WriteAt(got, 0)
	require.ErrorIs(t, err, os.ErrNotExist)
}
