package fat

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// tool finds a program of dosfstools or mtools; both are in image/deps.
func tool(t testing.TB, name string) string {
	t.Helper()
	for _, p := range []string{"/usr/sbin/" + name, "/sbin/" + name, "/usr/bin/" + name} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	t.Skip("no " + name)
	return ""
}

func call(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(tool(t, name), args...)
	cmd.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return string(out)
}

// mkfs makes a file system with other people's program.
func mkfs(t testing.TB, size int64, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fs.img")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(size))
	require.NoError(t, f.Close())
	call(t, "mkfs.vfat", append(args, path)...)
	return path
}

func sample(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// put copies a file into an image with mtools.
func put(t testing.TB, image, path string, data []byte) {
	t.Helper()
	f := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(f, data, 0o644))
	call(t, "mcopy", "-o", "-i", image, f, "::"+path)
}

func openImage(t testing.TB, path string) (*Volume, *os.File, int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	require.NoError(t, err)
	v, err := Open(f, st.Size())
	require.NoError(t, err)
	return v, f, st.Size()
}

func readAll(t testing.TB, v *Volume, path string) []byte {
	t.Helper()
	f, err := v.Open(path)
	require.NoError(t, err)
	b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	require.NoError(t, err)
	return b
}

// What others' programs made is read as they meant it: every width of table, long names, scattered files, folders of
// many clusters.
func TestReadsWhatOthersMade(t *testing.T) {
	for _, c := range []struct {
		kind string
		size int64
		args []string
	}{
		{"FAT12", 2 << 20, []string{"-F", "12"}},
		{"FAT16", 16 << 20, []string{"-F", "16", "-s", "4"}},
		{"FAT16", 9 << 20, []string{"-F", "16", "-s", "1", "-f", "1"}},
		{"FAT32", 40 << 20, []string{"-F", "32", "-s", "1"}},
		{"FAT32", 300 << 20, []string{"-F", "32", "-s", "8"}},
		{"FAT32", 300 << 20, []string{"-F", "32", "-S", "4096"}},
	} {
		t.Run(fmt.Sprint(c.kind, c.args), func(t *testing.T) {
			image := mkfs(t, c.size, c.args...)
			call(t, "mmd", "-i", image, "::/metadata", "::/EFI", "::/EFI/BOOT", "::/長い名前のフォルダ")
			want := map[string][]byte{
				"metadata/1.root.json":       sample(1234, 1),
				"EFI/BOOT/BOOTX64.EFI":       sample(300_000, 2),
				"release-2026 (final).choba": sample(512*40, 3),
				"長い名前のフォルダ/日本語のファイル.txt":     sample(1, 4),
				"EMPTY": {},
			}
			for path, data := range want {
				put(t, image, "/"+path, data)
			}
			// Holes, and then a file that has to be scattered over them.
			for i := range 60 {
				put(t, image, fmt.Sprintf("/metadata/a rather long name %d.json", i), sample(3000, byte(i)))
			}
			for i := 0; i < 60; i += 2 {
				call(t, "mdel", "-i", image, fmt.Sprintf("::/metadata/a rather long name %d.json", i))
			}
			want["scattered.bin"] = sample(200_000, 9)
			put(t, image, "/scattered.bin", want["scattered.bin"])
			v, _, _ := openImage(t, image)
			require.Equal(t, c.kind, v.Kind())
			for path, data := range want {
				require.True(t, bytes.Equal(data, readAll(t, v, path)), path)
			}
			require.Equal(t, want["EFI/BOOT/BOOTX64.EFI"], readAll(t, v, "efi/boot/bootx64.efi"))
			list, err := v.ReadDir("metadata")
			require.NoError(t, err)
			require.Len(t, list, 31)
			root, err := v.ReadDir("")
			require.NoError(t, err)
			require.Contains(t, root, Entry{Name: "release-2026 (final).choba", Size: 512 * 40})
			require.Contains(t, root, Entry{Name: "長い名前のフォルダ", Dir: true})
			_, err = v.Open("metadata/nothing")
			require.ErrorIs(t, err, ErrMissing)
			_, err = v.Open("metadata")
			require.ErrorIs(t, err, ErrMissing)
			_, err = v.Open("EMPTY/x")
			require.ErrorIs(t, err, ErrMissing)
		})
	}
}
