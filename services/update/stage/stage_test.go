package stage

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/services/update/updatetest"
)

const partition = 1 << 20

func key(t testing.TB) note.Signer {
	secret, _, err := note.GenerateKey(rand.Reader, "tester")
	require.NoError(t, err)
	s, err := note.NewSigner(secret)
	require.NoError(t, err)
	return s
}

// three releases: two has one file changed and the last ones moved, three has another changed.
func three(t testing.TB) (one, two, three updatetest.Release) {
	s := key(t)
	make := func(v uint64, files ...updatetest.File) updatetest.Release {
		r, err := updatetest.Make(v, updatetest.EROFS(files...), s)
		require.NoError(t, err)
		return r
	}
	const k = 1 << 10
	one = make(1, updatetest.File{Seed: 1, Size: 90 * k}, updatetest.File{Seed: 2, Size: 50 * k}, updatetest.File{Seed: 3, Size: 200*k + 7})
	two = make(2, updatetest.File{Seed: 1, Size: 90 * k}, updatetest.File{Seed: 4, Size: 61 * k}, updatetest.File{Seed: 3, Size: 200*k + 7})
	three = make(3, updatetest.File{Seed: 5, Size: 30 * k}, updatetest.File{Seed: 4, Size: 61 * k}, updatetest.File{Seed: 3, Size: 200*k + 7})
	return one, two, three
}

type memory map[string][]byte

func (m memory) Load(name string) []byte              { return m[name] }
func (m memory) Store(name string, data []byte) error { m[name] = bytes.Clone(data); return nil }

func serving(rs ...updatetest.Release) *updatetest.Source {
	s := &updatetest.Source{Files: map[string][]byte{}}
	for _, r := range rs {
		s.Files[r.Path] = r.Bundle
	}
	return s
}

// stubborn asks again five times, without waiting.
func stubborn(_ context.Context, failures int) error {
	if failures > 5 {
		return errors.New("gave up")
	}
	return nil
}

func stager(from Ranger, slot frame.Device) *Stager {
	return &Stager{Source: from, Slot: slot, Size: partition, Retry: stubborn}
}

func what(r updatetest.Release) Release { return Release{r.Signed, r.Manifest, r.Path} }

// holding is a slot that holds a release.
func holding(t testing.TB, r updatetest.Release) *frametest.Disk {
	d := frametest.New(partition)
	parts := r.Bundle[layout.HeadSize:]
	tree := parts[r.Manifest.EROFS.Size:]
	require.NoError(t, release.WriteSlot(d, partition, r.Manifest, r.Signed, bytes.NewReader(parts), bytes.NewReader(tree)))
	return d
}

func requireWhole(t testing.TB, d io.ReaderAt, r updatetest.Release) {
	t.Helper()
	signed, err := release.ReadHead(d, partition)
	require.NoError(t, err)
	require.Equal(t, r.Signed, signed)
	require.NoError(t, verity.Verify(d, r.Manifest.Verity))
}

func TestPut(t *testing.T) {
	one, two, three := three(t)
	erofs := func(r updatetest.Release) int64 { return r.Manifest.EROFS.Size }

	t.Run("into an empty slot", func(t *testing.T) {
		d, s := frametest.New(partition), serving(two)
		n, err := stager(s, d).Put(t.Context(), what(two))
		require.NoError(t, err)
		requireWhole(t, d, two)
		require.Equal(t, n.Total, n.Done)
		require.Equal(t, n.Total, n.Fetched)
		require.Equal(t, n.Total+layout.HeadSize, n.Written)
		require.Zero(t, n.Saved())
		require.Equal(t, 100, n.Percent())
		require.Equal(t, []string{
			fmt.Sprintf("%s %d+%d", two.Path, layout.HeadSize+erofs(two), two.Manifest.Tree.Size),
			fmt.Sprintf("%s %d+%d", two.Path, layout.HeadSize, erofs(two)),
		}, s.Asked(), "the tree, then the rest in one go")
	})
	t.Run("beside the release it comes from", func(t *testing.T) {
		d, s := frametest.New(partition), serving(two)
		st := stager(s, d)
		st.Running = holding(t, one)
		n, err := st.Put(t.Context(), what(two))
		require.NoError(t, err)
		requireWhole(t, d, two)
		const changed = 1 + 16 // the list, and the changed file's blocks
		require.EqualValues(t, changed*block+two.Manifest.Tree.Size, n.Fetched)
		require.Equal(t, n.Total-n.Fetched, n.Saved())
		require.Len(t, s.Asked(), 3)
	})
	t.Run("over its predecessor, moved blocks included", func(t *testing.T) {
		d := holding(t, one)
		n, err := stager(serving(two), d).Put(t.Context(), what(two))
		require.NoError(t, err)
		requireWhole(t, d, two)
		const changed, inPlace = 1 + 16, 23
		require.EqualValues(t, changed*block+two.Manifest.Tree.Size, n.Fetched)
		require.EqualValues(t, n.Total-inPlace*block+2*layout.HeadSize, n.Written, "the head is wiped and written")
	})
	t.Run("from both slots", func(t *testing.T) {
		d := holding(t, one)
		st := stager(serving(three), d)
		st.Running = holding(t, two)
		n, err := st.Put(t.Context(), what(three))
		require.NoError(t, err)
		requireWhole(t, d, three)
		require.EqualValues(t, (1+8)*block+three.Manifest.Tree.Size, n.Fetched)
	})
	t.Run("once more", func(t *testing.T) {
		d := holding(t, two)
		st := stager(serving(two), d)
		st.Memory = memory{}
		_, err := st.Put(t.Context(), what(two))
		require.NoError(t, err)
		n, err := st.Put(t.Context(), what(two))
		require.NoError(t, err)
		requireWhole(t, d, two)
		require.Zero(t, n.Fetched, "the tree was kept, the blocks are there")
		require.EqualValues(t, 2*layout.HeadSize, n.Written)
	})
}

func TestPutRefuses(t *testing.T) {
	one, two, _ := three(t)
	t.Run("no room", func(t *testing.T) {
		st := stager(serving(two), frametest.New(partition))
		st.Size = 300 << 10
		_, err := st.Put(t.Context(), what(two))
		require.ErrorIs(t, err, ErrRoom)
	})
	t.Run("3 GiB are signed for", func(t *testing.T) { // such a manifest does not even parse; here is the second fence
		big := what(two)
		big.Manifest.EROFS.Size = 3 << 30
		_, err := stager(serving(two), frametest.New(partition)).Put(t.Context(), big)
		require.ErrorIs(t, err, ErrRoom)
	})
	t.Run("no such bundle", func(t *testing.T) {
		d := holding(t, one)
		_, err := stager(serving(one), d).Put(t.Context(), what(two))
		require.ErrorIs(t, err, source.ErrMissing)
		requireWhole(t, d, one) // nothing was touched
	})
	t.Run("a context that ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := stager(serving(two), frametest.New(partition)).Put(ctx, what(two))
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("no manifest", func(t *testing.T) {
		_, err := stager(serving(two), frametest.New(partition)).Put(t.Context(), Release{Manifest: two.Manifest})
		require.Error(t, err)
	})
}

// Every byte of the bundle's blocks and tree that differs from what was signed is noticed before it is written.
func TestEveryAlteredBlockIsRefused(t *testing.T) {
	_, two, _ := three(t)
	size := two.Manifest.EROFS.Size + two.Manifest.Tree.Size
	for at := int64(0); at < size; at += 1009 {
		bad := two
		bad.Bundle = bytes.Clone(two.Bundle)
		bad.Bundle[layout.HeadSize+at] ^= 4
		d := frametest.New(partition)
		_, err := stager(serving(bad), d).Put(t.Context(), what(two))
		require.ErrorIs(t, err, ErrAltered, "byte %d", at)
		_, err = release.ReadHead(d, partition)
		require.ErrorIs(t, err, frame.ErrEmpty)
		if at < two.Manifest.EROFS.Size {
			place := at / block * block
			require.Equal(t, make([]byte, block), d.Data[place:place+block], "the bad block was not written")
		}
	}
}

func TestSourceWithFaults(t *testing.T) {
	one, two, _ := three(t)
	cases := map[string]struct {
		fault func(calls int, from int64, data []byte) (io.Reader, error)
		want  string // part of the error; "" = it gets there
	}{
		"cut in the middle, again and again": {func(_ int, _ int64, data []byte) (io.Reader, error) {
			return bytes.NewReader(data[:min(len(data), 70<<10)]), nil
		}, ""},
		"cut with an error": {func(calls int, _ int64, data []byte) (io.Reader, error) {
			if calls%2 == 0 {
				return io.MultiReader(bytes.NewReader(data[:len(data)/2]), iotest.ErrReader(errors.New("reset by peer"))), nil
			}
			return nil, nil
		}, ""},
		"refuses twice": {func(calls int, _ int64, _ []byte) (io.Reader, error) {
			if calls <= 2 {
				return nil, errors.New("503")
			}
			return nil, nil
		}, ""},
		"one byte at a time": {func(_ int, _ int64, data []byte) (io.Reader, error) {
			return iotest.OneByteReader(bytes.NewReader(data)), nil
		}, ""},
		"longer than asked": {func(_ int, _ int64, data []byte) (io.Reader, error) {
			return io.MultiReader(bytes.NewReader(data), strings.NewReader("more")), nil
		}, ""},
		"one byte, then nothing, for ever": {func(_ int, _ int64, data []byte) (io.Reader, error) {
			return bytes.NewReader(data[:1]), nil
		}, "gave up"},
		"nothing at all":  {func(int, int64, []byte) (io.Reader, error) { return strings.NewReader(""), nil }, "gave up"},
		"always an error": {func(int, int64, []byte) (io.Reader, error) { return nil, errors.New("refused") }, "refused"},
		"garbage": {func(_ int, _ int64, data []byte) (io.Reader, error) {
			return bytes.NewReader(make([]byte, len(data))), nil
		}, ErrAltered.Error()},
		"another part of it": {func(_ int, from int64, _ []byte) (io.Reader, error) { return bytes.NewReader(two.Bundle[from/2:]), nil }, ErrAltered.Error()},
		"goes away in mid-file": {func(calls int, _ int64, data []byte) (io.Reader, error) {
			if calls > 2 {
				return nil, source.ErrMissing
			}
			return bytes.NewReader(data[:len(data)*9/10]), nil
		}, source.ErrMissing.Error()},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := holding(t, one)
			from := serving(two)
			calls := 0
			from.Fault = func(_ string, at int64, data []byte) (io.Reader, error) {
				calls++
				return c.fault(calls, at, data)
			}
			_, err := stager(from, d).Put(t.Context(), what(two))
			if c.want == "" {
				require.NoError(t, err)
				requireWhole(t, d, two)
				return
			}
			require.ErrorContains(t, err, c.want)
			if signed, err := release.ReadHead(d, partition); err == nil {
				require.Equal(t, one.Signed, signed, "the tree was never there: nothing was touched")
				requireWhole(t, d, one)
			}
			from.Fault = nil // and when the source is well again:
			_, err = stager(from, d).Put(t.Context(), what(two))
			require.NoError(t, err)
			requireWhole(t, d, two)
		})
	}
}

// A disk that is going bad: blocks that cannot be read, or that change between looking and taking, are fetched.
func TestBadBlocksOnTheDisk(t *testing.T) {
	one, two, _ := three(t)
	d := frametest.New(partition)
	st := stager(serving(two), d)
	st.Running = &badDisk{Disk: holding(t, one), bad: map[int64]bool{5: true, 30: true}}
	n, err := st.Put(t.Context(), what(two))
	require.NoError(t, err)
	requireWhole(t, d, two)
	require.EqualValues(t, (1+16+1+4)*block+two.Manifest.Tree.Size, n.Fetched, "block 5 is fetched, with the gap to 0; 30 belonged to the changed file")

	d = frametest.New(partition)
	st = stager(serving(two), d)
	st.Running = &badDisk{Disk: holding(t, one), changes: 5}
	_, err = st.Put(t.Context(), what(two))
	require.NoError(t, err)
	requireWhole(t, d, two)
}

type badDisk struct {
	*frametest.Disk
	bad     map[int64]bool
	changes int64 // this block is another one from the second reading on
	reads   int
}

func (d *badDisk) ReadAt(b []byte, off int64) (int, error) {
	for n := range d.bad {
		if off <= n*block && n*block < off+int64(len(b)) {
			return 0, errors.New("input/output error")
		}
	}
	n, err := d.Disk.ReadAt(b, off)
	if at := d.changes*block - off; d.changes > 0 && at >= 0 && at < int64(n) {
		if d.reads++; d.reads > 1 {
			b[at] ^= 1
		}
	}
	return n, err
}

func TestDiskThatRefuses(t *testing.T) {
	_, two, _ := three(t)
	d := frametest.New(partition)
	d.Left = 300
	_, err := stager(serving(two), d).Put(t.Context(), what(two))
	require.ErrorIs(t, err, ErrDisk)
}

// A kept tree that was damaged is fetched again.
func TestMemoryIsChecked(t *testing.T) {
	_, two, _ := three(t)
	m := memory{}
	st := stager(serving(two), frametest.New(partition))
	st.Memory = m
	_, err := st.Put(t.Context(), what(two))
	require.NoError(t, err)
	for name := range maps.Keys(m) {
		m[name][9] ^= 1
	}
	n, err := st.Put(t.Context(), what(two))
	require.NoError(t, err)
	require.Equal(t, two.Manifest.Tree.Size, n.Fetched)
}

func TestBreathesAndReports(t *testing.T) {
	s := key(t)
	big, err := updatetest.Make(1, updatetest.EROFS(updatetest.File{Seed: 1, Size: 10 << 20}), s)
	require.NoError(t, err)
	d := frametest.New(12 << 20)
	st := stager(serving(big), d)
	st.Size = 12 << 20
	breaths, last := 0, Counts{}
	st.Breathe = func(context.Context) error { breaths++; return nil }
	st.Report = func(c Counts) {
		require.GreaterOrEqual(t, c.Percent(), last.Percent())
		last = c
	}
	_, err = st.Put(t.Context(), what(big))
	require.NoError(t, err)
	require.Equal(t, 2, breaths)
	require.Greater(t, last.Percent(), 90)
	stop := errors.New("stop")
	st = stager(serving(big), frametest.New(12<<20))
	st.Size = 12 << 20
	st.Breathe = func(context.Context) error { return stop }
	_, err = st.Put(t.Context(), what(big))
	require.ErrorIs(t, err, stop)
}
