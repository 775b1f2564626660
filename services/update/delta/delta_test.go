package delta

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/verity"
)

// hashes makes one hash per letter; '.' is a block that cannot be read.
func hashes(letters string) []verity.Hash {
	out := make([]verity.Hash, len(letters))
	for i, c := range letters {
		if c != '.' {
			binary.LittleEndian.PutUint32(out[i][:], uint32(c))
		}
	}
	return out
}

// carry does to values what a stager does to blocks, and fails where the plan asks for what is not there.
func carry(t testing.TB, p Plan, want, old, running []verity.Hash, room int) {
	disk := append([]verity.Hash{}, old...)
	for len(disk) < len(want) {
		disk = append(disk, verity.Hash{})
	}
	held := map[uint32]verity.Hash{}
	for i, s := range p {
		var h verity.Hash
		switch s.From {
		case Fetch:
			require.EqualValues(t, i, s.Block)
			h = want[i]
		case Keep:
			require.EqualValues(t, i, s.Block)
			h = disk[i]
			require.False(t, s.Hold)
		case Running:
			h = running[s.Block]
		case Twin:
			require.Less(t, int(s.Block), i)
			h = disk[s.Block]
		case Old:
			h = disk[s.Block]
			if int(s.Block) < i {
				var ok bool
				h, ok = held[s.Block]
				require.True(t, ok, "old block %d is not held for %d", s.Block, i)
				delete(held, s.Block)
			}
		}
		if s.Hold {
			held[uint32(i)] = disk[i]
			require.LessOrEqual(t, len(held), room)
		}
		require.Equal(t, want[i], h, "block %d from %v", i, s)
		disk[i] = h
	}
	require.Empty(t, held)
	require.Equal(t, want, disk[:len(want)])
}

func TestMake(t *testing.T) {
	for _, c := range []struct {
		name, want, old, running string
		room                     int
		fetch, kept, hold        int
	}{
		{"nothing here", "abcd", "", "", 8, 4, 0, 0},
		{"all in place", "abcd", "abcdxyz", "", 8, 0, 4, 0},
		{"one file changed", "abXd", "....", "abcd", 8, 1, 0, 0},
		{"half written before the power went", "abXd", "abc.", "", 8, 2, 2, 0},
		{"moved down, from the old content alone", "Xabcd", "abcd.", "", 8, 1, 0, 4},
		{"moved down by more than there is room for", "XYZabcd", "abcd...", "", 2, 4, 0, 3},
		{"moved up", "bcd", "abcd", "", 0, 0, 0, 0},
		{"turned around", "dcba", "abcd", "", 8, 0, 0, 2},
		{"turned around without room", "dcba", "abcd", "", 0, 2, 0, 0},
		{"many alike", "zzzz", "", "", 0, 1, 0, 0},
		{"unreadable blocks match nothing", "ab", "..", "..", 0, 2, 0, 0},
		{"nothing wanted", "", "abc", "abc", 8, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, old, running := hashes(c.want), hashes(c.old), hashes(c.running)
			p := Make(want, old, running, c.room)
			carry(t, p, want, old, running, c.room)
			n := count(p)
			require.Equal(t, c.fetch, n[Fetch], "%v", p)
			require.Equal(t, c.kept, n[Keep])
			hold := 0
			for _, s := range p {
				if s.Hold {
					hold++
				}
			}
			require.Equal(t, c.hold, hold)
		})
	}
}

func TestRuns(t *testing.T) {
	plan := func(s string) (p Plan) {
		for i, c := range s {
			step := Step{From: Keep, Block: uint32(i)}
			if c == 'f' {
				step.From = Fetch
			}
			p = append(p, step)
		}
		return p
	}
	require.Nil(t, plan("...").Runs(4))
	require.Equal(t, []Run{{0, 2}}, plan("ff.").Runs(0))
	require.Equal(t, []Run{{1, 5}}, plan(".ff..f").Runs(2))
	require.Equal(t, []Run{{1, 2}, {5, 1}}, plan(".ff..f").Runs(1))
	require.Equal(t, []Run{{0, 1}, {2, 1}}, plan("f.f").Runs(0))
}

func TestMakeAtRandom(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	letters := func(n, kinds int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ."[dice.IntN(kinds)]
		}
		return string(b)
	}
	for range 20000 {
		kinds := 1 + dice.IntN(52)
		want := hashes(letters(dice.IntN(40), kinds))
		old, running := hashes(letters(dice.IntN(40), 53)), hashes(letters(dice.IntN(20), 53))
		room := dice.IntN(6)
		carry(t, Make(want, old, running, room), want, old, running, room)
	}
}

// Whatever the three volumes hold, the plan can be carried out within its room and gives the new release.
func FuzzMake(f *testing.F) {
	f.Add("abcd", "xabc", "dcba", uint8(2))
	f.Add("aab", "baa", "", uint8(0))
	f.Add("a", ".", ".", uint8(9))
	f.Fuzz(func(t *testing.T, want, old, running string, room uint8) {
		w, o, r := hashes(want), hashes(old), hashes(running)
		p := Make(w, o, r, int(room))
		carry(t, p, w, o, r, int(room))
		covered := 0
		for _, run := range p.Runs(3) {
			require.NotZero(t, run.Count)
			for i := run.First; i < run.First+run.Count; i++ {
				if p[i].From == Fetch {
					covered++
				}
			}
		}
		require.Equal(t, count(p)[Fetch], covered)
	})
}

// count is how many blocks come from each place.
func count(p Plan) (n [5]int) {
	for _, s := range p {
		n[s.From]++
	}
	return n
}
