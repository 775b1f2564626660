package disk

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
)

func espFile(t *testing.T, data []byte) string {
	path := filepath.Join(t.TempDir(), "esp.img")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	size := layout.Disk()[0].Size
	require.NoError(t, f.Truncate(size))
	require.NoError(t, WriteESP(f, layout.Align, size, layout.BootFile, data))
	return path
}

func sample(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// Others' tools are the oracle: fsck finds nothing to say, mtools reads the file back.
func TestESPAsOthersSeeIt(t *testing.T) {
	for _, size := range []int{1, 511, 512, 513, 7_654_321} {
		data := sample(size)
		esp := espFile(t, data)
		if fsck, err := exec.LookPath("/sbin/fsck.vfat"); err == nil {
			out, err := exec.Command(fsck, "-n", "-v", esp).CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
		if _, err := exec.LookPath("mcopy"); err != nil {
			t.Skip("no mtools")
		}
		got := filepath.Join(t.TempDir(), "file")
		out, err := exec.Command("mcopy", "-i", esp, "::/EFI/BOOT/BOOTX64.EFI", got).CombinedOutput()
		require.NoError(t, err, "%s", out)
		back, err := os.ReadFile(got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, back))
	}
}

func TestESPRefuses(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "esp"))
	require.NoError(t, err)
	defer f.Close()
	size := layout.Disk()[0].Size
	require.Error(t, WriteESP(f, 0, size, "EFI/BOOT/bootx64.efi", []byte("x")), "lower case")
	require.Error(t, WriteESP(f, 0, size, "EFI/BOOT/BOOTX64LONG.EFI", []byte("x")), "long name")
	require.Error(t, WriteESP(f, 0, size, layout.BootFile, nil), "nothing to boot")
	require.Error(t, WriteESP(f, 0, size, layout.BootFile, make([]byte, size)), "too large")
	require.Error(t, WriteESP(f, 0, 16<<20, layout.BootFile, []byte("x")), "too few clusters for FAT32")
}
