// Package book is a register's book: one sale after the other, each with the next number.
//
// It holds what a register has to remember between sales and nothing more: the sale on the counter, those before it whose paper or drawer
// is not settled, the last finished one, the next number, and the touches that already had their effect. It is not the journal; it is what
// a replay of the register's own entries gives. The rule that keeps it small: whatever concerns one sale only is in package sale.
package book

import (
	"errors"
	"fmt"
	"slices"

	"github.com/choba-os/choba/services/till/sale"
)

// State is the book. The zero value is the book of a register that never sold anything, or of a replay that begins in the middle.
type State struct {
	Next    uint64       // number of the next sale; 0 when nothing is known, then the next one is whatever comes
	Sale    sale.State   // the open sale, or the last one: see Counter
	Earlier []sale.State // completed sales that have something unsettled, and the newest completed one; oldest first
	Acts    []string     // the newest touches and scans that had their effect
}

// keepActs is how many identities of touches are remembered: more than a screen or a scanner can have under way.
const keepActs = 256

// keepEarlier bounds the sales whose printing nobody answers for. Beyond it the oldest is let go; it can still be found in the journal.
const keepEarlier = 64

// Why an event does not belong into the book.
var (
	ErrNumber   = errors.New("not the next number")
	ErrOld      = errors.New("the sale is no longer held")
	ErrRepeated = errors.New("this touch or scan had its effect already")
	ErrBusy     = errors.New("the sale before it is not finished")
)

// Number is the number that the next sale will get.
func (s State) Number() string { return sale.Number(max(1, s.Next)) }

// Apply gives the book after an event and what is to be done then. An event that does not belong there is an error and changes nothing. What is sold gets numbers
// without a gap: a sale that is given up keeps its number, and its cancellation is in the journal.
func Apply(s State, e sale.Event) (State, []sale.Effect, error) {
	act := sale.ActOf(e)
	if act != "" && slices.Contains(s.Acts, act) {
		return s, nil, fmt.Errorf("applying %s of sale %s: %w", e.Kind(), e.Of(), ErrRepeated)
	}
	next, effects, err := apply(s, e)
	if err != nil {
		return s, nil, err
	}
	if act != "" {
		next.Acts = append(slices.Clone(next.Acts[max(0, len(next.Acts)-keepActs+1):]), act)
	}
	return next, effects, nil
}

func apply(s State, e sale.Event) (State, []sale.Effect, error) {
	if o, ok := e.(sale.Opened); ok {
		return s.open(o)
	}
	if s.Sale.Phase != sale.None && s.Sale.Opened.Sale == e.Of() {
		held, effects, err := sale.Apply(s.Sale, e)
		s.Sale = held
		return s, effects, err
	}
	at := slices.IndexFunc(s.Earlier, func(b sale.State) bool { return b.Opened.Sale == e.Of() })
	if at < 0 {
		return s, nil, fmt.Errorf("applying %s of sale %s: %w", e.Kind(), e.Of(), ErrOld)
	}
	held, effects, err := sale.Apply(s.Earlier[at], e)
	s.Earlier = slices.Clone(s.Earlier)
	s.Earlier[at] = held
	return s, effects, err
}

func (s State) open(o sale.Opened) (State, []sale.Effect, error) {
	n, err := sale.ParseNumber(o.Sale)
	switch {
	case err != nil:
		return s, nil, err
	case s.Next != 0 && n != s.Next:
		return s, nil, fmt.Errorf("opening sale %s: %w, which is %s", o.Sale, ErrNumber, s.Number())
	case s.Sale.Phase == sale.Open || s.Sale.Phase == sale.Tendering:
		return s, nil, fmt.Errorf("opening sale %s: %w: %s", o.Sale, ErrBusy, s.Sale.Opened.Sale)
	}
	fresh, effects, err := sale.Apply(sale.State{}, o)
	if err != nil {
		return s, nil, err
	}
	s.Earlier = s.earlier()
	s.Sale, s.Next = fresh, n+1
	return s, effects, nil
}

// earlier lets go of the settled ones and takes in the sale that leaves the counter.
func (s State) earlier() []sale.State {
	kept := slices.Clone(s.Earlier)
	if s.Sale.Phase == sale.Complete {
		kept = append(kept, s.Sale)
	}
	newest := len(kept) - 1
	var out []sale.State
	for i, b := range kept {
		if i == newest || unsettled(b) {
			out = append(out, b)
		}
	}
	return out[max(0, len(out)-keepEarlier):]
}

func unsettled(s sale.State) bool {
	return slices.ContainsFunc(s.Prints, func(j sale.Job) bool { return j.State == sale.JobAsked }) ||
		slices.ContainsFunc(s.Commands, func(c sale.Command) bool { return c.State == sale.DrawerWaiting })
}

// Held gives a sale that the book still holds.
func (s State) Held(number string) (sale.State, bool) {
	if s.Sale.Phase != sale.None && s.Sale.Opened.Sale == number {
		return s.Sale, true
	}
	for _, b := range s.Earlier {
		if b.Opened.Sale == number {
			return b, true
		}
	}
	return sale.State{}, false
}

// Finished gives the newest completed sale, the one that a receipt can be asked for again.
func (s State) Finished() (sale.State, bool) {
	if s.Sale.Phase == sale.Complete {
		return s.Sale, true
	}
	if n := len(s.Earlier); n > 0 {
		return s.Earlier[n-1], true
	}
	return sale.State{}, false
}

// Unsettled gives every job and command that has no result yet, as the events that would say what became of them.
func (s State) Unsettled() (events []sale.Event) {
	for _, b := range append(slices.Clone(s.Earlier), s.Sale) {
		for _, j := range b.Prints {
			if j.State == sale.JobAsked {
				events = append(events, sale.PrintResult{Sale: b.Opened.Sale, Job: j.ID, State: sale.JobUnknown})
			}
		}
		for _, c := range b.Commands {
			if c.State == sale.DrawerWaiting {
				events = append(events, sale.DrawerResult{Sale: b.Opened.Sale, Command: c.ID, State: sale.DrawerUnknown})
			}
		}
	}
	return events
}
