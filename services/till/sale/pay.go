package sale

import (
	"fmt"
	"slices"
	"time"

	"github.com/choba-os/choba/services/till/money"
)

func (s State) tender(e Event) (State, error) {
	switch e := e.(type) {
	case TenderEntered:
		if s.Phase != Open {
			return s, ErrPhase
		}
		if len(s.Lines) == 0 {
			return s, ErrEmpty
		}
		s.Phase = Tendering
		return s, nil
	case TenderLeft:
		if s.Phase != Tendering {
			return s, ErrPhase
		}
		s.Phase, s.Payments = Open, nil
		return s, nil
	case Tendered:
		return s.pay(e)
	}
	return s, ErrKind
}

// pay takes money, also straight from the goods: one touch on an amount is enough.
func (s State) pay(e Tendered) (State, error) {
	if !s.unpaid() {
		return s, ErrPhase
	}
	if len(s.Lines) == 0 {
		return s, ErrEmpty
	}
	rest, err := s.Rest()
	if err != nil {
		return s, err
	}
	switch {
	case rest <= 0 && len(s.Payments) > 0:
		return s, ErrPaid
	case len(s.Payments) >= maxRecords:
		return s, ErrPaid
	case e.Amount == 0 && rest > 0:
		return s, ErrUnpaid
	case e.Amount-rest > MaxChange:
		return s, ErrChange
	}
	s.Phase = Tendering
	s.Payments = append(slices.Clone(s.Payments), Payment{e.Tender, e.Type, e.Amount})
	return s, nil
}

// Paid is the money given so far.
func (s State) Paid() (paid money.Yen) {
	for _, p := range s.Payments {
		paid += p.Amount // bounded: pay refuses once the total is covered
	}
	return paid
}

// Rest is what is still to pay; below zero it is the change.
func (s State) Rest() (money.Yen, error) {
	total, err := s.Total()
	if err != nil {
		return 0, err
	}
	return total.Sub(s.Paid())
}

// Completion gives the event that closes the sale; ErrUnpaid when the tenders do not cover it.
func (s State) Completion(at time.Time) (Completed, error) {
	if s.Phase != Tendering || len(s.Payments) == 0 {
		return Completed{}, ErrUnpaid
	}
	sums, err := s.Sums()
	if err != nil {
		return Completed{}, err
	}
	done := Completed{Sale: s.Opened.Sale, At: at, Paid: s.Paid()}
	for _, sum := range sums {
		done.Rates = append(done.Rates, Result{sum.Class, sum.Base, sum.Tax})
	}
	if done.Total, err = s.Total(); err != nil {
		return Completed{}, err
	}
	if done.Change = done.Paid - done.Total; done.Change < 0 {
		return Completed{}, ErrUnpaid
	}
	return done, nil
}

// complete accepts only the result that the sale itself adds up to.
func (s State) complete(e Completed) (State, []Effect, error) {
	want, err := s.Completion(e.At)
	if err != nil {
		return s, nil, err
	}
	if e.Total != want.Total || e.Paid != want.Paid || e.Change != want.Change || !slices.Equal(e.Rates, want.Rates) {
		return s, nil, fmt.Errorf("%w: total %d, paid %d, change %d", ErrResult, want.Total, want.Paid, want.Change)
	}
	s.Phase, s.Completed = Complete, e
	return s, []Effect{AskDrawer{Reason: "sale"}, AskPrint{}}, nil
}

func (s State) print(e Event) (State, []Effect, error) {
	if s.Phase != Complete {
		return s, nil, ErrPhase
	}
	switch e := e.(type) {
	case PrintAsked:
		if e.Reissue != s.mayHavePrinted() || s.job(e.Job) >= 0 || len(s.Prints) >= maxRecords {
			return s, nil, ErrJob
		}
		job := Job{e.Job, e.Reissue, e.At, JobAsked}
		s.Prints = append(slices.Clone(s.Prints), job)
		return s, []Effect{SendPrint{job}}, nil
	case PrintResult:
		at := s.job(e.Job)
		if at < 0 || s.Prints[at].State != JobAsked {
			return s, nil, ErrJob
		}
		s.Prints = slices.Clone(s.Prints)
		s.Prints[at].State = e.State
		return s, nil, nil
	}
	return s, nil, ErrKind
}

func (s State) job(id string) int {
	return slices.IndexFunc(s.Prints, func(j Job) bool { return j.ID == id })
}

// mayHavePrinted: a job that is still asked for may come out at any moment, so what follows it is a copy too.
func (s State) mayHavePrinted() bool {
	return slices.ContainsFunc(s.Prints, func(j Job) bool { return j.State != JobNotDone })
}

// NextPrint gives the event that asks for one more receipt. It is marked as a copy unless it is certain that none came out.
func (s State) NextPrint(at time.Time) PrintAsked {
	return PrintAsked{
		Sale: s.Opened.Sale, Job: fmt.Sprintf("R%s-%s-%d", s.Opened.Register, s.Opened.Sale, len(s.Prints)+1), Reissue: s.mayHavePrinted(), At: at,
	}
}

// Printed is the state of the newest print job; empty when there is none.
func (s State) Printed() string {
	if len(s.Prints) == 0 {
		return ""
	}
	return s.Prints[len(s.Prints)-1].State
}

func (s State) drawer(e Event) (State, []Effect, error) {
	if s.Phase != Complete {
		return s, nil, ErrPhase
	}
	switch e := e.(type) {
	case DrawerAsked:
		if s.command(e.Command) >= 0 || len(s.Commands) >= maxRecords {
			return s, nil, ErrJob
		}
		s.Commands = append(slices.Clone(s.Commands), Command{e.Command, DrawerWaiting})
		return s, []Effect{SendDrawer{e.Command}}, nil
	case DrawerResult:
		at := s.command(e.Command)
		if at < 0 || s.Commands[at].State != DrawerWaiting {
			return s, nil, ErrJob
		}
		s.Commands = slices.Clone(s.Commands)
		s.Commands[at].State = e.State
		return s, nil, nil
	}
	return s, nil, ErrKind
}

func (s State) command(id string) int {
	return slices.IndexFunc(s.Commands, func(c Command) bool { return c.ID == id })
}

// NextCommand gives the event that asks for the drawer once more.
func (s State) NextCommand(reason string) DrawerAsked {
	return DrawerAsked{
		Sale: s.Opened.Sale, Command: fmt.Sprintf("D%s-%s-%d", s.Opened.Register, s.Opened.Sale, len(s.Commands)+1), Reason: reason,
	}
}

// DrawerState is the state of the newest drawer command; empty when there is none.
func (s State) DrawerState() string {
	if len(s.Commands) == 0 {
		return ""
	}
	return s.Commands[len(s.Commands)-1].State
}
