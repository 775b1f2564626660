package schedule

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func at(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, Zone()) }

func TestDecide(t *testing.T) {
	const h = time.Hour
	for _, c := range []struct {
		name    string
		now     time.Time
		state   State
		restart bool
		at      time.Time // zero: none
	}{
		{"nothing in place", at(22, 3, 30), State{Idle: 9 * h}, false, time.Time{}},
		{"nothing in place, whatever is wished", at(22, 3, 30), State{Idle: 9 * h, Wish: true}, false, time.Time{}},
		{"in the evening, selling", at(22, 20, 0), State{Ready: true, Busy: true}, false, at(23, 2, 0)},
		{"in the evening, between two customers", at(22, 20, 0), State{Ready: true, Idle: 5 * time.Minute}, false, at(23, 2, 0)},
		{"after midnight, not yet", at(22, 1, 59), State{Ready: true, Idle: 2 * h}, false, at(22, 2, 0)},
		{"at night", at(22, 2, 0), State{Ready: true, Idle: 2 * h}, true, at(22, 2, 0)},
		{"at night, this register comes later", at(22, 2, 0), State{Ready: true, Idle: 2 * h, Dice: 0.5}, false, at(22, 2, 30)},
		{"at night, this register's time", at(22, 2, 30), State{Ready: true, Idle: 2 * h, Dice: 0.5}, true, at(22, 2, 30)},
		{"at night, a sale is open", at(22, 3, 0), State{Ready: true, Busy: true}, false, at(22, 3, 0)},
		{"at night, a customer has just left", at(22, 3, 0), State{Ready: true, Idle: 9 * time.Minute}, false, at(22, 3, 0)},
		{"the night is over", at(22, 5, 0), State{Ready: true, Idle: 2 * h}, false, at(23, 2, 0)},
		{"closed by day", at(22, 14, 0), State{Ready: true, Idle: 3 * h}, true, at(22, 14, 0)},
		{"long unused, but a sale is open", at(22, 14, 0), State{Ready: true, Busy: true, Idle: 9 * h}, false, at(23, 2, 0)},
		{"wished", at(22, 14, 0), State{Ready: true, Wish: true, Idle: 4 * time.Second}, true, at(22, 14, 0)},
		{"wished while a sale is open", at(22, 14, 0), State{Ready: true, Wish: true, Busy: true, Idle: h}, false, at(22, 14, 0)},
		{"wished a moment after a sale", at(22, 14, 0), State{Ready: true, Wish: true, Idle: time.Second}, false, at(22, 14, 0)},
		{"wished after it was put off", at(22, 14, 0), State{Ready: true, Wish: true, Postponed: h, Idle: h}, true, at(22, 14, 0)},
		{"put off over the night", at(22, 2, 30), State{Ready: true, Postponed: 12 * h, Idle: 9 * h}, false, at(23, 2, 0)},
		{"put off into the night", at(22, 1, 0), State{Ready: true, Postponed: 2 * h, Idle: 9 * h}, false, at(22, 3, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Decide(c.now, c.state)
			require.Equal(t, c.restart, d.Restart)
			require.True(t, d.At.Equal(c.at), "planned for %v, want %v", d.At, c.at)
		})
	}
}

// A year, minute by minute, of a shop that is open from 9 to 21: an update that is ready at noon of any day is in place
// the next morning, never during opening hours, and never while a sale is open. The clock jumps: ahead, back, to the
// year 2000 and to 2099, some of them every week.
func TestAYear(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	start := at(1, 0, 0) // real time; wrong is how far the register is off
	var wrong time.Duration
	s := State{Dice: 0.4}
	var lastUse, readySince time.Time
	restarts, waited := 0, time.Duration(0)
	for minute := range 365 * 24 * 60 {
		now := start.Add(time.Duration(minute) * time.Minute)
		hour := now.In(Zone()).Hour()
		open := hour >= 9 && hour < 21
		s.Busy = open && dice.IntN(3) > 0
		if s.Busy || open && dice.IntN(100) > 0 { // a customer comes at least every hour or so
			lastUse = now
		}
		s.Idle = now.Sub(lastUse)
		if hour == 12 && now.Minute() == 0 {
			if s.Ready {
				t.Fatalf("%v: what was ready at %v is still not in place", now, readySince)
			}
			s.Ready, readySince = true, now
		}
		if dice.IntN(7*24*60) == 0 {
			wrong = []time.Duration{0, time.Hour, -5 * time.Hour, 26 * 365 * -24 * time.Hour, 73 * 365 * 24 * time.Hour}[dice.IntN(5)]
		}
		d := Decide(now.Add(wrong), s)
		if !s.Ready {
			require.Zero(t, d)
			continue
		}
		require.False(t, d.At.IsZero())
		require.False(t, d.At.Before(now.Add(wrong)), "planned for the past")
		require.Less(t, d.At.Sub(now.Add(wrong)), 25*time.Hour)
		if d.Restart {
			require.False(t, s.Busy)
			require.False(t, open && s.Idle < 10*time.Minute, "%v: in the middle of a day", now)
			waited = max(waited, now.Sub(readySince))
			s.Ready, restarts = false, restarts+1
		}
	}
	require.GreaterOrEqual(t, restarts, 364)
	require.Less(t, waited, 24*time.Hour)
	t.Logf("%d restarts, the longest wait was %v", restarts, waited)
}

// Whatever the time and the state: no restart while a sale is open, and none while it is put off and not wished.
func FuzzDecide(f *testing.F) {
	f.Add(int64(1790000000), true, false, int64(time.Hour), false, int64(0), 0.5)
	f.Add(int64(-1), true, true, int64(-5), true, int64(1), 0.99)
	f.Fuzz(func(t *testing.T, unix int64, ready, busy bool, idle int64, wish bool, postponed int64, dice float64) {
		if dice < 0 || dice >= 1 || dice != dice || unix < -1<<36 || unix > 1<<36 || postponed > int64(72*time.Hour) {
			return
		}
		now := time.Unix(unix, 0)
		d := Decide(now, State{ready, busy, time.Duration(idle), wish, time.Duration(postponed), dice})
		require.False(t, d.Restart && (busy || !ready))
		require.False(t, d.Restart && postponed > 0 && !wish)
		require.Equal(t, ready, !d.At.IsZero())
		require.False(t, ready && d.At.Before(now))
		require.False(t, d.Restart && !d.At.Equal(now))
	})
}

func TestNextCheck(t *testing.T) {
	require.Equal(t, CheckEvery, NextCheck(0, 0.5))
	require.Equal(t, time.Minute, NextCheck(1, 0.5))
	require.Equal(t, 8*time.Minute, NextCheck(4, 0.5))
	require.Equal(t, CheckEvery, NextCheck(9, 0.5))
	require.Equal(t, CheckEvery, NextCheck(1<<30, 0.5))
	for n := range 20 {
		for _, dice := range []float64{0, 0.3, 0.999} {
			d := NextCheck(n, dice)
			require.GreaterOrEqual(t, d, 50*time.Second)
			require.LessOrEqual(t, d, CheckEvery*9/8)
		}
		require.Less(t, NextCheck(n, 0), NextCheck(n, 0.9), "they do not all come at once")
	}
}

func TestResume(t *testing.T) {
	total := time.Duration(0)
	for n := 1; n <= ResumeTries; n++ {
		d, ok := Resume(n, 0.999)
		require.True(t, ok)
		total += d
	}
	require.Less(t, total, 2*time.Minute)
	_, ok := Resume(ResumeTries+1, 0)
	require.False(t, ok)
	_, ok = Resume(0, 0)
	require.False(t, ok)
}
