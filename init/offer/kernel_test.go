package offer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/verity"
)

// Whoever may write the slot may spoil it while it is looked at: that must not be the running register's end.
func TestSpoiledBlockIsNoPanic(t *testing.T) {
	whole := verity.Table("/dev/x", verity.Params{}, dm.VerityKey)
	require.Contains(t, whole, " 3 panic_on_corruption root_hash_sig_key_desc ")
	require.Equal(t, strings.Replace(whole, "3 panic_on_corruption", "2", 1), table("/dev/x", verity.Params{}))
}

// The kernel shows an EROFS that is mounted nowhere; links and other ways out of it are refused.
func TestMountedNowhere(t *testing.T) {
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree/boot")
	require.NoError(t, os.MkdirAll(tree, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(tree, "boot.id"), []byte("0a"), 0o644))
	require.NoError(t, os.Symlink("boot.id", filepath.Join(tree, "link")))
	image := filepath.Join(dir, "image")
	if out, err := exec.Command("mkfs.erofs", image, filepath.Dir(tree)).CombinedOutput(); err != nil {
		t.Skip("no mkfs.erofs here: ", err, string(out))
	}
	out, err := exec.Command("losetup", "--find", "--show", "--read-only", image).Output()
	if err != nil {
		t.Skip("no loop device here: ", err)
	}
	loop := strings.TrimSpace(string(out))
	defer func() { require.NoError(t, exec.Command("losetup", "--detach", loop).Run()) }()
	root, err := mount(loop)
	if err != nil {
		t.Skip("this kernel has no EROFS for us: ", err)
	}
	v := volume{root}
	defer unix.Close(root)
	text, err := v.ReadFile("/boot/boot.id", 2)
	require.NoError(t, err)
	require.Equal(t, "0a", string(text))
	_, err = v.ReadFile("/boot/boot.id", 1)
	require.ErrorContains(t, err, "more than 1 bytes")
	_, err = v.ReadFile("/boot/link", 9)
	require.ErrorIs(t, err, unix.ELOOP)
	_, err = v.ReadFile("/../etc/passwd", 9)
	require.ErrorIs(t, err, unix.EXDEV)
	_, err = v.ReadFile("/boot/absent", 9)
	require.ErrorIs(t, err, os.ErrNotExist)
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), loop)
}
