package slot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/layout"
)

const stateSize = 128 << 10 // of the state partition, only what the record needs

func newState() *frametest.Disk { return frametest.New(stateSize) }

func text(t testing.TB, r Record) string {
	b, err := r.Encode()
	require.NoError(t, err)
	return string(b)
}

// Golden bytes of a stored copy.
func TestStoredGolden(t *testing.T) {
	s := newState()
	require.NoError(t, Store(s, full()))
	copy1, copy2 := s.Data[:4096], s.Data[64<<10:][:4096]
	require.Equal(t, "43484f42412d534c4f54532d31000000"+"0100000000000000"+"da010000"+"00000000", hex.EncodeToString(copy1[:32]))
	sum := sha256.Sum256(append(bytes.Clone(copy1[:32]), copy1[64:]...))
	require.Equal(t, sum[:], copy1[32:64])
	require.Equal(t, text(t, full()), string(bytes.TrimRight(copy1[64:], "\x00")))
	require.Equal(t, byte(2), copy2[16], "a fresh record is written to both copies")
}

func TestLoadSays(t *testing.T) {
	s := newState()
	rec, src, err := Load(s)
	require.ErrorIs(t, err, frame.ErrUnreadable)
	require.ErrorContains(t, err, "never written")
	require.Equal(t, Default(), rec)
	require.Equal(t, 0, src.Copy)

	require.NoError(t, Store(s, full()))
	rec, src, err = Load(s)
	require.NoError(t, err)
	require.Equal(t, full(), rec)
	require.Equal(t, Source{Copy: 2, Generation: 2}, src)

	_, _, err = Load(bytes.NewReader(s.Data[:100]))
	require.ErrorIs(t, err, io.EOF, "a partition that cannot be read is an error, not an empty record")
}

// A whole frame around a text of another release's format: Default, and why.
func TestLoadUnknownText(t *testing.T) {
	s := newState()
	require.NoError(t, pair().Store(s, []byte("choba slots 2\n")))
	rec, src, err := Load(s)
	require.ErrorContains(t, err, "not a slot record")
	require.Equal(t, Default(), rec)
	require.Equal(t, 0, src.Copy)
}

// Any single byte of either copy changed (A51: the way back is never guessed): the
// other copy is used, the damage is named, and both damaged give Default.
func TestEverySingleByte(t *testing.T) {
	base := newState()
	require.NoError(t, Store(base, Record{Reason: "older"}))
	require.NoError(t, Store(base, Record{Reason: "old"})) // copy 1, generation 3
	require.NoError(t, Store(base, full()))                // copy 2, generation 4
	offsets := [2]int64{layout.RecordCopy1, layout.RecordCopy2}
	want := [2]Record{full(), {Reason: "old"}} // what is left when copy 1, copy 2 is damaged
	for c := range 2 {
		for i := range layout.RecordSize {
			for _, flip := range []byte{1, 0x80} {
				at := offsets[c] + int64(i)
				base.Data[at] ^= flip
				rec, src, err := Load(base)
				require.NoError(t, err)
				require.Equal(t, 2-c, src.Copy)
				require.Error(t, src.Problem[c])
				require.NoError(t, src.Problem[1-c])
				require.Equal(t, text(t, want[c]), text(t, rec))
				base.Data[at] ^= flip
			}
		}
	}
	base.Data[5] ^= 1
	base.Data[layout.RecordCopy2+5] ^= 1
	rec, src, err := Load(base)
	require.ErrorIs(t, err, frame.ErrUnreadable)
	require.Equal(t, Default(), rec)
	require.Equal(t, 0, src.Copy)
	require.NoError(t, Store(base, full()), "a lost record can be written again")
	rec, _, err = Load(base)
	require.NoError(t, err)
	require.Equal(t, full(), rec)
}

// The copies exchanged: both whole, so the newer one is still the newer one.
func TestSwappedCopies(t *testing.T) {
	s := newState()
	require.NoError(t, Store(s, Record{Reason: "old"}))
	require.NoError(t, Store(s, full()))
	a, b := s.Data[layout.RecordCopy1:][:layout.RecordSize], s.Data[layout.RecordCopy2:][:layout.RecordSize]
	tmp := bytes.Clone(a)
	copy(a, b)
	copy(b, tmp)
	rec, _, err := Load(s)
	require.NoError(t, err)
	require.Equal(t, full(), rec)
}

// Power cut after every sector of a Store, the sectors in both orders: the old
// record or the new one.
func TestStorePowerCut(t *testing.T) {
	long := full()
	for i := range MaxFailed - len(long.Failed) { // let the text span several sectors
		long.Failed = append(long.Failed, Failure{uint64(i), hash(byte(i + 1))})
	}
	for _, reverse := range []bool{false, true} {
		base := newState()
		require.NoError(t, Store(base, full()))
		outcomes := map[string]int{}
		for cut := range 10 {
			s := base.Clone()
			s.Left, s.Reverse = cut, reverse
			err := Store(s, long)
			require.Equal(t, cut <= 8, err != nil, "cut %d", cut) // 8 sectors, then the flush
			s.Left = -1
			rec, _, err := Load(s)
			require.NoError(t, err)
			require.Contains(t, []string{text(t, full()), text(t, long)}, text(t, rec), "reverse %v cut %d", reverse, cut)
			outcomes[text(t, rec)]++
		}
		require.Len(t, outcomes, 2, "both outcomes were seen")
	}
}

// The whole life of an update with the power cut at every sector of every Store, in
// both orders, followed by a recovery that goes by the record: it always finds the
// record before or after the step, never loses the committed release, and never
// gives the new one more boots than Tries.
func TestSequencePowerCut(t *testing.T) {
	newRelease := Release{Version: 2, Manifest: hash(2)}
	found := map[Name]Release{A: {Version: 1, Manifest: hash(1)}, B: newRelease}
	steps := []func(Record) (Record, error){
		func(r Record) (Record, error) { return Clear(r, B) },
		func(r Record) (Record, error) { return Offer(r, B, 2, hash(2), false) },
		func(r Record) (Record, error) { return SpendTrial(r, B) },
		func(r Record) (Record, error) { return SpendTrial(r, B) },
		func(r Record) (Record, error) { return SpendTrial(r, B) },
		func(r Record) (Record, error) { r, _ = Settle(r); return r, nil },
		func(r Record) (Record, error) { return MarkUnready(r, A) },
		func(r Record) (Record, error) { return MarkReady(r, A, 1, hash(1)) },
	}
	cuts := 0
	for _, reverse := range []bool{false, true} {
		disk := newState()
		rec := Record{A: good(1, 1), B: good(1, 1), Preferred: A}
		require.NoError(t, Store(disk, rec))
		for n, step := range steps {
			next, err := step(rec)
			require.NoError(t, err, "step %d", n)
			for cut := range 9 {
				s := disk.Clone()
				s.Left, s.Reverse = cut, reverse
				require.ErrorIs(t, Store(s, next), frametest.ErrPower)
				s.Left = -1
				got, _, err := Load(s)
				require.NoError(t, err)
				require.Contains(t, []string{text(t, rec), text(t, next)}, text(t, got), "step %d cut %d", n, cut)
				bootToTheEnd(t, s, found, fmt.Sprintf("reverse %v step %d cut %d", reverse, n, cut))
				cuts++
			}
			require.NoError(t, Store(disk, next))
			rec = next
		}
	}
	t.Logf("%d cut points", cuts)
}

// bootToTheEnd lets recovery boot from a disk on which nothing but slot a ever
// reaches ready, and demands that a is reached within the new release's tries.
func bootToTheEnd(t *testing.T, s *frametest.Disk, found map[Name]Release, what string) {
	for boots := range Tries + 2 {
		rec, _, err := Load(s)
		require.NoError(t, err, what)
		rec, _ = Settle(rec)
		c := Choose(rec, found)[0]
		require.True(t, c.Usable, "%s boot %d: %s", what, boots, c.Reason)
		rec, err = Depart(rec, c)
		require.NoError(t, err, what)
		require.NoError(t, Store(s, rec), what)
		if c.Slot == A {
			rec, err = MarkReady(rec, A, found[A].Version, found[A].Manifest)
			require.NoError(t, err, what)
			require.NoError(t, Store(s, rec), what)
			return
		}
	}
	t.Fatalf("%s: slot a was never booted", what)
}
