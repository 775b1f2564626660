package slot

import "fmt"

// Evidence is how it is known that a boot failed, beyond that it did not reach ready.
// Its zero value is none: the mains may have been cut, or the kernel panicked.
type Evidence string

// Kinds of evidence.
const (
	None     Evidence = ""
	Watchdog Evidence = "watchdog" // the timer says that it reset the machine
	Health   Evidence = "health"   // init saw a service that did not get well
)

// evidenceCounts is how many unready boots a failed boot of a committed release counts
// when there is evidence. Depart has counted one of them.
const evidenceCounts = 3

// Return is the first thing that recovery does with a record: a departure that is
// still open has ended here. With evidence it is a failure, by Fail; without, it has
// cost what Depart took. Releases that have used up their trials are refused, by
// Settle. why is for people. changed says whether there is something to store.
func Return(rec Record, e Evidence, why string) (out Record, changed bool) {
	if n := rec.Departed; n != "" {
		changed = true
		next, err := Fail(rec, n, e, why)
		if e == None || err != nil {
			next = rec.close(n)
		}
		rec = next
	}
	rec, settled := Settle(rec)
	return rec, changed || settled
}

// Fail closes the departure for a slot with a failure that there is evidence of: a
// release on trial is refused at once, one that was committed counts three boots that
// missed ready instead of one.
func Fail(rec Record, n Name, e Evidence, why string) (Record, error) {
	s := rec.Slot(n)
	if e == None || rec.Departed != n || n.Other() == "" {
		return rec, fmt.Errorf("failing slot %s: no boot of it is open, or nothing says that it failed", n)
	}
	if s.State == Trial {
		return Refuse(rec, n, why)
	}
	s.Unready = min(s.Unready+evidenceCounts-1, UnreadyLimit)
	return rec.with(n, s, why).close(n), nil
}

// End closes the departure for a slot that a person switches off or restarts before it
// is ready: a watchdog that fires from then on is no evidence against it. What Depart
// took stays taken, so that no release can live for ever on ending itself in order.
func End(rec Record, n Name) (out Record, changed bool) {
	if n == "" || rec.Departed != n {
		return rec, false
	}
	return rec.with(n, rec.Slot(n), "switched off before it was ready").close(n), true
}

// AskRecovery records that a person wants recovery at the next boot.
func AskRecovery(rec Record, by string) Record {
	rec = rec.with("", Slot{}, by+" asked for recovery")
	rec.Asked = AskedByPerson
	return rec
}

// AskForKey ends a boot that could not open the data key, for a reason that every
// release would meet: the next boot stops in recovery, where a code can be typed. A
// committed release gets its boot back: it did nothing wrong. One on trial does not:
// it may be the one that believes so.
func AskForKey(rec Record, n Name, why string) Record {
	s := rec.Slot(n)
	if rec.Departed == n && s.Unready > 0 {
		s.Unready--
	}
	rec = rec.with(n, s, why).close(n)
	rec.Asked = AskedForKey
	return rec
}

// AnswerAsked takes the wish back: it is for one boot, and cannot hold a register in
// recovery.
func AnswerAsked(rec Record) (out Record, asked Ask) {
	asked, rec.Asked = rec.Asked, ""
	return rec, asked
}

// Forgive gives every slot that is passed over only because it missed ready too often
// one boot more. Recovery calls it when it has stopped and waits for a person: who
// then switches the register off and on wants it tried again.
func Forgive(rec Record) (out Record, changed bool) {
	for _, n := range Names() {
		if s := rec.Slot(n); s.Unready >= UnreadyLimit {
			s.Unready = UnreadyLimit - 1
			rec, changed = rec.with(n, s, "stopped in recovery; the next switch-on tries once more"), true
		}
	}
	return rec, changed
}

// close returns the record without an open departure for n.
func (r Record) close(n Name) Record {
	if r.Departed == n {
		r.Departed = ""
	}
	return r
}
