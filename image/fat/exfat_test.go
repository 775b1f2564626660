package fat

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

// exfatVolume is made by hand from the specification: no program of Debian's puts files into one without a kernel.
type exfatVolume struct {
	b    []byte
	next uint32 // free cluster
}

const (
	exSector, exCluster, exTable, exHeap, exCount = 512, 4096, 24, 64, 1000
)

func newExfat() *exfatVolume {
	v := &exfatVolume{b: make([]byte, exHeap*exSector+exCount*exCluster), next: 3}
	le, b := binary.LittleEndian, v.b
	copy(b, "\xeb\x76\x90EXFAT   ")
	le.PutUint64(b[72:], uint64(len(b)/exSector))
	le.PutUint32(b[80:], exTable)
	le.PutUint32(b[84:], 8)
	le.PutUint32(b[88:], exHeap)
	le.PutUint32(b[92:], exCount)
	le.PutUint32(b[96:], 2)
	le.PutUint16(b[104:], 0x0100)
	b[108], b[109], b[110], b[510], b[511] = 9, 3, 1, 0x55, 0xaa
	v.link(2)
	v.seal()
	return v
}

func (v *exfatVolume) seal() {
	sum := uint32(0)
	for i := range 11 * exSector {
		if i != 106 && i != 107 && i != 112 {
			sum = sum>>1 | sum<<31
			sum += uint32(v.b[i])
		}
	}
	for i := 11 * exSector; i < 12*exSector; i += 4 {
		binary.LittleEndian.PutUint32(v.b[i:], sum)
	}
}

func (v *exfatVolume) at(c uint32) []byte { return v.b[exHeap*exSector+int(c-2)*exCluster:] }

// link chains clusters.
func (v *exfatVolume) link(clusters ...uint32) {
	for i, c := range clusters {
		next := uint32(0xffffffff)
		if i+1 < len(clusters) {
			next = clusters[i+1]
		}
		binary.LittleEndian.PutUint32(v.b[exTable*exSector+int(c)*4:], next)
	}
}

// set are the slots of a file.
func set(name string, attr uint16, flags byte, first uint32, size, valid uint64) []byte {
	units := utf16.Encode([]rune(name))
	names := (len(units) + exfatUnits - 1) / exfatUnits
	s := make([]byte, (2+names)*slotSize)
	le := binary.LittleEndian
	s[0], s[1] = exfatFile, byte(1+names)
	le.PutUint16(s[4:], attr)
	stream := s[slotSize:]
	stream[0], stream[1], stream[3] = exfatStream, flags, byte(len(units))
	le.PutUint64(stream[8:], valid)
	le.PutUint32(stream[20:], first)
	le.PutUint64(stream[24:], size)
	for i, u := range units {
		at := (2 + i/exfatUnits) * slotSize
		s[at] = exfatName
		le.PutUint16(s[at+2+i%exfatUnits*2:], u)
	}
	le.PutUint16(s[2:], exfatSum(s))
	return s
}

// add puts a file into a folder's first cluster: in one piece, or in every second cluster.
func (v *exfatVolume) add(folder uint32, at *int, name string, data []byte, chained bool) {
	n := (len(data) + exCluster - 1) / exCluster
	flags, first := byte(exfatPossible|exfatNoChain), v.next
	var clusters []uint32
	for i := range n {
		c := v.next
		v.next++
		if chained {
			v.next++
		}
		clusters = append(clusters, c)
		copy(v.at(c)[:exCluster], data[i*exCluster:])
	}
	if chained {
		flags = exfatPossible
		v.link(clusters...)
	}
	*at += copy(v.at(folder)[*at:], set(name, attrArchive, flags, first, uint64(len(data)), uint64(len(data))))
}

func exfatSample() *exfatVolume {
	v := newExfat()
	root, folder := 0, 0
	v.at(2)[0] = 0x83 // a label, which is no file
	root += slotSize
	v.add(2, &root, "whole.choba", sample(20_001, 1), false)
	v.add(2, &root, "長い名前の、かけらになったファイル.bin", sample(30_000, 2), true)
	dir := v.next
	v.next++
	root += copy(v.at(2)[root:], set("metadata", attrDir, exfatPossible|exfatNoChain, dir, exCluster, exCluster))
	v.add(dir, &folder, "1.root.json", sample(300, 3), false)
	root += copy(v.at(2)[root:], set("EMPTY", attrArchive, 0, 0, 0, 0))
	late := v.next
	v.next++
	copy(v.at(late), bytes.Repeat([]byte("x"), exCluster))
	copy(v.at(2)[root:], set("written to 5", attrArchive, exfatPossible|exfatNoChain, late, 1000, 5))
	return v
}

func TestReadsExfat(t *testing.T) {
	v := exfatSample()
	vol, err := Open(bytes.NewReader(v.b), int64(len(v.b)))
	require.NoError(t, err)
	require.Equal(t, "exFAT", vol.Kind())
	list, err := vol.ReadDir("")
	require.NoError(t, err)
	require.Equal(t, []Entry{{"whole.choba", false, 20_001}, {"長い名前の、かけらになったファイル.bin", false, 30_000}, {"metadata", true, 0}, {"EMPTY", false, 0}, {"written to 5", false, 1000}}, list)
	require.Equal(t, sample(20_001, 1), readAll(t, vol, "WHOLE.choba"))
	require.Equal(t, sample(30_000, 2), readAll(t, vol, "長い名前の、かけらになったファイル.bin"))
	require.Equal(t, sample(300, 3), readAll(t, vol, "metadata/1.root.json"))
	require.Empty(t, readAll(t, vol, "empty"))
	require.Equal(t, append([]byte("xxxxx"), make([]byte, 995)...), readAll(t, vol, "written to 5"))
	f, err := vol.Open("written to 5")
	require.NoError(t, err)
	b := make([]byte, 4)
	_, err = f.ReadAt(b, 3)
	require.NoError(t, err)
	require.Equal(t, "xx\x00\x00", string(b))
	require.ErrorIs(t, Replace(&recorder{data: v.b}, int64(len(v.b)), "whole.choba", strings.NewReader("x"), 1), ErrNotFAT)
	start, length, err := Find(bytes.NewReader(v.b), int64(len(v.b)))
	require.NoError(t, err)
	require.Equal(t, []int64{0, int64(len(v.b))}, []int64{start, length})
}

func TestHostileExfat(t *testing.T) {
	le := binary.LittleEndian
	for name, change := range map[string]func(b []byte){
		"sectors of 2^8":       func(b []byte) { b[108] = 8 },
		"sectors of 2^13":      func(b []byte) { b[108] = 13 },
		"clusters of 2^20":     func(b []byte) { b[109] = 12 },
		"clusters of 2^264":    func(b []byte) { b[109] = 255 },
		"no tables":            func(b []byte) { b[110] = 0 },
		"larger than the disk": func(b []byte) { le.PutUint64(b[72:], 1<<63) },
		"more clusters":        func(b []byte) { le.PutUint32(b[92:], exCount+1) },
		"no clusters":          func(b []byte) { le.PutUint32(b[92:], 0) },
		"2^32 clusters":        func(b []byte) { le.PutUint32(b[92:], 0xffffffff) },
		"root outside":         func(b []byte) { le.PutUint32(b[96:], exCount+2) },
		"root nowhere":         func(b []byte) { le.PutUint32(b[96:], 0) },
		"table in the head":    func(b []byte) { le.PutUint32(b[80:], 3) },
		"table too short":      func(b []byte) { le.PutUint32(b[84:], 7) },
		"table into the heap":  func(b []byte) { le.PutUint32(b[84:], 41) },
		"second table that is": func(b []byte) { le.PutUint16(b[106:], 1) },
		"heap past the end":    func(b []byte) { le.PutUint32(b[88:], 0xffffffff) },
		"any byte of the head": func(b []byte) { b[200] ^= 1 },
		"checksum":             func(b []byte) { b[11*exSector] ^= 1 },
	} {
		v := exfatSample()
		change(v.b)
		if name != "any byte of the head" && name != "checksum" {
			v.seal()
		}
		_, err := Open(bytes.NewReader(v.b), int64(len(v.b)))
		require.True(t, err != nil && verdict(err), "%s: %v", name, err)
	}
	open := func(slots []byte, v *exfatVolume) error {
		copy(v.at(2), slots)
		vol, err := Open(bytes.NewReader(v.b), int64(len(v.b)))
		require.NoError(t, err)
		_, err = vol.Open("x")
		if err == nil {
			_, err = vol.ReadDir("x")
		}
		return err
	}
	v := newExfat()
	v.link(9, 10, 9)
	for name, c := range map[string]struct {
		slots []byte
		want  error
	}{
		"in a circle":        {set("x", 0x20, 1, 9, 20_000, 20_000), ErrDamaged},
		"in a free cluster":  {set("x", 0x20, 1, 50, 20_000, 20_000), ErrDamaged},
		"leaves the volume":  {set("x", 0x20, 3, exCount, 20_000, 20_000), ErrDamaged},
		"nowhere":            {set("x", 0x20, 3, 0, 20_000, 20_000), ErrDamaged},
		"no clusters at all": {set("x", 0x20, 0, 0, 20_000, 20_000), ErrDamaged},
		"2^61 bytes":         {set("x", 0x20, 3, 3, 1<<61, 0), ErrDamaged},
		"2^63 bytes":         {set("x", 0x20, 3, 3, 1<<63, 0), ErrMissing},
		"valid beyond":       {set("x", 0x20, 3, 3, 5, 6), ErrMissing},
		"wrong checksum":     {func() []byte { s := set("x", 0x20, 3, 3, 5, 5); s[2] ^= 1; return s }(), ErrMissing},
		"name too short": {func() []byte {
			s := set("x", 0x20, 3, 3, 5, 5)
			s[slotSize+3] = 40
			le.PutUint16(s[2:], exfatSum(s))
			return s
		}(), ErrMissing},
		"folder of 2^61": {set("x", 0x10, 3, exCount, 1<<61, 1<<61), ErrMissing},
		"path as a name": {set("../x", 0x20, 3, 3, 5, 5), ErrMissing},
	} {
		require.ErrorIs(t, open(c.slots, v), c.want, name)
	}
	copy(v.at(2), set("x", 0x10, 0, 0, 1<<61, 1<<61)) // a folder of no clusters and 2^61 bytes
	vol, err := Open(bytes.NewReader(v.b), int64(len(v.b)))
	require.NoError(t, err)
	_, err = vol.ReadDir("x")
	require.ErrorIs(t, err, ErrDamaged)
}

func FuzzExfat(f *testing.F) {
	base := exfatSample()
	f.Add([]byte{0, 0, 109, 1}, true)
	f.Add([]byte{0, 128, 33, 3}, false)
	f.Fuzz(func(t *testing.T, patch []byte, sealed bool) {
		v := &exfatVolume{b: patched(base.b, patch)}
		if sealed {
			v.seal()
		}
		_, _ = everything(bytes.NewReader(v.b), int64(len(v.b)))
	})
}
