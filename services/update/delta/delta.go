// Package delta decides where each block of a new release comes from, so that as few as possible have to be fetched.
//
// The index is the release's own dm-verity tree: its lowest hashes name every 4 KiB block, and a block that hashes the
// same under the new release's salt is the same block, wherever on this disk it lies (docs/decisions/0012). The slot
// that is written holds old blocks itself; the plan goes from its first block to its last, and says which old blocks
// must be held in memory because they are overwritten before their turn.
//
// It is not the one that reads and writes (stage is), and trusts nothing: whoever carries a plan out hashes each block again before writing
// it, so a wrong plan costs time, never a wrong block. The rule that keeps it small: hashes in, one step per block out.
package delta

import "github.com/choba-os/choba/image/verity"

// From is where a block comes from.
type From uint8

// The places. The zero value is the one that is always right.
const (
	Fetch   From = iota // from the source of the release
	Keep                // it lies in its place already: nothing is read or written
	Running             // from the slot that runs
	Old                 // from the written slot's old content
	Twin                // from the written slot's new content, further up
)

// Step says where one block of the new release comes from.
type Step struct {
	From  From
	Hold  bool   // the old block in this place is needed further down: keep it before it is overwritten
	Block uint32 // its number in its place; for Fetch and Keep its own
}

// Plan holds one step for each block of the release, in the order in which they are carried out.
type Plan []Step

// Make plans. want are the hashes of the new release's blocks; old and running those of the blocks that lie in the
// written slot and in the running one, the zero hash standing for a block that cannot be read. hold is how many old
// blocks may be held in memory at once.
func Make(want, old, running []verity.Hash, hold int) Plan {
	p := make(Plan, len(want))
	inRunning, inOld := places(running), places(old)
	first := map[verity.Hash]uint32{} // where a block stands for the first time in the new release
	for i, h := range want {
		at := uint32(i)
		p[i] = Step{From: Fetch, Block: at}
		twin, again := first[h]
		r, runs := inRunning[h]
		o, was := inOld[h]
		switch {
		case i < len(old) && old[i] == h && h != verity.Hash{}:
			p[i].From = Keep
		case runs:
			p[i] = Step{From: Running, Block: r}
		case again:
			p[i] = Step{From: Twin, Block: twin}
		case was:
			p[i] = Step{From: Old, Block: o}
		}
		if !again {
			first[h] = at
		}
	}
	p.settleHolds(hold)
	return p
}

// places finds a block by its hash: the last place, so that an old block is likely to be still there when its turn comes.
func places(hashes []verity.Hash) map[verity.Hash]uint32 {
	m := make(map[verity.Hash]uint32, len(hashes))
	for i, h := range hashes {
		if h != (verity.Hash{}) {
			m[h] = uint32(i)
		}
	}
	return m
}

// settleHolds marks the old blocks that are overwritten before their turn. What does not fit the room is fetched.
func (p Plan) settleHolds(room int) {
	user := map[uint32]int{} // old block → the step that needs it; Twin sees to it that there is one only
	for i, s := range p {
		if s.From == Old && int(s.Block) < i {
			user[s.Block] = i
		}
	}
	held := 0
	for i := range p {
		if p[i].From == Old && int(p[i].Block) < i {
			held-- // its turn: the room is free again
		}
		u, needed := user[uint32(i)]
		if !needed || p[i].From == Keep { // a kept block stays where it is
			continue
		}
		if held >= room {
			p[u] = Step{From: Fetch, Block: uint32(u)}
			continue
		}
		p[i].Hold = true
		held++
	}
}

// Run is a stretch of blocks that one request fetches.
type Run struct{ First, Count uint32 }

// Runs are the stretches to fetch, in order. Two with at most gap blocks between them are one: what lies between is
// fetched for nothing, which is cheaper than another request.
func (p Plan) Runs(gap uint32) []Run {
	var out []Run
	for i, s := range p {
		if s.From != Fetch {
			continue
		}
		at := uint32(i)
		if n := len(out); n > 0 && at-(out[n-1].First+out[n-1].Count) <= gap {
			out[n-1].Count = at + 1 - out[n-1].First
			continue
		}
		out = append(out, Run{at, 1})
	}
	return out
}
