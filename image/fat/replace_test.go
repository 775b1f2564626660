package fat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
)

// What was replaced, others read as it is; what lay beside it, too. Again and again.
func TestReplaceAsOthersSeeIt(t *testing.T) {
	for name, args := range map[string][]string{
		"FAT16": {"-F", "16", "-s", "4"}, "FAT32": {"-F", "32", "-s", "1"}, "FAT32 with sectors of 4096": {"-F", "32", "-S", "4096", "-s", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			size := int64(40 << 20)
			if strings.Contains(name, "4096") {
				size = 300 << 20
			}
			image := mkfs(t, size, args...)
			call(t, "mmd", "-i", image, "::/EFI", "::/EFI/BOOT")
			put(t, image, "/EFI/BOOT/BOOTX64.EFI", sample(100_000, 1))
			put(t, image, "/EFI/BOOT/a long name beside it", sample(5000, 2))
			f, err := os.OpenFile(image, os.O_RDWR, 0)
			require.NoError(t, err)
			defer f.Close()
			for i, n := range []int{1, 511, 512, 4096, 70_000, 1_500_000, 100_000} {
				data := sample(n, byte(10+i))
				require.NoError(t, Replace(f, size, "efi/boot/bootx64.efi", bytes.NewReader(data), int64(n)))
				back := filepath.Join(t.TempDir(), "back")
				call(t, "mcopy", "-n", "-i", image, "::/EFI/BOOT/BOOTX64.EFI", back)
				got, err := os.ReadFile(back)
				require.NoError(t, err)
				require.True(t, bytes.Equal(data, got))
				out, err := exec.Command(tool(t, "fsck.vfat"), "-n", image).CombinedOutput()
				require.NoError(t, err, "%s", out)
			}
			require.NoError(t, Replace(f, size, "EFI/BOOT/A Long Name Beside It", strings.NewReader("short"), 5))
			v, _, _ := openImage(t, image)
			list, err := v.ReadDir("EFI/BOOT")
			require.NoError(t, err)
			require.Equal(t, []Entry{{Name: "BOOTX64.EFI", Size: 100_000}, {Name: "a long name beside it", Size: 5}}, list)
		})
	}
}

// The scattered case: no gap is large enough for the whole file.
func TestReplaceScattered(t *testing.T) {
	image := mkfs(t, 5<<20, "-F", "16", "-s", "1")
	call(t, "mmd", "-i", image, "::/EFI")
	put(t, image, "/EFI/BOOT", sample(10_000, 1))
	for i := range 200 {
		put(t, image, "/EFI/F"+string(rune('A'+i/26))+string(rune('A'+i%26)), sample(20_000, byte(i)))
	}
	for i := 0; i < 200; i += 2 {
		call(t, "mdel", "-i", image, "::/EFI/F"+string(rune('A'+i/26))+string(rune('A'+i%26)))
	}
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	data := sample(1_500_000, 9)
	require.NoError(t, Replace(f, 5<<20, "EFI/BOOT", bytes.NewReader(data), int64(len(data))))
	require.True(t, bytes.Equal(data, content(t, f, 5<<20, "EFI/BOOT")))
	out, err := exec.Command(tool(t, "fsck.vfat"), "-n", image).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestCreateAsOthersSeeIt(t *testing.T) {
	const size = 300 << 20
	image := mkfs(t, size, "-F", "32", "-s", "8")
	call(t, "mmd", "-i", image, "::/export")
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	want := map[string]int{"export/choba-1209-2026.age": 70_000, "export/choba-1209-2027.age": 3, "README.TXT": 512, "x": 1, "export/ALLSHORT": 700,
		"a." + strings.Repeat("very-", 36) + "long.name": 2000}
	for name, n := range want {
		require.NoError(t, Create(f, size, name, bytes.NewReader(sample(n, 3)), int64(n)), name)
		require.ErrorIs(t, Create(f, size, strings.ToUpper(name), bytes.NewReader(sample(n, 3)), int64(n)), ErrExists, name)
	}
	for name, n := range want {
		back := filepath.Join(t.TempDir(), "back")
		call(t, "mcopy", "-n", "-i", image, "::/"+name, back)
		got, err := os.ReadFile(back)
		require.NoError(t, err)
		require.True(t, bytes.Equal(sample(n, 3), got), name)
		require.True(t, bytes.Equal(got, content(t, f, size, name)), name)
	}
	out, err := exec.Command(tool(t, "fsck.vfat"), "-n", image).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, bad := range []string{"", "a/", "export/.", "export/..", "a?b", "日本", "export/end.", " x", "a\x00b", strings.Repeat("a", 196)} {
		require.ErrorIs(t, Create(f, size, bad, strings.NewReader("x"), 1), ErrName, "%q", bad)
	}
	require.ErrorIs(t, Create(f, size, "nowhere/x", strings.NewReader("x"), 1), ErrMissing)
	require.ErrorIs(t, Create(f, size, "big", strings.NewReader("x"), 400<<20), ErrFull)
}

// A folder without a gap is said to be full; it is not made longer. What lies behind its end stays behind it.
func TestCreateInFullFolder(t *testing.T) {
	image := mkfs(t, 10<<20, "-F", "16", "-s", "1")
	call(t, "mmd", "-i", image, "::/d")
	b, err := os.ReadFile(image)
	require.NoError(t, err)
	r := &recorder{data: b}
	size := int64(len(b))
	v, err := Open(r, size)
	require.NoError(t, err)
	at, err := v.walk("d")
	require.NoError(t, err)
	for i := v.g.clusterAt(at.first) + 2*slotSize + 1; i < v.g.clusterAt(at.first)+512; i++ {
		b[i] = 'Z' // rubbish behind the end of the folder, which no reader looks at
	}
	b[v.g.clusterAt(at.first)+2*slotSize] = 0
	for i := range 14 {
		require.NoError(t, Create(r, size, "d/F"+string(rune('A'+i)), strings.NewReader("x"), 1))
		list, err := (&Volume{r: r, g: v.g, table: newTable(r, v.g, 0)}).ReadDir("d")
		require.NoError(t, err)
		require.Len(t, list, i+1)
	}
	require.ErrorIs(t, Create(r, size, "d/ONEMORE", strings.NewReader("x"), 1), ErrFull)
	require.Empty(t, fsck(t, r.data))
}

// Nothing is changed on what cannot be understood, and what cannot be done is said before anything is written.
func TestRefusesToChange(t *testing.T) {
	data := sample(20_000, 1)
	base := theirs(t, 10<<20, data, sample(5000, 2), "-F", "16", "-s", "4")
	g, err := readGeometry(bytes.NewReader(base), int64(len(base)))
	require.NoError(t, err)
	v, err := Open(bytes.NewReader(base), int64(len(base)))
	require.NoError(t, err)
	f, err := v.Open("EFI/BOOT/BOOTX64.EFI")
	require.NoError(t, err)
	first := f.pieces[0].first
	set := func(b []byte, table int, c uint32, value uint16) {
		binary.LittleEndian.PutUint16(b[g.tables[table]+g.entryAt(c):], value)
	}
	for name, c := range map[string]struct {
		change func(b []byte)
		want   error
	}{
		"tables differ in a file":       {func(b []byte) { set(b, 1, first, 0xffff) }, ErrDamaged},
		"tables differ and both are":    {func(b []byte) { set(b, 0, 900, 0xffff); set(b, 1, 900, 901) }, ErrDamaged},
		"chain into another file":       {func(b []byte) { set(b, 0, first+3, uint16(first)-1); set(b, 1, first+3, uint16(first)-1) }, ErrDamaged},
		"chain in a circle":             {func(b []byte) { set(b, 0, first+3, uint16(first)); set(b, 1, first+3, uint16(first)) }, ErrDamaged},
		"chain too short":               {func(b []byte) { set(b, 0, first, 0xffff); set(b, 1, first, 0xffff) }, ErrDamaged},
		"chain out of the volume":       {func(b []byte) { set(b, 0, first, 0xfff0); set(b, 1, first, 0xfff0) }, ErrDamaged},
		"chain over a bad cluster":      {func(b []byte) { set(b, 0, first, 0xfff7); set(b, 1, first, 0xfff7) }, ErrDamaged},
		"no file system":                {func(b []byte) { clear(b[:512]) }, ErrNotFAT},
		"no such file":                  {func(b []byte) { copy(b[bytes.Index(b, []byte("BOOTX64 EFI")):], "BOOTX65 EFI") }, ErrMissing},
		"loose in one table is allowed": {func(b []byte) { set(b, 0, 900, 0xffff) }, nil},
		"loose in both is allowed":      {func(b []byte) { set(b, 0, 900, 901); set(b, 1, 900, 901); set(b, 1, 901, 0xffff) }, nil},
		"a bad cluster is left alone":   {func(b []byte) { set(b, 0, 900, 0xfff7); set(b, 1, 900, 0xfff7) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(base)
			c.change(b)
			was := bytes.Clone(b)
			r := &recorder{data: b}
			err := Replace(r, int64(len(b)), "EFI/BOOT/BOOTX64.EFI", bytes.NewReader(data), 20_000)
			if c.want == nil {
				require.NoError(t, err)
				require.Empty(t, fsck(t, r.data))
				require.Equal(t, name == "a bad cluster is left alone", binary.LittleEndian.Uint16(r.data[g.tables[0]+g.entryAt(900):]) == 0xfff7)
				return
			}
			require.ErrorIs(t, err, c.want)
			require.True(t, bytes.Equal(was, r.data), "nothing was written")
			err = Create(r, int64(len(b)), "EFI/BOOT/NEW", bytes.NewReader(data), 20_000)
			if !errors.Is(c.want, ErrMissing) {
				require.ErrorIs(t, err, c.want)
			}
		})
	}
}

func TestReplaceHasNoRoom(t *testing.T) {
	base := ours(t, sample(20<<20, 1))
	r := &recorder{data: base}
	size := int64(len(base))
	err := Replace(r, size, layout.BootFile, bytes.NewReader(sample(1, 2)), 45<<20)
	require.ErrorIs(t, err, ErrFull)
	err = Replace(r, size, layout.BootFile, strings.NewReader("too short"), 20)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.True(t, bytes.Equal(sample(20<<20, 1), content(t, r, size, layout.BootFile)))
	for _, n := range []int64{0, -1, 1 << 32} {
		require.Error(t, Replace(r, size, layout.BootFile, strings.NewReader("x"), n))
	}
	require.ErrorIs(t, Replace(r, size, "EFI/BOOT", strings.NewReader("x"), 1), ErrMissing)
	r.broken = true
	require.ErrorContains(t, Replace(r, size, layout.BootFile, bytes.NewReader(sample(9, 2)), 9), "reading back")
	r.broken = false
	require.True(t, bytes.Equal(sample(20<<20, 1), content(t, r, size, layout.BootFile)))
	require.NoError(t, Replace(r, size, layout.BootFile, bytes.NewReader(sample(9, 2)), 9), "what the last try left does not stand in the way")
}

func TestRefusesOtherKinds(t *testing.T) {
	image := mkfs(t, 2<<20, "-F", "12")
	put(t, image, "/X", []byte("x"))
	b, err := os.ReadFile(image)
	require.NoError(t, err)
	require.ErrorIs(t, Replace(&recorder{data: b}, int64(len(b)), "X", strings.NewReader("y"), 1), ErrNotFAT)
	b = theirs(t, 40<<20, sample(9, 1), sample(9, 2), "-F", "32", "-s", "1")
	b[40] = mirrorOff
	require.ErrorIs(t, Replace(&recorder{data: b}, int64(len(b)), layout.BootFile, strings.NewReader("y"), 1), ErrNotFAT)
}
