package disk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// machine makes a sysfs with partitions given as "disk/partition=name", each of 8 sectors.
func machine(t *testing.T, parts ...string) string {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "sys/class/block"), 0o755))
	for _, p := range parts {
		add(t, root, p)
	}
	return root
}

func add(t *testing.T, root, part string) {
	path, name, _ := cut(part)
	real := filepath.Join(root, "sys/devices/pci", path)
	require.NoError(t, os.MkdirAll(real, 0o755))
	node := filepath.Base(path)
	uevent := fmt.Sprintf("MAJOR=254\nMINOR=1\nDEVNAME=%s\nDEVTYPE=partition\nPARTN=1\n", node)
	if name != "" {
		uevent += "PARTNAME=" + name + "\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(real, "uevent"), []byte(uevent), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(real, "size"), []byte("8\n"), 0o644))
	require.NoError(t, os.Symlink(real, filepath.Join(root, "sys/class/block", node)))
}

func cut(s string) (before, after string, ok bool) {
	for i := range s {
		if s[i] == '=' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func TestFind(t *testing.T) {
	root := machine(t, "vda/vda1=choba-esp", "vda/vda2=choba-state", "nvme0n1/nvme0n1p1=other", "sdb/sdb1=")
	d, err := Find(root, "choba-state", "choba-esp")
	require.NoError(t, err)
	require.Equal(t, "vda", d.Name)
	require.Equal(t, Partition{Name: "choba-state", Path: root + "/dev/vda2", Size: 4096, Disk: "vda"}, d.Parts["choba-state"])
	require.Len(t, d.Parts, 2)
}

// TestFindRefuses: a second disk with our names (A41, A63) is told, never guessed away.
func TestFindRefuses(t *testing.T) {
	root := machine(t, "vda/vda1=choba-esp", "vda/vda2=choba-state")
	_, err := Find(root, "choba-a")
	require.ErrorIs(t, err, ErrAbsent)
	require.EqualError(t, err, "finding partition choba-a: no such partition")

	add(t, root, "sdb/sdb2=choba-state")
	_, err = Find(root, "choba-state")
	require.ErrorIs(t, err, ErrDoubled)
	require.ErrorContains(t, err, "/dev/sdb2 and ")

	root = machine(t, "vda/vda1=choba-esp", "sdb/sdb2=choba-state")
	_, err = Find(root, "choba-esp", "choba-state")
	require.ErrorIs(t, err, ErrSpread)
	require.ErrorContains(t, err, "vda and sdb")

	_, err = Find(t.TempDir(), "choba-esp")
	require.ErrorContains(t, err, "listing block devices")
}

func TestBadSize(t *testing.T) {
	for _, size := range []string{"", "many\n", "-8\n", "99999999999999999999\n"} {
		root := machine(t, "vda/vda1=choba-esp")
		require.NoError(t, os.WriteFile(filepath.Join(root, "sys/devices/pci/vda/vda1/size"), []byte(size), 0o644))
		_, err := Find(root, "choba-esp")
		require.ErrorContains(t, err, "reading size of vda1", size)
	}
}

func TestWait(t *testing.T) {
	root := machine(t, "vda/vda1=choba-esp")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := Wait(ctx, root, "choba-state")
	require.ErrorIs(t, err, ErrAbsent)

	time.AfterFunc(50*time.Millisecond, func() { add(t, root, "vda/vda2=choba-state") })
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err = Wait(ctx, root, "choba-state")
	if err != nil { // seen half made: the next look must find it
		_, err = Wait(ctx, root, "choba-state")
	}
	require.NoError(t, err)
}

func FuzzParseUevent(f *testing.F) {
	f.Add("DEVNAME=vda1\nDEVTYPE=partition\nPARTNAME=choba-a\n")
	f.Add("=\n==\nx")
	f.Fuzz(func(t *testing.T, text string) {
		for k := range parseUevent(text) {
			require.NotContains(t, k, "=")
			require.NotContains(t, k, "\n")
		}
	})
}
