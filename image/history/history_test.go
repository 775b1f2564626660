package history

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/layout"
)

const stateSize = 4 * layout.MiB

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func entry(n int) Entry {
	return Entry{Kind: Passed, Wall: noon.Add(time.Duration(n) * time.Second), Text: Text("slot", "b", "reason", fmt.Sprintf("number %d", n))}
}

func load(t testing.TB, r io.ReaderAt) []Entry {
	all, err := Load(r)
	require.NoError(t, err)
	return all
}

// numbers are the sequence numbers of records.
func numbers(all []Entry) (out []int) {
	for _, e := range all {
		out = append(out, int(e.Seq))
	}
	return out
}

func count(from, to int) (out []int) {
	for n := from; n <= to; n++ {
		out = append(out, n)
	}
	return out
}

// Golden bytes: what is on disks in the field stays readable.
func TestGolden(t *testing.T) {
	d := frametest.New(stateSize)
	require.NoError(t, Append(d, Entry{Kind: Failed, Wall: noon, Text: `{"reason":"会計","slot":"b"}`}))
	sector := d.Data[layout.HistoryStart+RecordSize:][:RecordSize] // number 1
	require.Equal(t, "43484f42412d484953544f52592d3100"+"0100000000000000"+"33000000"+"00000000", hex.EncodeToString(sector[:32]))
	require.Equal(t, `1795348800000 failed {"reason":"会計","slot":"b"}`, string(bytes.TrimRight(sector[64:], "\x00")))
	require.Equal(t, []Entry{{1, Failed, noon, `{"reason":"会計","slot":"b"}`}}, load(t, d))
}

func TestRing(t *testing.T) {
	d := frametest.New(stateSize)
	require.Empty(t, load(t, d))
	for n := 1; n <= Records+20; n++ {
		require.NoError(t, Append(d, entry(n)))
	}
	all := load(t, d)
	require.Equal(t, count(21, Records+20), numbers(all), "the oldest went")
	require.Equal(t, entry(21).Text, all[0].Text)
	require.Equal(t, Records+20, d.Syncs, "each record was flushed")
	outside := bytes.Clone(d.Data)
	clear(outside[layout.HistoryStart : layout.HistoryStart+layout.HistorySize])
	require.Empty(t, bytes.Trim(outside, "\x00"), "nothing else was written")
}

// TestEveryCut: whatever instant the power goes at, older records stay, and the next
// append goes on.
func TestEveryCut(t *testing.T) {
	full := frametest.New(stateSize)
	for n := range Records + 2 {
		require.NoError(t, Append(full, entry(n)))
	}
	for left := range 2 {
		d := full.Clone()
		d.Left = left
		require.ErrorIs(t, Append(d, entry(0)), frametest.ErrPower)
		got := numbers(load(t, d))
		require.Subset(t, got, count(4, Records+2), "all but the place of the oldest")
		d.Left = -1
		require.NoError(t, Append(d, entry(0)))
		got = numbers(load(t, d))
		require.Equal(t, got[0]+Records-1, got[len(got)-1])
	}
	// A sector that was torn, byte by byte.
	d := full.Clone()
	require.NoError(t, Append(d, entry(0)))
	at := int(layout.HistoryStart) + (Records+3)%Records*RecordSize
	torn := full.Clone()
	for cut := range RecordSize {
		copy(torn.Data[at:at+cut], d.Data[at:])
		got := numbers(load(t, torn))
		require.Subset(t, got, count(4, Records+2), "cut at %d", cut)
		require.LessOrEqual(t, len(got), Records)
	}
}

// TestEveryByte: no altered byte of a record is taken for a record.
func TestEveryByte(t *testing.T) {
	d := frametest.New(stateSize)
	require.NoError(t, Append(d, entry(1)))
	require.NoError(t, Append(d, entry(2)))
	for i := range RecordSize {
		at := layout.HistoryStart + RecordSize + int64(i)
		d.Data[at] ^= 0x10
		require.Equal(t, []int{2}, numbers(load(t, d)), "byte %d", i)
		d.Data[at] ^= 0x10
	}
	moved := d.Clone()
	copy(moved.Data[layout.HistoryStart+9*RecordSize:], moved.Data[layout.HistoryStart+RecordSize:][:RecordSize])
	require.Equal(t, []int{1, 2}, numbers(load(t, moved)), "a record in another's place is none")
}

func TestCopied(t *testing.T) {
	d := frametest.New(stateSize)
	require.Error(t, MarkCopied(d, 1), "there is no record 1")
	for n := range 3 {
		require.NoError(t, Append(d, entry(n)))
	}
	all := load(t, d)
	require.Zero(t, Copied(all))
	require.Equal(t, []int{1, 2, 3}, numbers(Fresh(all)))

	require.NoError(t, MarkCopied(d, 2))
	require.Equal(t, []int{3}, numbers(Fresh(load(t, d))))
	require.NoError(t, MarkCopied(d, 3))
	all = load(t, d)
	require.Equal(t, uint64(3), Copied(all))
	require.Empty(t, Fresh(all))
	require.NoError(t, MarkCopied(d, 3))
	require.NoError(t, MarkCopied(d, 1))
	require.Len(t, load(t, d), len(all), "known already: nothing is written")
	require.Error(t, MarkCopied(d, 99))

	require.NoError(t, Append(d, entry(7)))
	require.Equal(t, []int{6}, numbers(Fresh(load(t, d))))
}

// TestCopiedIsNeverTooMuch: a number that was marked as copied is not given to another
// record, even when the records behind it were damaged.
func TestCopiedIsNeverTooMuch(t *testing.T) {
	d := frametest.New(stateSize)
	for n := range 3 {
		require.NoError(t, Append(d, entry(n)))
	}
	require.NoError(t, MarkCopied(d, 3))
	require.NoError(t, MarkCopied(d, 4)) // the first mark, which is a record as well
	for seq := 1; seq <= 4; seq++ {
		d.Data[layout.HistoryStart+int64(seq*RecordSize)+70] ^= 1
	}
	require.NoError(t, Append(d, entry(9)))
	require.Equal(t, []int{6}, numbers(Fresh(load(t, d))))

	// Through many rounds of the ring every record is copied once.
	d, seen := frametest.New(stateSize), 0
	for n := range 2 * Records {
		require.NoError(t, Append(d, entry(n)))
		if n%100 == 99 || n == 2*Records-1 {
			fresh := Fresh(load(t, d))
			seen += len(fresh)
			require.NoError(t, MarkCopied(d, fresh[len(fresh)-1].Seq))
		}
	}
	require.Equal(t, 2*Records, seen)
}

func TestAppendRefuses(t *testing.T) {
	for name, e := range map[string]Entry{
		"no kind":        {Text: "{}"},
		"upper case":     {Kind: "Failed", Text: "{}"},
		"space in kind":  {Kind: "not ready", Text: "{}"},
		"long kind":      {Kind: strings.Repeat("k", MaxKind+1), Text: "{}"},
		"no text":        {Kind: Failed},
		"no object":      {Kind: Failed, Text: `"text"`},
		"broken JSON":    {Kind: Failed, Text: `{"a":`},
		"two lines":      {Kind: Failed, Text: "{\"a\":\n1}"},
		"too long":       {Kind: Failed, Text: `{"a":"` + strings.Repeat("x", MaxText) + `"}`},
		"a distant time": {Kind: Failed, Text: "{}", Wall: time.Unix(1<<60, 0)},
	} {
		d := frametest.New(stateSize)
		require.Error(t, Append(d, e), name)
		require.Empty(t, load(t, d), name)
	}
	d := frametest.New(stateSize)
	require.NoError(t, Append(d, Entry{Kind: strings.Repeat("k", MaxKind), Text: `{"a":"` + strings.Repeat("x", MaxText-8) + `"}`,
		Wall: time.UnixMilli(-1 << 53)}), "the largest record fits its sector")
	_, err := Load(bytes.NewReader(make([]byte, layout.HistoryStart+5)))
	require.ErrorContains(t, err, "reading history")
}

func TestText(t *testing.T) {
	require.Equal(t, `{"reason":"a \"b\"","slot":"b"}`, Text("slot", "b", "reason", `a "b"`))
	require.Equal(t, `{}`, Text())
	require.Equal(t, `{"a":"?"}`, Text("a", "\xff"))
	long := Text("slot", "b", "reason", strings.Repeat("会", 300))
	require.LessOrEqual(t, len(long), MaxText)
	require.Greater(t, len(long), MaxText-4)
	require.Contains(t, long, `"slot":"b"`)
	require.NoError(t, Append(frametest.New(stateSize), Entry{Kind: Failed, Text: long}))
	require.NoError(t, Append(frametest.New(stateSize), Entry{Kind: Failed, Text: Text(strings.Repeat("n", 500), "v")}))
}

func FuzzDecode(f *testing.F) {
	e := entry(1)
	e.Seq = 7
	block, err := encode(e)
	require.NoError(f, err)
	f.Add(block[64:], uint64(7))
	f.Add([]byte("0 lost {}"), uint64(1))
	f.Add([]byte("01 lost {}"), uint64(1))
	f.Fuzz(func(t *testing.T, payload []byte, seq uint64) {
		e, ok := decode(frameOf(t, payload, seq))
		if !ok {
			return
		}
		again, err := encode(e)
		require.NoError(t, err)
		require.Equal(t, frameOf(t, payload, seq), again, "one spelling")
	})
}

// FuzzLoad: a ring full of garbage is read, and written to.
func FuzzLoad(f *testing.F) {
	d := frametest.New(stateSize)
	require.NoError(f, Append(d, entry(1)))
	f.Add(d.Data[layout.HistoryStart:][:4*RecordSize])
	f.Fuzz(func(t *testing.T, ring []byte) {
		d := frametest.New(stateSize)
		copy(d.Data[layout.HistoryStart:layout.HistoryStart+layout.HistorySize], ring)
		before := load(t, d)
		require.NoError(t, Append(d, entry(5)))
		after := load(t, d)
		require.Equal(t, entry(5).Text, after[len(after)-1].Text)
		require.GreaterOrEqual(t, len(after), len(before))
	})
}

func FuzzText(f *testing.F) {
	f.Add("slot", "b\x00\xff会<>", strings.Repeat("\x01", 300))
	f.Fuzz(func(t *testing.T, name, a, b string) {
		require.NoError(t, Append(frametest.New(stateSize), Entry{Kind: Failed, Text: Text(name, a, "reason", b)}))
	})
}

// frameOf is a sector with any payload.
func frameOf(t *testing.T, payload []byte, seq uint64) []byte {
	block, err := frame.Encode(magic, seq, payload[:min(len(payload), RecordSize-frame.HeaderSize)], RecordSize)
	require.NoError(t, err)
	return block
}
