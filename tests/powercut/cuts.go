package powercut

import (
	"fmt"
	"maps"
	"math/rand/v2"
)

// Cut is one instant of the log at which the power goes.
type Cut struct {
	At   int    // entries before it
	Kind string // prefix, torn, or reordered
	Try  int    // which of the random ones
}

// String names a cut, so that a failure can be tried again.
func (c Cut) String() string { return fmt.Sprintf("%s at entry %d, try %d", c.Kind, c.At, c.Try) }

// Plan says how many states to try.
type Plan struct {
	Torn      int // for each request of more than one sector
	Reordered int // for each request: subsets of the flush epoch that it stands in
	Seed      uint64
}

// Each calls judge with the disk after every cut of the plan, in order; judge may read and write d until it returns.
// It returns how many cuts there were; an error of judge ends it.
func Each(d *Disk, ops []Op, p Plan, judge func(Cut, *Disk) error) (int, error) {
	dice := rand.New(rand.NewPCG(p.Seed, 1))
	count, epoch := 0, 0
	try := func(c Cut, lost bool, extra map[int64][]byte) error {
		d.lost, d.extra = lost, extra
		count++
		err := judge(c, d)
		d.lost, d.extra = false, nil
		if err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
		return nil
	}
	for i, op := range ops {
		if op.Flush {
			maps.Copy(d.over, d.since)
			clear(d.since)
			epoch = i
		}
		if len(op.Data) == 0 {
			continue
		}
		for n := range min(p.Torn, len(op.Data)/Sector-1) {
			extra := map[int64][]byte{}
			put(extra, op, torn(dice, len(op.Data)/Sector))
			if err := try(Cut{i, "torn", n}, false, extra); err != nil {
				return count, err
			}
		}
		for n := range p.Reordered {
			if len(d.since) == 0 {
				break // alone since the flush: there is no other order
			}
			if err := try(Cut{i, "reordered", n}, true, subset(dice, ops[epoch:i+1])); err != nil {
				return count, err
			}
		}
		put(d.since, op, nil)
		if op.FUA {
			put(d.over, op, nil)
		}
		d.took(op)
		if err := try(Cut{i + 1, "prefix", 0}, false, map[int64][]byte{}); err != nil {
			return count, err
		}
	}
	return count, nil
}

// subset keeps any of the requests since a flush, each whole, torn, or not at all.
func subset(dice *rand.Rand, epoch []Op) map[int64][]byte {
	extra := map[int64][]byte{}
	for _, op := range epoch {
		switch dice.IntN(3) {
		case 0:
			put(extra, op, nil)
		case 1:
			put(extra, op, torn(dice, len(op.Data)/Sector))
		}
	}
	return extra
}

// torn keeps the first part, the last part, or any sectors.
func torn(dice *rand.Rand, sectors int) func(int) bool {
	at := dice.IntN(sectors + 1)
	switch dice.IntN(3) {
	case 0:
		return func(i int) bool { return i < at }
	case 1:
		return func(i int) bool { return i >= at }
	}
	return func(int) bool { return dice.IntN(2) == 0 }
}
