package machine

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/recovery/boot"
)

// What needs a kernel of our own (mounts, device-mapper, rights) is proved in tests/vm.

var _ boot.World = New(nil)

func TestSay(t *testing.T) {
	var out bytes.Buffer
	New(&out).Say("a line")
	require.Equal(t, "a line\n", out.String())
}

// TestWriteFile: the kernel's files are written, never made.
func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "active")
	m := New(nil)
	require.ErrorIs(t, m.WriteFile(path, []byte("1")), os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, nil, 0o644))
	require.NoError(t, m.WriteFile(path, []byte("1")))
	got, err := m.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "1", string(got))
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vda3")
	_, err := New(nil).Open(path, false)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte("slot"), 0o644))
	p, err := New(nil).Open(path, false)
	require.NoError(t, err)
	_, err = p.WriteAt([]byte("x"), 0)
	require.Error(t, err, "opened for reading only")
	require.NoError(t, p.Close())
}

func TestFailedMountsAreNamed(t *testing.T) {
	target := filepath.Join(t.TempDir(), "slot")
	err := New(nil).Mount(boot.Mount{Source: "/dev/absent", Target: target, Type: "nofs"})
	require.ErrorContains(t, err, "mount "+target)
	require.DirExists(t, target)
	require.ErrorContains(t, New(nil).Unmount(target), target)
}
