package fat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/gpt"
	"github.com/choba-os/choba/image/layout"
)

func small(t testing.TB) []byte {
	t.Helper()
	image := mkfs(t, 5<<20, "-F", "16", "-s", "1")
	call(t, "mmd", "-i", image, "::/metadata", "::/deep")
	put(t, image, "/metadata/1.root.json", sample(3000, 1))
	put(t, image, "/deep/x", sample(700, 2))
	b, err := os.ReadFile(image)
	require.NoError(t, err)
	return b
}

// everything that can be asked of a volume; it must end, without a panic, whatever the bytes are.
func everything(r io.ReaderAt, size int64) (files int, err error) {
	start, length, err := Find(r, size)
	if err != nil {
		return 0, err
	}
	v, err := Open(io.NewSectionReader(r, start, length), length)
	if err != nil {
		return 0, err
	}
	todo := []string{""}
	buf := make([]byte, 1000)
	for len(todo) > 0 && files < 200 {
		list, listErr := v.ReadDir(todo[0])
		err = errors.Join(err, listErr)
		for _, e := range list {
			if !utf8.ValidString(e.Name) || strings.ContainsAny(e.Name, "/\\\x00") || strings.ContainsFunc(e.Name, unicode.IsControl) {
				panic(fmt.Sprintf("name %q", e.Name))
			}
			path := strings.TrimPrefix(todo[0]+"/"+e.Name, "/")
			files++
			if e.Dir {
				todo = append(todo, path)
				continue
			}
			f, openErr := v.Open(path)
			err = errors.Join(err, openErr)
			if openErr == nil {
				_, _ = f.ReadAt(buf, 0)
				_, _ = f.ReadAt(buf, f.Size()-500)
			}
		}
		todo = todo[1:]
	}
	return files, err
}

// counting is a disk that knows how much was read of it.
type counting struct {
	io.ReaderAt
	read int64
}

func (c *counting) ReadAt(b []byte, off int64) (int, error) {
	c.read += int64(len(b))
	return c.ReaderAt.ReadAt(b, off)
}

// Heads that no honest program writes, and what is said about them.
func TestAbsurdHeads(t *testing.T) {
	base := small(t)
	le := binary.LittleEndian
	for name, c := range map[string]struct {
		change func(b []byte)
		want   error
	}{
		"no signature":            {func(b []byte) { b[510] = 0 }, ErrNotFAT},
		"sectors of 0":            {func(b []byte) { le.PutUint16(b[11:], 0) }, ErrNotFAT},
		"sectors of 513":          {func(b []byte) { le.PutUint16(b[11:], 513) }, ErrNotFAT},
		"sectors of 8192":         {func(b []byte) { le.PutUint16(b[11:], 8192) }, ErrNotFAT},
		"clusters of 0":           {func(b []byte) { b[13] = 0 }, ErrNotFAT},
		"clusters of 3":           {func(b []byte) { b[13] = 3 }, ErrNotFAT},
		"clusters of 512 KiB":     {func(b []byte) { le.PutUint16(b[11:], 4096); b[13] = 128 }, ErrNotFAT},
		"nothing reserved":        {func(b []byte) { le.PutUint16(b[14:], 0) }, ErrNotFAT},
		"no table":                {func(b []byte) { b[16] = 0 }, ErrNotFAT},
		"nine tables":             {func(b []byte) { b[16] = 9 }, ErrNotFAT},
		"a table of nothing":      {func(b []byte) { le.PutUint16(b[22:], 0) }, ErrNotFAT},
		"a table too short":       {func(b []byte) { le.PutUint16(b[22:], 1) }, ErrDamaged},
		"tables past the end":     {func(b []byte) { le.PutUint16(b[22:], 0xffff) }, ErrDamaged},
		"no root":                 {func(b []byte) { le.PutUint16(b[17:], 0) }, ErrNotFAT},
		"half a root":             {func(b []byte) { le.PutUint16(b[17:], 3) }, ErrNotFAT},
		"larger than the disk":    {func(b []byte) { le.PutUint16(b[19:], 0); le.PutUint32(b[32:], 0xffffffff) }, ErrDamaged},
		"no sectors":              {func(b []byte) { le.PutUint16(b[19:], 0); le.PutUint32(b[32:], 0) }, ErrDamaged},
		"reserved past the end":   {func(b []byte) { le.PutUint16(b[14:], 0xffff) }, ErrDamaged},
		"NTFS":                    {func(b []byte) { copy(b[3:], "NTFS    ") }, ErrNotFAT},
		"an empty partition list": {func(b []byte) { clear(b[:446]); clear(b[446:510]) }, ErrNotFAT},
	} {
		b := bytes.Clone(base)
		c.change(b)
		_, err := Open(bytes.NewReader(b), int64(len(b)))
		require.ErrorIs(t, err, c.want, name)
		_, _, err = Find(bytes.NewReader(b), int64(len(b)))
		require.Error(t, err, name)
	}
	for _, size := range []int64{0, 1, 511} {
		_, err := Open(bytes.NewReader(base), size)
		require.ErrorIs(t, err, ErrNotFAT)
		_, _, err = Find(bytes.NewReader(base), size)
		require.ErrorIs(t, err, ErrNotFAT)
	}
}

// The head of a volume is worth no memory: 2 TiB that are claimed and there (a stick may say anything) cost nothing.
func TestAHeadTakesNoMemory(t *testing.T) {
	b := make([]byte, 512)
	le := binary.LittleEndian
	le.PutUint16(b[11:], 512)
	b[13], b[16] = 1, 2
	le.PutUint16(b[14:], 32)
	le.PutUint32(b[32:], 0xfffffff0)
	le.PutUint32(b[36:], 0x01000000)
	le.PutUint32(b[44:], 2)
	b[510], b[511] = 0x55, 0xaa
	huge := &sparse{b}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	v, err := Open(huge, 1<<41)
	require.ErrorIs(t, err, ErrDamaged) // 2^32 sectors have more clusters than FAT32 can name
	le.PutUint32(b[32:], 0x0fff0000)
	v, err = Open(huge, 1<<41)
	require.NoError(t, err)
	_, err = v.ReadDir("")
	require.ErrorIs(t, err, ErrDamaged, "its root is a free cluster")
	require.Error(t, Replace(&recorder{data: b}, 1<<41, "x", strings.NewReader("x"), 1))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

// sparse is a disk of zeros behind some bytes.
type sparse struct{ head []byte }

func (s *sparse) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	if off < int64(len(s.head)) {
		copy(b, s.head[off:])
	}
	return len(b), nil
}

// Chains that go in circles, into each other, out of the volume, and folders that contain themselves: an error, after
// little reading.
func TestHostileChains(t *testing.T) {
	base := small(t)
	v, err := Open(bytes.NewReader(base), int64(len(base)))
	require.NoError(t, err)
	f, err := v.Open("metadata/1.root.json")
	require.NoError(t, err)
	first := f.pieces[0].first
	folder, err := v.walk("metadata")
	require.NoError(t, err)
	slot := bytes.Index(base, []byte("METADATA   "))
	entry16 := func(b []byte, c uint32, value uint16) {
		binary.LittleEndian.PutUint16(b[v.g.tables[0]+v.g.entryAt(c):], value)
	}
	for name, change := range map[string]func(b []byte){
		"a file in a circle":      func(b []byte) { entry16(b, first+2, uint16(first)) },
		"a file that ends early":  func(b []byte) { entry16(b, first, 0xffff) },
		"a file in free clusters": func(b []byte) { entry16(b, first, 0) },
		"a file beyond the end":   func(b []byte) { entry16(b, first, 0xffe0) },
		"a file of cluster 1":     func(b []byte) { entry16(b, first, 1) },
	} {
		b := bytes.Clone(base)
		change(b)
		v, err := Open(bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		_, err = v.Open("metadata/1.root.json")
		require.ErrorIs(t, err, ErrDamaged, name)
	}
	for name, change := range map[string]func(b []byte){
		"a folder in a circle": func(b []byte) { entry16(b, folder.first, uint16(folder.first)) },
		"a folder that never ends": func(b []byte) {
			for c := folder.first; c < 9000; c++ {
				entry16(b, c, uint16(c+1))
			}
		},
		"a folder that is the root": func(b []byte) { binary.LittleEndian.PutUint16(b[slot+26:], 0) },
		"a folder outside":          func(b []byte) { binary.LittleEndian.PutUint16(b[slot+26:], 0xffee) },
		"a file larger than a stick": func(b []byte) {
			b[slot+11] = 0x20
			binary.LittleEndian.PutUint32(b[slot+28:], 0xfffffff0)
		},
	} {
		b := bytes.Clone(base)
		change(b)
		c := &counting{ReaderAt: bytes.NewReader(b)}
		v, err := Open(c, int64(len(b)))
		require.NoError(t, err)
		if b[slot+11] == 0x20 {
			_, err = v.Open("metadata")
		} else {
			_, err = v.ReadDir("metadata")
		}
		require.ErrorIs(t, err, ErrDamaged, name)
		require.Less(t, c.read, int64(8<<20), name)
	}
	b := bytes.Clone(base) // a folder that contains itself: as deep as one asks, and no deeper
	binary.LittleEndian.PutUint16(b[bytes.Index(b, []byte("X          "))+26:], uint16(first))
	copy(b[v.g.clusterAt(folder.first)+2*slotSize:], b[slot:slot+slotSize])
	_, err = everything(bytes.NewReader(b), int64(len(b)))
	require.Error(t, err)
	vol, err := Open(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	_, err = vol.Open(strings.Repeat("metadata/", 40) + "x")
	require.ErrorIs(t, err, ErrMissing)
}

// Names that would fool a person or a program are left out, or stand under their short name.
func TestHostileNames(t *testing.T) {
	slot := func(short string, attr byte) []byte {
		s := make([]byte, slotSize)
		copy(s, short)
		s[11] = attr
		return s
	}
	long := func(name, short string) []byte { return append(longSlots(name, short), slot(short, 0x20)...) }
	for _, c := range []struct {
		why  string
		raw  []byte
		want []string
	}{
		{"plain", slot("A       B  ", 0), []string{"A.B"}},
		{"long", long("A long name.txt", "ALONGN~1TXT"), []string{"A long name.txt"}},
		{"control character", slot("A\x01      B  ", 0), []string{""}},
		{"slash", slot("A/..    B  ", 0), []string{""}},
		{"space inside", slot("A B        ", 0), []string{""}},
		{"code page", slot("\x83A         ", 0), []string{""}},
		{"escape in the long name", long("\x1b[2J", "ESC        "), []string{"ESC"}},
		{"path in the long name", long("../../etc/passwd", "PASSWD     "), []string{"PASSWD"}},
		{"dots as a long name", long("..", "DOTS       "), []string{"DOTS"}},
		{"long name of another file", append(longSlots("evil", "OTHER      "), slot("REAL       ", 0)...), []string{"REAL"}},
		{"long name without its end", append(longSlots("a name of two slots", "REAL       ")[:slotSize], slot("REAL       ", 0)...), []string{"REAL"}},
		{"long name in the wrong order", append(append(bytes.Clone(longSlots("a name of two slots", "REAL       ")[slotSize:]),
			longSlots("a name of two slots", "REAL       ")[:slotSize]...), slot("REAL       ", 0)...), []string{"REAL"}},
		{"label between", append(append(longSlots("evil", "REAL       "), slot("REAL       ", 8)...), slot("REAL       ", 0)...), []string{"REAL"}},
		{"after the end", append(make([]byte, slotSize), slot("A          ", 0)...), nil},
		{"deleted", slot("\xe5          ", 0), nil},
	} {
		var got []string
		for _, n := range parseFolder(fat16, c.raw) {
			got = append(got, n.name())
		}
		require.Equal(t, c.want, got, c.why)
	}
	twice := parseFolder(fat16, append(slot("SAME       ", 0), long("same", "OTHER      ")...))
	_, err := find(twice, "Same")
	require.ErrorIs(t, err, ErrDamaged, "two files of one name")
}

// Sticks as they are bought: one partition of an MBR, or of a GPT. The other partitions are something else.
func TestFindsThePartition(t *testing.T) {
	volume := small(t)
	disk := make([]byte, 32<<20)
	disk[510], disk[511] = 0x55, 0xaa
	row := func(n int, kind byte, start, length uint32) {
		b := disk[446+16*n:]
		b[4] = kind
		binary.LittleEndian.PutUint32(b[8:], start)
		binary.LittleEndian.PutUint32(b[12:], length)
	}
	row(0, 0x83, 1, 100)
	row(1, 0x0c, 0xfffffff0, 0xffffffff)
	row(2, 0x0e, 2048, uint32(len(volume)/512))
	copy(disk[1<<20:], volume)
	start, length, err := Find(bytes.NewReader(disk), int64(len(disk)))
	require.NoError(t, err)
	require.Equal(t, []int64{1 << 20, int64(len(volume))}, []int64{start, length})
	files, err := everything(bytes.NewReader(disk), int64(len(disk)))
	require.NoError(t, err)
	require.Equal(t, 4, files)
	row(2, 0x0e, 0, uint32(len(disk)/512))
	_, _, err = Find(bytes.NewReader(disk), int64(len(disk)))
	require.ErrorIs(t, err, ErrNotFAT)

	table := &recorder{data: make([]byte, 32<<20)}
	const kind = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
	require.NoError(t, gpt.Write(table, 32<<20, layout.DiskGUID, []gpt.Entry{
		{Name: "x", Type: kind, GUID: layout.DiskGUID, Start: 1 << 20, Size: 1 << 20},
		{Name: "y", Type: kind, GUID: kind, Start: 2 << 20, Size: int64(len(volume))}}))
	copy(table.data[2<<20:], volume)
	start, length, err = Find(table, 32<<20)
	require.NoError(t, err)
	require.Equal(t, []int64{2 << 20, int64(len(volume))}, []int64{start, length})
	table.data[600] ^= 1
	_, _, err = Find(table, 32<<20)
	require.ErrorIs(t, err, ErrNotFAT)
}

// A disk that gives an error is no word about what is on it.
func TestDiskErrors(t *testing.T) {
	base := small(t)
	errDisk := errors.New("disk")
	for limit := int64(0); limit < int64(len(base)); limit += 40_000 {
		_, err := everything(failing{bytes.NewReader(base), limit, errDisk}, int64(len(base)))
		if err != nil {
			require.ErrorIs(t, err, errDisk, "%d", limit)
			require.NotErrorIs(t, err, ErrDamaged)
		}
	}
}

type failing struct {
	io.ReaderAt
	from int64
	err  error
}

func (f failing) ReadAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > f.from {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(b, off)
}

// patched is a volume with some bytes changed by a fuzzer: pairs of a place (in the parts that say something) and a value.
func patched(base, patch []byte) []byte {
	b := bytes.Clone(base)
	for ; len(patch) >= 4; patch = patch[4:] {
		at := int(patch[0])<<16 | int(patch[1])<<8 | int(patch[2])
		b[at%(64<<10)] = patch[3]
	}
	return b
}

func FuzzVolume(f *testing.F) {
	var bases [][]byte
	for _, args := range [][]string{{"-F", "12"}, {"-F", "16", "-s", "1", "-f", "1", "-r", "64"}, {"-F", "32", "-s", "1", "-f", "1"}} {
		image := mkfs(f, 5<<20, args...)
		r := &recorder{}
		var err error
		r.data, err = os.ReadFile(image)
		require.NoError(f, err)
		if args[1] != "12" {
			require.NoError(f, Create(r, 5<<20, "a file.choba", bytes.NewReader(sample(3000, 1)), 3000))
			require.NoError(f, Create(r, 5<<20, "SHORT", bytes.NewReader(sample(30, 1)), 30))
		}
		bases = append(bases, r.data[:5<<20])
	}
	f.Add(byte(0), []byte{0, 0, 13, 1})
	f.Add(byte(1), []byte{0, 2, 4, 9, 0, 2, 5, 0, 0, 0, 17, 0xff})
	f.Add(byte(2), []byte{0, 64, 8, 3})
	f.Fuzz(func(t *testing.T, which byte, patch []byte) {
		b := patched(bases[int(which)%len(bases)], patch)
		_, _ = everything(bytes.NewReader(b), int64(len(b)))
		l := &layered{b, map[int64][]byte{}}
		if Replace(l, int64(len(b)), "SHORT", strings.NewReader("new"), 3) == nil {
			require.Equal(t, "new", string(content(t, l, int64(len(b)), "SHORT")))
		}
		if Create(l, int64(len(b)), "another file", strings.NewReader("more"), 4) == nil {
			require.Equal(t, "more", string(content(t, l, int64(len(b)), "ANOTHER FILE")))
		}
	})
}

func FuzzFolder(f *testing.F) {
	f.Add(append(longSlots("a name of two slots", "REAL       "), []byte("REAL       \x20                    ")...))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, k := range []kind{fat16, fat32} {
			for _, n := range parseFolder(k, b) {
				require.True(t, n.long == fit(n.long))
				require.False(t, strings.ContainsAny(n.name(), "/\\\x00"))
			}
		}
	})
}
