package segment_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/choba-os/choba/services/journal/segment"
)

func record(kind segment.Kind, body string) []byte { return in(0, kind, body) }

func in(begin int, kind segment.Kind, body string) []byte {
	return segment.Append(nil, segment.Record{Kind: kind, Begin: int64(begin), Body: []byte(body)})
}

// What format 1 is, byte for byte.
func TestGoldenBytes(t *testing.T) {
	require.Equal(t, "f5434a45"+"02000000"+"07000000"+"e42a02d5"+"7b7d", hex.EncodeToString(in(7, segment.KindEntry, "{}")))
	text, err := segment.EncodeHead(head())
	require.NoError(t, err)
	require.Equal(t, `{"format":"choba journal segment 1","origin":"choba/a/b","first":2,"bytes":8192,"device":"D","session":"S","checkpoint":"C\n",`+
		`"edge":["NVPrNRraxwz1yqT++hyvjOxyZAP+SzTBTxu42YDCC5U="]}`, string(text))
	require.Equal(t, "0000000000001234.segment", segment.FileName(1234))
}

func head() segment.Head {
	return segment.Head{Origin: "choba/a/b", First: 2, Bytes: 8192, Device: "D", Session: "S", Checkpoint: "C\n", Edge: []tlog.Hash{tlog.RecordHash([]byte("y"))}}
}

func TestRecordRoundTripAndEveryOneByteChange(t *testing.T) {
	for _, kind := range []segment.Kind{segment.KindHead, segment.KindEntry, segment.KindCheckpoint} {
		text := record(kind, "body of it")
		r, err := segment.Parse(append(bytes.Clone(text), "what follows"...))
		require.NoError(t, err)
		require.Equal(t, segment.Record{Kind: kind, Body: []byte("body of it")}, r)
		require.EqualValues(t, len(text), r.Len())
		for i := range text {
			for bit := range 8 {
				bad := bytes.Clone(text)
				bad[i] ^= 1 << bit
				_, err := segment.Parse(bad)
				require.Error(t, err, "byte %d, bit %d", i, bit)
			}
			_, err := segment.Parse(text[:i])
			require.ErrorIs(t, err, segment.ErrShort)
		}
	}
	require.Panics(t, func() { segment.Append(nil, segment.Record{Kind: segment.KindEntry}) })
	require.Panics(t, func() { segment.Append(nil, segment.Record{Kind: 'X', Body: []byte("x")}) })
	require.Panics(t, func() {
		segment.Append(nil, segment.Record{Kind: segment.KindEntry, Body: make([]byte, segment.MaxBody+1)})
	})
}

func TestHeadRoundTripAndRefusals(t *testing.T) {
	text, err := segment.EncodeHead(head())
	require.NoError(t, err)
	back, err := segment.ParseHead(text)
	require.NoError(t, err)
	require.Equal(t, head(), back)
	for name, change := range map[string][2]string{
		"format":         {"segment 1", "segment 2"},
		"unknown field":  {`"bytes"`, `"x":1,"bytes"`},
		"spelling":       {`"first":2`, `"first": 2`},
		"size":           {`8192`, `8191`},
		"no checkpoint":  {`"C\n"`, `""`},
		"no session":     {`"S"`, `""`},
		"first of all":   {`"first":2`, `"first":0`},
		"bad hash":       {`NVPr`, `NVP*`},
		"short hash":     {`NVPr`, ``},
		"idle hash bits": {`C5U=`, `C5V=`},
		"negative first": {`"first":2`, `"first":-2`},
	} {
		bad := strings.Replace(string(text), change[0], change[1], 1)
		require.NotEqual(t, string(text), bad, name)
		_, err := segment.ParseHead([]byte(bad))
		require.Error(t, err, name)
	}
}

func TestFileNames(t *testing.T) {
	first, ok := segment.ParseFileName("0000000000001234.segment")
	require.True(t, ok)
	require.EqualValues(t, 1234, first)
	for _, name := range []string{"", "1234.segment", "000000000000123x.segment", "-000000000001234.segment", "0000000000001234.segment.new", "9999999999999999999999.segment"} {
		_, ok := segment.ParseFileName(name)
		require.False(t, ok, name)
	}
}

// file is a segment of those parts, filled up with zeros.
func file(size int, parts ...[]byte) *bytes.Reader {
	text := make([]byte, size)
	copy(text, bytes.Join(parts, nil))
	return bytes.NewReader(text)
}

func TestScanner(t *testing.T) {
	a, b := record(segment.KindEntry, "a"), record(segment.KindCheckpoint, strings.Repeat("b", segment.MaxBody))
	next := in(len(a)+len(b), segment.KindEntry, "a")
	f := file(200<<10, a, b, next)
	scan := segment.NewScanner(f, 0, f.Size())
	at := int64(0)
	for _, want := range [][]byte{a, b, next} {
		r, off, err := scan.Next()
		require.NoError(t, err)
		require.Equal(t, at, off)
		require.Equal(t, want[segment.HeadBytes:], r.Body)
		at += r.Len()
	}
	for range 2 {
		_, off, err := scan.Next()
		require.Equal(t, io.EOF, err)
		require.Equal(t, at, off)
	}
	for name, c := range map[string]struct {
		f    *bytes.Reader
		want error
	}{
		"end of file":        {file(len(a)+5, a), io.EOF},
		"zeros":              {file(len(a)+50, a), io.EOF},
		"rubbish":            {file(100, a, []byte("rubbish")), segment.ErrMark},
		"unknown kind":       {file(100, a, a[:3], []byte("X")), segment.ErrKind},
		"absurd length":      {file(100, a, a[:4], []byte{255, 255, 255, 255}), segment.ErrLength},
		"no length":          {file(100, a, a[:4]), segment.ErrLength},
		"behind the end":     {file(len(a)+15, a, b), segment.ErrShort},
		"cut in the head":    {file(len(a)+5, a, b), segment.ErrShort},
		"of another commit":  {file(300, a, in(1, segment.KindEntry, "a")), segment.ErrBegin},
		"cut after the head": {file(300<<10, a, b[:50]), segment.ErrSum},
	} {
		scan := segment.NewScanner(c.f, 0, c.f.Size())
		_, _, err := scan.Next()
		require.NoError(t, err, name)
		_, _, err = scan.Next()
		require.ErrorIs(t, err, c.want, name)
	}
}

func TestFindOverTheEdgesOfItsBuffer(t *testing.T) {
	a := record(segment.KindEntry, "a")
	for _, at := range []int{0, 1, 1<<20 - 17, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 - 2} {
		text := bytes.Repeat([]byte{0xF5}, at)
		f := file(4<<20, text, a)
		_, found, end, ok, err := segment.Find(f, 0, f.Size())
		require.NoError(t, err)
		require.True(t, ok, at)
		require.EqualValues(t, at, found)
		require.EqualValues(t, at+len(a), end)
	}
	_, _, _, ok, err := segment.Find(file(100), 0, 100)
	require.NoError(t, err)
	require.False(t, ok)
}

// A commit is e e c. Whatever mixture of its bytes and zeros a power cut leaves is torn; anything behind a second
// commit is not.
func TestTorn(t *testing.T) {
	build := func(begin int) []byte {
		e := in(begin, segment.KindEntry, "an entry")
		return bytes.Join([][]byte{e, e, in(begin, segment.KindCheckpoint, "a checkpoint")}, nil)
	}
	gone := func(b []byte, from, to int) []byte {
		b = bytes.Clone(b)
		clear(b[from:to])
		return b
	}
	commit := build(0)
	good, n := int64(len(commit)), len(commit)
	for from := range n {
		for to := from + 1; to <= n; to++ {
			f := file(4096, commit, gone(build(n), from, to))
			end, err := segment.Torn(f, good, f.Size())
			require.NoError(t, err, "%d to %d", from, to)
			require.LessOrEqual(t, end, 2*good)
			if from > 0 {
				require.Greater(t, end, good)
			}
			f = file(4096, commit, gone(build(n), from, to), build(2*n))
			_, err = segment.Torn(f, good, f.Size())
			var damage *segment.Damage
			require.ErrorAs(t, err, &damage, "%d to %d: a later commit proves that this one was acknowledged", from, to)
		}
	}
	end, err := segment.Torn(file(4096, commit), good, 4096)
	require.NoError(t, err)
	require.Equal(t, good, end)
}

func FuzzParse(f *testing.F) {
	f.Add(record(segment.KindEntry, "{}"))
	f.Add(append(record(segment.KindCheckpoint, "x"), 0, 0))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := segment.Parse(text)
		if err == nil {
			require.Equal(t, text[:r.Len()], segment.Append(nil, r))
		}
		segment.ParseHead(text)
		in := bytes.NewReader(text)
		scan := segment.NewScanner(in, 0, in.Size())
		for at := int64(-1); ; {
			_, off, err := scan.Next()
			require.Greater(t, off, at)
			if at = off; err != nil {
				break
			}
		}
		if end, err := segment.Torn(in, 0, in.Size()); err == nil {
			require.LessOrEqual(t, end, in.Size())
		}
	})
}

func FuzzHead(f *testing.F) {
	text, err := segment.EncodeHead(head())
	require.NoError(f, err)
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := segment.ParseHead(text)
		if err != nil {
			return
		}
		again, err := segment.EncodeHead(h)
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	})
}
