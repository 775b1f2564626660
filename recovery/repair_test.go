package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/boot"
	"github.com/choba-os/choba/recovery/redeploy"
)

// world is files instead of partitions; whatever else is asked for panics.
type world struct {
	boot.World
	files  map[string][]byte
	closed []string
}

func (w *world) Say(string)     {}
func (w *world) Now() time.Time { return time.Unix(0, 0) }
func (w *world) ReadFile(path string) ([]byte, error) {
	if b, ok := w.files[path]; ok {
		return b, nil
	}
	return nil, os.ErrNotExist
}
func (w *world) Open(path string, write bool) (boot.Partition, error) {
	return os.OpenFile(path, os.O_RDWR, 0)
}
func (w *world) OpenVerity(dm.Verity) (string, error) { return "", dm.ErrStranger }
func (w *world) CloseVerity(name string) error {
	w.closed = append(w.closed, name)
	return nil
}

func stopped(t *testing.T, names ...string) (boot.Stopped, *world) {
	w := &world{}
	s := boot.Stopped{World: w, Disk: disk.Disk{Name: "none", Parts: map[string]disk.Partition{}}}
	for _, n := range names {
		path := filepath.Join(t.TempDir(), n)
		require.NoError(t, os.WriteFile(path, make([]byte, 4*layout.MiB), 0o600))
		s.Disk.Parts[n] = disk.Partition{Name: n, Path: path, Size: 4 * layout.MiB}
	}
	return s, w
}

func TestMachineWithADisk(t *testing.T) {
	s, w := stopped(t, layout.State, layout.SlotA, layout.SlotB, layout.Factory, layout.Data)
	m := machineOf(s, &screens{}, func(string) {})
	require.Len(t, m.ID, 39)
	require.Nil(t, m.Net, "an image that names no server asks none")
	for _, p := range []redeploy.Part{m.Register.Slots[slot.A], m.Register.Slots[slot.B], m.Register.Factory, m.Data} {
		require.Equal(t, int64(4*layout.MiB), p.Size)
		require.NoError(t, p.Device.(redeploy.Cached).Forget())
	}
	require.ErrorIs(t, m.Register.Prove(slot.A, release.Release{}), dm.ErrStranger)
	require.Equal(t, []string{"choba-proof"}, w.closed)
}

func TestMachineWithoutADisk(t *testing.T) {
	s, _ := stopped(t)
	said := ""
	m := machineOf(s, &screens{}, func(text string) { said += text })
	require.Nil(t, m.Data.Device)
	require.Equal(t, act.Absent{}, m.Register.State)
	require.Contains(t, said, "no server to ask")
	require.False(t, act.Unfinished(m.Register.State))
	require.True(t, errors.Is(act.New(m, nil).Resume(), disk.ErrAbsent))
}

// TestMachineWithoutATPM: a register that may sell without one can be reset without one, too.
func TestMachineWithoutATPM(t *testing.T) {
	s, _ := stopped(t)
	require.NotNil(t, machineOf(s, &screens{}, func(string) {}).TPM)
	s.Open = []string{boot.NoSecureBoot, boot.NoTPM}
	require.Nil(t, machineOf(s, &screens{}, func(string) {}).TPM)
}
