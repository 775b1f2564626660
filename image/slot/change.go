package slot

import (
	"errors"
	"fmt"
	"slices"
)

// ErrState means that a step does not fit the state that the slot is in.
var ErrState = errors.New("does not fit the slot's state")

// ErrFailedBefore means that this very release failed its trial on this register.
var ErrFailedBefore = errors.New("this release failed here before")

func stateError(step string, n Name, s Slot) error {
	return fmt.Errorf("%s slot %s: %w %q", step, n, ErrState, s.State)
}

// Depart returns the record that must be stored before the jump into a usable
// candidate: one try fewer on trial, one unready boot more for all others, and the
// slot as the one that was departed for.
func Depart(rec Record, c Candidate) (next Record, err error) {
	if !c.Usable {
		return rec, fmt.Errorf("leaving for slot %s: it may not boot: %s", c.Slot, c.Reason)
	}
	if rec.Slot(c.Slot).State == Trial {
		next, err = SpendTrial(rec, c.Slot)
	} else {
		next, err = MarkUnready(rec, c.Slot)
	}
	if err == nil {
		next.Departed = c.Slot
	}
	return next, err
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
	rec.Preferred, rec.Departed = n, ""
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
	rec = rec.close(n)
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
// release is never taken for a whole one. The only committed slot cannot be cleared,
// nor the only one of two that has boots left.
func Clear(rec Record, n Name) (Record, error) {
	s := rec.Slot(n)
	if n.Other() == "" {
		return rec, stateError("clearing", n, s)
	}
	other := rec.Slot(n.Other())
	if s.State == Good && (other.State != Good || s.Unready < UnreadyLimit && other.Unready >= UnreadyLimit) {
		return rec, fmt.Errorf("clearing slot %s: it is the only committed one that may boot", n)
	}
	rec = rec.with(n, Slot{State: Empty}, fmt.Sprintf("slot %s is being written", n)).close(n)
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
