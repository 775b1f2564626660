package slot

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// open is a record with an open departure for b.
func open(b Slot) Record {
	return Record{A: good(1, 1), B: b, Preferred: A, Departed: B, Reason: "booting slot b"}
}

// TestReturn: what each kind of end costs the slot that was departed for (A49, A51).
func TestReturn(t *testing.T) {
	committed, unknown := good(2, 2), Slot{State: Unknown, Unready: 1}
	committed.Unready = 1
	for _, c := range []struct {
		name     string
		b        Slot
		evidence Evidence
		state    State
		tries    int
		unready  int
	}{
		{"trial, power cut", trial(2, 2, 2), None, Trial, 2, 0},
		{"trial, last power cut", trial(2, 2, 0), None, Refused, 0, 0},
		{"trial, hang", trial(2, 2, 2), Watchdog, Refused, 0, 0},
		{"committed, power cut", committed, None, Good, 0, 1},
		{"committed, hang", committed, Watchdog, Good, 0, 3},
		{"lost record, hang", unknown, Watchdog, Unknown, 0, 3},
	} {
		rec, changed := Return(open(c.b), c.evidence, "it hung")
		require.True(t, changed, c.name)
		require.Equal(t, c.state, rec.B.State, c.name)
		require.Equal(t, c.tries, rec.B.Tries, c.name)
		require.Equal(t, c.unready, rec.B.Unready, c.name)
		require.Empty(t, rec.Departed, c.name)
		require.Equal(t, good(1, 1), rec.A, c.name)
		if c.evidence != None {
			require.Equal(t, "it hung", rec.Reason, c.name)
		}
		_ = text(t, rec)
		_, changed = Return(rec, c.evidence, "again")
		require.False(t, changed, "%s: evidence counts once", c.name)
	}
	full := open(good(2, 2))
	full.B.Unready = UnreadyLimit - 1
	rec, _ := Return(full, Watchdog, "it hung")
	require.Equal(t, UnreadyLimit, rec.B.Unready)
}

// TestFail: nothing fails without an open boot and without evidence.
func TestFail(t *testing.T) {
	for name, step := range map[string]func() (Record, error){
		"no evidence":    func() (Record, error) { return Fail(open(trial(2, 2, 2)), B, None, "x") },
		"the other slot": func() (Record, error) { return Fail(open(trial(2, 2, 2)), A, Watchdog, "x") },
		"no slot":        func() (Record, error) { return Fail(Record{}, "", Watchdog, "x") },
	} {
		_, err := step()
		require.Error(t, err, name)
	}
	rec, err := Fail(open(trial(2, 2, 2)), B, Health, "the screen stayed dark")
	require.NoError(t, err)
	require.Equal(t, Refused, rec.B.State)
	require.Equal(t, "the screen stayed dark", rec.Reason)
}

func TestEnd(t *testing.T) {
	rec, changed := End(open(trial(2, 2, 2)), B)
	require.True(t, changed)
	require.Equal(t, trial(2, 2, 2), rec.B, "what was taken stays taken")
	rec, changed = Return(rec, Watchdog, "it hung while it was switched off")
	require.False(t, changed)
	require.Equal(t, Trial, rec.B.State)
	_, changed = End(rec, B)
	require.False(t, changed)
	_, changed = End(Record{}, "")
	require.False(t, changed)
}

func TestAsked(t *testing.T) {
	before := open(trial(2, 2, 2))
	rec := AskRecovery(before, "the manager")
	require.Equal(t, AskedByPerson, rec.Asked)
	require.Equal(t, before.B, rec.B)
	require.Equal(t, "the manager asked for recovery", rec.Reason)
	_ = text(t, rec)
	rec, asked := AnswerAsked(rec)
	require.Equal(t, AskedByPerson, asked)
	require.Empty(t, rec.Asked)
	_, asked = AnswerAsked(rec)
	require.Empty(t, asked)
}

// TestAskForKey: what lies in the board costs a committed release nothing, and cannot hold one on trial for ever.
func TestAskForKey(t *testing.T) {
	found := map[Name]Release{A: rel(1, 1), B: rel(2, 2)}
	rec := Record{A: good(1, 1), B: good(2, 2), Preferred: A}
	for range 3 * UnreadyLimit {
		next, err := Depart(rec, Choose(rec, found)[0])
		require.NoError(t, err)
		next = AskForKey(next, A, "another board")
		require.Equal(t, AskedForKey, next.Asked)
		require.Equal(t, "another board", next.Reason)
		require.Empty(t, next.Departed)
		require.Equal(t, rec.A, next.A)
		_ = text(t, next)
		rec, _ = AnswerAsked(next)
	}
	rec = open(trial(2, 2, 2))
	require.Equal(t, rec.B, AskForKey(rec, B, "another board").B)
}

// TestDepartures: who opens and who closes one.
func TestDepartures(t *testing.T) {
	found := map[Name]Release{A: rel(1, 1), B: rel(2, 2)}
	rec := Record{A: good(1, 1), B: trial(2, 2, 3), Preferred: A}
	rec, err := Depart(rec, Choose(rec, found)[0])
	require.NoError(t, err)
	require.Equal(t, B, rec.Departed)
	isReady, err := MarkReady(rec, B, 2, hash(2))
	require.NoError(t, err)
	require.Empty(t, isReady.Departed)
	refused, err := Refuse(rec, B, "not healthy")
	require.NoError(t, err)
	require.Empty(t, refused.Departed)
	cleared, err := Clear(rec, B)
	require.NoError(t, err)
	require.Empty(t, cleared.Departed)
}

func TestForgive(t *testing.T) {
	rec := Record{A: good(1, 1), B: good(2, 2)}
	_, changed := Forgive(rec)
	require.False(t, changed)
	rec.A.Unready, rec.B.Unready = UnreadyLimit, 3
	rec, changed = Forgive(rec)
	require.True(t, changed)
	require.Equal(t, UnreadyLimit-1, rec.A.Unready)
	require.Equal(t, 3, rec.B.Unready)
	_ = text(t, rec)
}

// The last of two committed slots that has boots left is not given away.
func TestClearKeepsWhatBoots(t *testing.T) {
	rec := Record{A: good(1, 1), B: good(2, 2), Preferred: A}
	rec.A.Unready = UnreadyLimit
	_, err := Clear(rec, B)
	require.Error(t, err)
	_, err = Clear(rec, A)
	require.NoError(t, err)
	rec.B.Unready = UnreadyLimit
	_, err = Clear(rec, B)
	require.NoError(t, err, "neither boots: recovery may write either")
}
