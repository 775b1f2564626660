package slot

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Release is what the caller found in a slot when it looked: a release that
// verified, or the problem that kept it from verifying.
type Release struct {
	Version  uint64
	Manifest Manifest
	Problem  error // nil = verified
}

// Candidate is one slot in the order of choice, with the reason in words.
type Candidate struct {
	Slot   Name
	Usable bool // false: shown to people, never booted
	Trial  bool // booting it spends a try
	Reason string
}

// Choose orders the slots by the rules of design section 2: a release on trial
// first, then the preferred committed one, then the other one; when the record was
// lost, the newest. Slots that may not boot come last, each with its reason. It
// always returns both slots. found holds what each slot was seen to contain.
func Choose(rec Record, found map[Name]Release) []Candidate {
	type ranked struct {
		Candidate
		rank    int
		version uint64
	}
	var all []ranked
	for _, n := range Names() {
		s, rel := rec.Slot(n), found[n]
		c := ranked{Candidate: Candidate{Slot: n, Trial: s.State == Trial}, version: rel.Version, rank: 9}
		if _, ok := found[n]; !ok {
			rel.Problem = errors.New("was not looked at")
		}
		why := refusal(n, s, rel)
		if c.Usable = why == ""; c.Usable {
			c.rank, c.Reason = rank(rec, n, s, rel)
		} else {
			c.Reason = why
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(x, y ranked) int {
		return cmp.Or(cmp.Compare(x.rank, y.rank), cmp.Compare(y.version, x.version))
	})
	out := make([]Candidate, len(all))
	for i, c := range all {
		out[i] = c.Candidate
	}
	return out
}

// refusal says why a slot may not boot, or nothing.
func refusal(n Name, s Slot, rel Release) string {
	switch {
	case s.State == Empty || s.State == "":
		return fmt.Sprintf("slot %s is empty", n)
	case s.State == Refused:
		return fmt.Sprintf("slot %s: version %d failed its trial and is refused until it is offered anew", n, s.Version)
	case s.State == Trial && s.Tries == 0:
		return fmt.Sprintf("slot %s: version %d has used up its trials without reaching ready", n, s.Version)
	case s.Unready >= UnreadyLimit:
		return fmt.Sprintf("slot %s: version %d did not reach ready %d times running", n, rel.Version, s.Unready)
	case rel.Problem != nil:
		return fmt.Sprintf("slot %s: %v", n, rel.Problem)
	case s.State != Unknown && s.Manifest != rel.Manifest:
		return fmt.Sprintf("slot %s holds version %d (%.12s…), the record says version %d (%.12s…)",
			n, rel.Version, rel.Manifest, s.Version, s.Manifest)
	}
	return ""
}

func rank(rec Record, n Name, s Slot, rel Release) (int, string) {
	missed := ""
	if s.Unready > 0 {
		missed = fmt.Sprintf("; it missed ready %d of %d times running", s.Unready, UnreadyLimit)
	}
	switch {
	case s.State == Trial:
		return 0, fmt.Sprintf("slot %s: version %d is on trial, %d of its boots left", n, s.Version, s.Tries)
	case s.State == Good && rec.Preferred == n:
		return 1, fmt.Sprintf("slot %s: version %d is committed and preferred%s", n, s.Version, missed)
	case s.State == Good:
		return 2, fmt.Sprintf("slot %s: version %d is committed%s", n, s.Version, missed)
	default:
		return 3, fmt.Sprintf("slot %s: the record was lost; version %d verifies%s", n, rel.Version, missed)
	}
}
