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

// ErrState means that a step does not fit the state that the slot is in.
var ErrState = errors.New("does not fit the slot's state")

// ErrFailedBefore means that this very release failed its trial on this register.
var ErrFailedBefore = errors.New("this release failed here before")

func stateError(step string, n Name, s Slot) error {
	return fmt.Errorf("%s slot %s: %w %q", step, n, ErrState, s.State)
}

// Depart returns the record that must be stored before the jump into a usable
// candidate: one try fewer on trial, one unready boot more for all others.
func Depart(rec Record, c Candidate) (Record, error) {
	if !c.Usable {
		return rec, fmt.Errorf("leaving for slot %s: it may not boot: %s", c.Slot, c.Reason)
	}
	if rec.Slot(c.Slot).State == Trial {
		return SpendTrial(rec, c.Slot)
	}
	return MarkUnready(rec, c.Slot)
}

// SpendTrial takes one try from a release on trial.
func SpendTrial(rec Record, n Name) (Record, error) {
	s := rec.Slot(n)
	if s.State != Trial || s.Tries < 1 {
		return rec, stateError("spending a trial of", n, s)
	}
	s.Tries--
	return rec.with(n, s, fmt.Sprintf("trying version %d in slot %s, %d tries left", s.Version, n, s.Tries)), nil
}

// MarkUnready counts a boot of a committed release that has not reached ready yet.
func MarkUnready(rec Record, n Name) (Record, error) {
	s := rec.Slot(n)
	if s.State != Good && s.State != Unknown || s.Unready >= UnreadyLimit {
		return rec, stateError("counting a boot of", n, s)
	}
	s.Unready++
	return rec.with(n, s, fmt.Sprintf("booting slot %s", n)), nil
}

// MarkReady records that the release running from a slot has reached ready: it is
// committed, and preferred from now on.
func MarkReady(rec Record, n Name, version uint64, m Manifest) (Record, error) {
	s := rec.Slot(n)
	switch s.State {
	case Trial, Good:
		if s.Manifest != m || s.Version != version {
			return rec, fmt.Errorf("committing slot %s: version %d is running, the record says %d", n, version, s.Version)
		}
	case Unknown:
		if m == (Manifest{}) {
			return rec, fmt.Errorf("committing slot %s: no release is named", n)
		}
	default:
		return rec, stateError("committing", n, s)
	}
	s = Slot{State: Good, Version: version, Manifest: m}
	rec = rec.with(n, s, fmt.Sprintf("version %d in slot %s reached ready", version, n))
	rec.Preferred = n
	return rec, nil
}

// Refuse records that the release of a slot failed: it is not booted again, nor
// accepted by Offer, until it is offered anew on purpose.
func Refuse(rec Record, n Name, reason string) (Record, error) {
	s := rec.Slot(n)
	if s.State != Trial && s.State != Good {
		return rec, stateError("refusing", n, s)
	}
	rec = rec.with(n, Slot{State: Refused, Version: s.Version, Manifest: s.Manifest}, reason)
	f := Failure{s.Version, s.Manifest}
	rec.Failed = append(without(rec.Failed, s.Manifest), f)
	if over := len(rec.Failed) - MaxFailed; over > 0 {
		rec.Failed = rec.Failed[over:]
	}
	if rec.Preferred == n {
		rec.Preferred = ""
		if rec.Slot(n.Other()).State == Good {
			rec.Preferred = n.Other()
		}
	}
	return rec, nil
}

// Settle refuses each release whose trials are used up. Recovery calls it before
// it chooses; changed says whether there is something to store.
func Settle(rec Record) (out Record, changed bool) {
	for _, n := range Names() {
		s := rec.Slot(n)
		if s.State != Trial || s.Tries > 0 {
			continue
		}
		next, err := Refuse(rec, n, fmt.Sprintf("version %d in slot %s did not reach ready in its trials", s.Version, n))
		if err == nil {
			rec, changed = next, true
		}
	}
	return rec, changed
}

// Clear empties a slot before its partition is written, so that a half-written
// release is never taken for a whole one. The preferred slot cannot be cleared
// while it is the only committed one.
func Clear(rec Record, n Name) (Record, error) {
	s := rec.Slot(n)
	if n.Other() == "" {
		return rec, stateError("clearing", n, s)
	}
	if s.State == Good && rec.Slot(n.Other()).State != Good {
		return rec, fmt.Errorf("clearing slot %s: it is the only committed one", n)
	}
	rec = rec.with(n, Slot{State: Empty}, fmt.Sprintf("slot %s is being written", n))
	if rec.Preferred == n {
		rec.Preferred = n.Other()
	}
	return rec, nil
}

// Offer puts a release that was written into an empty slot on trial. A release
// that failed before is accepted only when a person offers it anew on purpose;
// otherwise the error is ErrFailedBefore.
func Offer(rec Record, n Name, version uint64, m Manifest, anew bool) (Record, error) {
	s := rec.Slot(n)
	if n.Other() == "" || s.State != Empty && s.State != "" || m == (Manifest{}) {
		return rec, stateError("offering a release to", n, s)
	}
	failed := slices.ContainsFunc(rec.Failed, func(f Failure) bool { return f.Manifest == m })
	if failed && !anew {
		return rec, fmt.Errorf("offering version %d to slot %s: %w", version, n, ErrFailedBefore)
	}
	rec = rec.with(n, Slot{State: Trial, Version: version, Tries: Tries, Manifest: m},
		fmt.Sprintf("version %d in slot %s is on trial", version, n))
	rec.Failed = without(rec.Failed, m)
	return rec, nil
}

func without(list []Failure, m Manifest) []Failure {
	return slices.DeleteFunc(slices.Clone(list), func(f Failure) bool { return f.Manifest == m })
}
