// Package schedule decides when: when to look for a release, when to ask again, and when to restart into one that is
// in place.
//
// All of it is a function of the time and of values, so that a year can be tried in a moment. It does not wait, ask or
// restart. Lengths of time are measured by a clock that nobody can set; the wall clock, which may be wrong or jump,
// says only whether it is night. The rule that keeps it small: no state, no clock, no randomness of its own.
package schedule

import "time"

// Times of looking for a release.
const (
	FirstCheck = time.Minute   // after the start: a register that was just switched on has better things to do
	CheckEvery = 4 * time.Hour // with jitter, so that a shop's registers do not ask at once
	jitter     = 0.125         // of a length of time, to either side

	firstRetry = time.Minute
	lastRetry  = CheckEvery
)

// NextCheck is how long to wait after a check. failures counts those that came to nothing one after the other: the
// wait doubles from a minute up to the usual one. dice is a random number in [0, 1).
func NextCheck(failures int, dice float64) time.Duration {
	wait := CheckEvery
	if failures > 0 {
		wait = firstRetry << min(failures-1, 8)
		wait = min(wait, lastRetry)
	}
	return shake(wait, dice)
}

// ResumeTries is how often one file is asked for again after it broke off without getting on.
const ResumeTries = 6

// Resume is how long to wait before a file that broke off is asked for again; ok is false when it is enough.
func Resume(failures int, dice float64) (wait time.Duration, ok bool) {
	if failures < 1 || failures > ResumeTries {
		return 0, false
	}
	return shake(time.Second<<(failures-1), dice), true // 1 s … 32 s
}

func shake(d time.Duration, dice float64) time.Duration {
	return d + time.Duration((2*dice-1)*jitter*float64(d))
}

// The shop's quiet hours. The shop's own zone is in the store pack, which the update service may not read; Japan has
// one zone and no summer time. Where these hours are wrong (another country), a restart still waits for a register
// that nobody uses, and costs twenty seconds.
const (
	QuietFrom = 2 * time.Hour // since midnight
	QuietTo   = 5 * time.Hour
	spread    = time.Hour // a shop's registers restart within this time, not all at once
)

// Zone is the zone in which quiet hours are reckoned.
func Zone() *time.Location { return time.FixedZone("JST", 9*60*60) }

// How long a register must have been unused before it may restart by itself.
const (
	idleAtNight = 10 * time.Minute
	idleByDay   = 3 * time.Hour   // the shop is closed, whatever the clock says
	idleOnWish  = 3 * time.Second // somebody asked for it: only not between two sales' scans
)

// State is all that the time of a restart depends on.
type State struct {
	Ready     bool          // a release is in place
	Busy      bool          // a sale is open, or the register does not say
	Idle      time.Duration // since Busy ended; counted by a clock that nobody can set
	Wish      bool          // a manager wants it now
	Postponed time.Duration // still to go of a manager's postponement
	Dice      float64       // in [0, 1), chosen once: this register's place within the quiet hours
}

// Decision is what follows.
type Decision struct {
	Restart bool      // now
	At      time.Time // when it is planned, as far as can be told; zero: nothing is planned
}

// Decide says whether to restart at the time now. It never says so while Busy.
func Decide(now time.Time, s State) Decision {
	switch {
	case !s.Ready:
		return Decision{}
	case s.Wish:
		return Decision{Restart: !s.Busy && s.Idle >= idleOnWish, At: now}
	case s.Postponed > 0:
		return Decision{At: nextQuiet(now.Add(s.Postponed), s.Dice)}
	case !s.Busy && (s.Idle >= idleByDay || s.Idle >= idleAtNight && quiet(now, s.Dice)):
		return Decision{Restart: true, At: now}
	}
	return Decision{At: nextQuiet(now, s.Dice)}
}

// begin is this register's beginning of the quiet hours, since midnight.
func begin(dice float64) time.Duration { return QuietFrom + time.Duration(dice*float64(spread)) }

func quiet(now time.Time, dice float64) bool {
	since := sinceMidnight(now)
	return since >= begin(dice) && since < QuietTo
}

// nextQuiet is the first time, from now on, within this register's quiet hours.
func nextQuiet(now time.Time, dice float64) time.Time {
	since := sinceMidnight(now)
	switch {
	case since < begin(dice):
		return now.Add(begin(dice) - since)
	case since < QuietTo:
		return now
	}
	return now.Add(24*time.Hour - since + begin(dice))
}

func sinceMidnight(now time.Time) time.Duration {
	t := now.In(Zone())
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute +
		time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
}
