package slot

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

var errBad = errors.New("release manifest: too few keys have signed: 1 of the 2 needed")

// first returns the slot that would boot, or "" for recovery.
func first(rec Record, found map[Name]Release) Name {
	if c := Choose(rec, found)[0]; c.Usable {
		return c.Slot
	}
	return ""
}

func rel(version uint64, b byte) Release { return Release{Version: version, Manifest: hash(b)} }

func TestChoose(t *testing.T) {
	unready := good(1, 1)
	unready.Unready = UnreadyLimit
	both := map[Name]Release{A: rel(1, 1), B: rel(2, 2)}
	for _, c := range []struct {
		name  string
		rec   Record
		found map[Name]Release
		want  Name
	}{
		{"preferred of two committed", Record{A: good(1, 1), B: good(2, 2), Preferred: A}, both, A},
		{"the other is preferred", Record{A: good(1, 1), B: good(2, 2), Preferred: B}, both, B},
		{"none preferred: the newer", Record{A: good(1, 1), B: good(2, 2)}, both, B},
		{"trial before committed", Record{A: good(1, 1), B: trial(2, 2, 1), Preferred: A}, both, B},
		{"trial without tries", Record{A: good(1, 1), B: trial(2, 2, 0), Preferred: A}, both, A},
		{"refused", Record{A: good(1, 1), B: Slot{State: Refused, Version: 2, Manifest: hash(2)}, Preferred: B}, both, A},
		{"empty", Record{B: good(2, 2), Preferred: A}, both, B},
		{"preferred misses ready too often", Record{A: unready, B: good(2, 2), Preferred: A}, both, B},
		{"both miss ready", Record{A: unready, B: func() Slot { s := unready; s.Version, s.Manifest = 2, hash(2); return s }()}, both, ""},
		{"preferred does not verify", Record{A: good(1, 1), B: good(2, 2), Preferred: A}, map[Name]Release{A: {Problem: errBad}, B: rel(2, 2)}, B},
		{"slot holds another release", Record{A: good(1, 1), B: good(2, 2), Preferred: A}, map[Name]Release{A: rel(1, 9), B: rel(2, 2)}, B},
		{"not looked at", Record{A: good(1, 1), B: good(2, 2), Preferred: A}, map[Name]Release{B: rel(2, 2)}, B},
		{"record lost: the newest", Default(), both, B},
		{"record lost, newest does not verify", Default(), map[Name]Release{A: rel(1, 1), B: {Version: 2, Problem: errBad}}, A},
		{"record lost, same release in both", Default(), map[Name]Release{A: rel(1, 1), B: rel(1, 1)}, A},
		{"record lost, nothing verifies", Default(), map[Name]Release{A: {Problem: errBad}, B: {Problem: errBad}}, ""},
		{"zero record", Record{}, both, ""},
	} {
		got := Choose(c.rec, c.found)
		require.Len(t, got, 2, c.name)
		require.NotEqual(t, got[0].Slot, got[1].Slot, c.name)
		require.NotEmpty(t, got[0].Reason, c.name)
		require.NotEmpty(t, got[1].Reason, c.name)
		require.False(t, !got[0].Usable && got[1].Usable, "%s: unusable ones come last", c.name)
		require.Equal(t, c.want, first(c.rec, c.found), c.name)
	}
}

// The reasons are for people on the recovery screen; this fixes their wording (A61).
func TestReasons(t *testing.T) {
	missed := good(2, 2)
	missed.Unready = 3
	for want, c := range map[string]struct {
		s Slot
		r Release
	}{
		"slot a is empty": {Slot{}, rel(1, 1)},
		"slot a: version 2 failed its trial and is refused until it is offered anew":         {Slot{State: Refused, Version: 2, Manifest: hash(2)}, rel(2, 2)},
		"slot a: version 2 has used up its trials without reaching ready":                    {trial(2, 2, 0), rel(2, 2)},
		"slot a: version 2 is on trial, 3 of its boots left":                                 {trial(2, 2, 3), rel(2, 2)},
		"slot a: version 2 is committed and preferred":                                       {good(2, 2), rel(2, 2)},
		"slot a: version 2 is committed and preferred; it missed ready 3 of 8 times running": {missed, rel(2, 2)},
		"slot a: the record was lost; version 2 verifies":                                    {Slot{State: Unknown}, rel(2, 2)},
		"slot a holds version 1 (010101010101…), the record says version 2 (020202020202…)":  {good(2, 2), rel(1, 1)},
		"slot a: " + errBad.Error():                                                          {good(2, 2), Release{Problem: errBad}},
	} {
		for _, got := range Choose(Record{A: c.s, Preferred: A}, map[Name]Release{A: c.r}) {
			if got.Slot == A {
				require.Equal(t, want, got.Reason)
			}
		}
	}
}

// A release that never reaches ready gets its tries and no more; then the old one
// is back by itself, and the new one is refused until offered anew (A49, A51).
func TestFailedUpdateComesBack(t *testing.T) {
	found := map[Name]Release{A: rel(1, 1), B: rel(2, 2)}
	rec := Record{A: good(1, 1), B: good(1, 1), Preferred: A}
	rec, err := Clear(rec, B)
	require.NoError(t, err)
	require.Equal(t, A, first(rec, found), "a slot being written does not boot")
	rec, err = Offer(rec, B, 2, hash(2), false)
	require.NoError(t, err)
	for i := range Tries {
		var changed bool
		rec, changed = Settle(rec)
		require.False(t, changed)
		c := Choose(rec, found)[0]
		require.Equal(t, B, c.Slot)
		require.True(t, c.Trial)
		rec, err = Depart(rec, c)
		require.NoError(t, err)
		require.Equal(t, Tries-1-i, rec.B.Tries, "spent before the jump")
	}
	rec, changed := Settle(rec)
	require.True(t, changed)
	require.Equal(t, Refused, rec.B.State)
	require.Equal(t, []Failure{{2, hash(2)}}, rec.Failed)
	require.Equal(t, A, first(rec, found))

	rec, err = Clear(rec, B)
	require.NoError(t, err)
	_, err = Offer(rec, B, 2, hash(2), false)
	require.ErrorIs(t, err, ErrFailedBefore, "also after the slot was cleared")
	again, err := Offer(rec, B, 2, hash(2), true)
	require.NoError(t, err, "offered anew on purpose")
	require.Equal(t, Tries, again.B.Tries)
	require.Empty(t, again.Failed)
	_, err = Offer(rec, B, 3, hash(3), false)
	require.NoError(t, err, "another release")
}

// Reaching ready in the very last try commits.
func TestCommitInLastTry(t *testing.T) {
	rec := Record{A: good(1, 1), B: trial(2, 2, 1), Preferred: A}
	rec, err := SpendTrial(rec, B)
	require.NoError(t, err)
	rec, err = MarkReady(rec, B, 2, hash(2))
	require.NoError(t, err)
	require.Equal(t, good(2, 2), rec.B)
	require.Equal(t, B, rec.Preferred)
	require.Equal(t, good(1, 1), rec.A, "the old release stays to fall back on")
	_, changed := Settle(rec)
	require.False(t, changed)
}

// Cutting the mains is normal life: a committed slot loses nothing by it as long as
// it reaches ready now and then, and has no tries to lose.
func TestPowerCutsInDailyLife(t *testing.T) {
	found := map[Name]Release{A: rel(1, 1), B: rel(1, 1)}
	rec := Record{A: good(1, 1), B: good(1, 1), Preferred: A}
	for day := range 100 {
		for range day % UnreadyLimit { // power cuts while booting
			c := Choose(rec, found)[0]
			require.Equal(t, A, c.Slot)
			require.False(t, c.Trial)
			var err error
			rec, err = Depart(rec, c)
			require.NoError(t, err)
		}
		if rec.A.Unready < UnreadyLimit {
			var err error
			rec, err = MarkReady(rec, A, 1, hash(1))
			require.NoError(t, err)
			require.Equal(t, good(1, 1), rec.A)
		}
	}
}

// A committed slot that stops reaching ready: eight boots, then the other slot,
// eight boots, then recovery.
func TestStopsReachingReady(t *testing.T) {
	found := map[Name]Release{A: rel(2, 2), B: rel(1, 1)}
	rec := Record{A: good(2, 2), B: good(1, 1), Preferred: A}
	var order []Name
	for {
		c := Choose(rec, found)[0]
		if !c.Usable {
			break
		}
		order = append(order, c.Slot)
		var err error
		rec, err = Depart(rec, c)
		require.NoError(t, err)
	}
	require.Len(t, order, 2*UnreadyLimit)
	for i, n := range order {
		require.Equal(t, map[bool]Name{true: A, false: B}[i < UnreadyLimit], n)
	}
}

// A lost record: what verifies boots, and the first ready writes down what it was.
func TestLostRecordHeals(t *testing.T) {
	found := map[Name]Release{A: rel(1, 1), B: rel(2, 2)}
	rec := Default()
	c := Choose(rec, found)[0]
	require.Equal(t, B, c.Slot)
	rec, err := Depart(rec, c)
	require.NoError(t, err)
	require.Equal(t, 1, rec.B.Unready)
	rec, err = MarkReady(rec, B, 2, hash(2))
	require.NoError(t, err)
	require.Equal(t, good(2, 2), rec.B)
	require.Equal(t, Unknown, rec.A.State)
	require.Equal(t, B, first(rec, found))
}

func TestStepsRefuse(t *testing.T) {
	rec := Record{A: good(1, 1), B: trial(2, 2, 0), Preferred: A}
	for name, step := range map[string]func() (Record, error){
		"trial of a committed":      func() (Record, error) { return SpendTrial(rec, A) },
		"trial without tries":       func() (Record, error) { return SpendTrial(rec, B) },
		"trial of no slot":          func() (Record, error) { return SpendTrial(rec, "") },
		"unready of a trial":        func() (Record, error) { return MarkUnready(rec, B) },
		"unready of slot c":         func() (Record, error) { return MarkUnready(rec, "c") },
		"ready of another release":  func() (Record, error) { return MarkReady(rec, A, 1, hash(9)) },
		"ready of another version":  func() (Record, error) { return MarkReady(rec, A, 9, hash(1)) },
		"ready of no slot":          func() (Record, error) { return MarkReady(rec, "", 1, hash(1)) },
		"ready of an empty slot":    func() (Record, error) { return MarkReady(Record{}, A, 1, hash(1)) },
		"ready of nothing":          func() (Record, error) { return MarkReady(Default(), A, 1, Manifest{}) },
		"refusing an empty slot":    func() (Record, error) { return Refuse(Record{}, A, "") },
		"clearing the only one":     func() (Record, error) { return Clear(rec, A) },
		"clearing no slot":          func() (Record, error) { return Clear(rec, "") },
		"offer to a full slot":      func() (Record, error) { return Offer(rec, B, 3, hash(3), true) },
		"offer of nothing":          func() (Record, error) { return Offer(Record{}, A, 3, Manifest{}, true) },
		"offer to no slot":          func() (Record, error) { return Offer(Record{}, "", 3, hash(3), true) },
		"leaving for an unusable":   func() (Record, error) { return Depart(rec, Candidate{Slot: A}) },
		"leaving for a spent trial": func() (Record, error) { return Depart(rec, Candidate{Slot: B, Usable: true}) },
	} {
		before := text(t, rec)
		_, err := step()
		require.Error(t, err, name)
		require.Equal(t, before, text(t, rec), name)
	}
}

// Every step gives a record that can be stored, shares no memory with the one
// before, and the list of failures stays bounded.
func TestFailuresAreBounded(t *testing.T) {
	rec := Record{A: good(1, 1), Preferred: A}
	for i := range 3 * MaxFailed {
		m := hash(byte(i + 2))
		next, err := Offer(rec, B, uint64(i+2), m, false)
		require.NoError(t, err)
		next, err = Refuse(next, B, "did not start")
		require.NoError(t, err)
		require.LessOrEqual(t, len(next.Failed), MaxFailed)
		require.Equal(t, m, next.Failed[len(next.Failed)-1].Manifest)
		_ = text(t, next)
		rec, err = Clear(next, B)
		require.NoError(t, err)
		if len(rec.Failed) > 0 {
			rec.Failed[0].Version = 9999
			require.NotEqual(t, uint64(9999), next.Failed[0].Version)
			rec.Failed[0] = next.Failed[0]
		}
	}
	rec = Record{A: good(2, 2), B: good(1, 1), Preferred: A}
	rec, err := Refuse(rec, A, "recalled")
	require.NoError(t, err)
	require.Equal(t, B, rec.Preferred)
	require.Equal(t, "", string(Name("").Other()))
	require.Equal(t, Empty, rec.Slot("c").State)
}
