package stage

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/services/update/updatetest"
)

// write is one request to the disk; no data is a flush.
type write struct {
	at   int64
	data []byte
}

// recorder is a disk that remembers what it was asked.
type recorder struct {
	*frametest.Disk
	log []write
}

func (r *recorder) WriteAt(b []byte, at int64) (int, error) {
	r.log = append(r.log, write{at, bytes.Clone(b)})
	return r.Disk.WriteAt(b, at)
}

func (r *recorder) Sync() error {
	r.log = append(r.log, write{})
	return r.Disk.Sync()
}

// judge says what a slot is after a cut. Neither an old head over new content nor a new one over anything unfinished
// may ever be seen.
func judge(t testing.TB, d *frametest.Disk, releases ...updatetest.Release) string {
	signed, err := release.ReadHead(d, partition)
	if err != nil {
		require.True(t, errors.Is(err, frame.ErrEmpty) || errors.Is(err, frame.ErrChecksum) || errors.Is(err, frame.ErrMagic), "%v", err)
		return "no head"
	}
	for _, r := range releases {
		if bytes.Equal(signed, r.Signed) {
			require.NoError(t, verity.Verify(d, r.Manifest.Verity), "the head of version %d stands over something else", r.Manifest.Version)
			return r.Manifest.Name
		}
	}
	require.Fail(t, "a head of no release")
	return ""
}

// resume is the next try after the power came back.
func resume(t testing.TB, d *frametest.Disk, running, next updatetest.Release, keeps memory) Counts {
	d.Left = -1
	st := stager(serving(next), d)
	st.Running, st.Memory = holding(t, running), keeps
	n, err := st.Put(t.Context(), what(next))
	require.NoError(t, err)
	requireWhole(t, d, next)
	return n
}

// The power goes at every sector that is written, first to last and last to first within a request: the slot has no
// head, or a head over what it names, and the next try finishes with what is there.
func TestPowerCutAtEverySector(t *testing.T) {
	one, two, three := three(t)
	states := map[string]int{}
	points, most, least := 0, int64(0), int64(1<<40)
	for _, reverse := range []bool{false, true} {
		for cut := 0; ; cut++ {
			d := holding(t, one) // the idle slot; two runs, three comes
			d.Left, d.Reverse = cut, reverse
			keeps := memory{}
			st := stager(serving(three), d)
			st.Running, st.Memory = nil, keeps // the poorest case: all from the old content and the source
			n, err := st.Put(t.Context(), what(three))
			states[judge(t, d, one, three)]++
			if err == nil {
				require.Equal(t, "1.3.0", judge(t, d, one, three))
				break
			}
			require.ErrorIs(t, err, frametest.ErrPower)
			points++
			again := resume(t, d, two, three, keeps)
			most, least = max(most, again.Fetched), min(least, again.Fetched)
			require.LessOrEqual(t, again.Fetched, n.Total)
		}
	}
	require.Greater(t, points, 1000)
	for _, want := range []string{"no head", "1.1.0", "1.3.0"} {
		require.NotZero(t, states[want], "%v", states)
	}
	t.Logf("%d cut points: %v; the next try fetched %d to %d bytes", points, states, least, most)
}

// The power goes at every request, and of those since the last flush any may have reached the disk, whole or torn.
func TestPowerCutWithReordering(t *testing.T) {
	one, two, three := three(t)
	rec := &recorder{Disk: holding(t, one)}
	st := stager(serving(three), rec)
	st.Running = holding(t, two)
	_, err := st.Put(t.Context(), what(three))
	require.NoError(t, err)

	dice := rand.New(rand.NewPCG(7, 7))
	states := map[string]int{}
	points, epoch := 0, 0
	flushed := holding(t, one)
	for i, w := range rec.log {
		if w.data == nil {
			for _, done := range rec.log[epoch:i] {
				_, err := flushed.WriteAt(done.data, done.at)
				require.NoError(t, err)
			}
			epoch = i + 1
			continue
		}
		for range 200 {
			d := flushed.Clone()
			for _, maybe := range rec.log[epoch : i+1] {
				tear(t, d, maybe, dice)
			}
			states[judge(t, d, one, three)]++
			points++
			if points%20 == 0 {
				resume(t, d, two, three, memory{})
			}
		}
	}
	require.Greater(t, points, 300)
	t.Logf("%d cut points: %v", points, states)
}

func tear(t *testing.T, d *frametest.Disk, w write, dice *rand.Rand) {
	how := dice.IntN(3)
	for at := 0; at < len(w.data); at += layout.Sector {
		if how == 0 || how == 1 && dice.IntN(2) == 0 {
			_, err := d.WriteAt(w.data[at:at+layout.Sector], w.at+int64(at))
			require.NoError(t, err)
		}
	}
}

// The head is the last thing that is written, after a flush, and the wiping of the old one the first, before a flush.
func TestOrderOfWrites(t *testing.T) {
	one, _, three := three(t)
	rec := &recorder{Disk: holding(t, one)}
	_, err := stager(serving(three), rec).Put(t.Context(), what(three))
	require.NoError(t, err)
	head := layout.HeadOffset(partition)
	last := len(rec.log) - 1
	require.Equal(t, write{head, make([]byte, layout.HeadSize)}, rec.log[0])
	require.Nil(t, rec.log[1].data)
	require.Nil(t, rec.log[last].data)
	require.Equal(t, head, rec.log[last-1].at)
	require.Nil(t, rec.log[last-2].data)
	for _, w := range rec.log[2 : last-1] {
		require.Less(t, w.at, head)
	}
}
