// Package sale is one sale, from the first article to the paper and the drawer: a fold over events.
//
// It is not a service: it has no clock, keeps nothing, and prints nothing. Whoever runs it writes each event to the journal first and
// applies it afterwards; the state that Apply gives live and the state that a replay gives years later are the same. The rule that keeps it
// small: everything a sale can be is a State, everything that can happen to it an Event, and what must happen next an Effect.
//
// Events are stored as journal entries: see Event, Encode and Decode for the format.
package sale

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/choba-os/choba/services/till/catalogue"
	"github.com/choba-os/choba/services/till/money"
	"github.com/choba-os/choba/services/till/tax"
)

// The limits of one sale. They keep a slip of the finger from becoming a receipt; a shop that sells more in one go makes two receipts.
const (
	MaxQty              = 999
	MaxLines            = 500
	MaxTotal  money.Yen = 99_999_999
	MaxChange money.Yen = 99_999 // nobody gives ten of the largest notes too many

	maxLineID  = 1_000_000 // lines that were ever there, removed ones too
	maxRecords = 1000      // prints and drawer commands of one sale
)

// Phase of a sale.
type Phase string

const (
	None      Phase = ""          // no sale: the zero State
	Open      Phase = "open"      // goods are registered
	Tendering Phase = "tender"    // money is taken
	Complete  Phase = "completed" // paid
	Void      Phase = "cancelled" // given up before it was paid
)

// Line is an article and how many of it. Lines keep their ID while others come and go.
type Line struct {
	ID     int
	Item   catalogue.Article
	Qty    int
	Amount money.Yen
}

// Payment is money that was given.
type Payment struct {
	Tender string
	Type   string
	Amount money.Yen
}

// Job is one receipt sent to a printer.
type Job struct {
	ID      string
	Reissue bool
	At      time.Time
	State   string
}

// Command is one order to the drawer.
type Command struct {
	ID    string
	State string
}

// State is all that is known of a sale. It is a value: Apply never changes the State it is given, nor anything reachable from it.
type State struct {
	Phase     Phase
	Opened    Opened
	Lines     []Line
	Made      int // lines ever made; the next line's ID is one more
	Last      int // ID of the line touched last, 0 for none
	Payments  []Payment
	Completed Completed
	Dismissed bool
	Prints    []Job
	Commands  []Command
}

// Why an event does not fit. Register and screen have sentences for them.
var (
	ErrPhase    = errors.New("not in this phase of the sale")
	ErrSale     = errors.New("it names another sale")
	ErrNoLine   = errors.New("there is no such line")
	ErrQuantity = errors.New("a quantity is 1 … 999")
	ErrLines    = errors.New("a sale has at most 500 lines")
	ErrTotal    = errors.New("a sale is at most 99,999,999 yen")
	ErrEmpty    = errors.New("nothing was sold")
	ErrChange   = errors.New("the change would be more than 99,999 yen")
	ErrPaid     = errors.New("it is already paid")
	ErrUnpaid   = errors.New("the tenders do not cover the total")
	ErrResult   = errors.New("the result is not what the sale adds up to")
	ErrJob      = errors.New("there is no such job or command, or it has its result already, or its name was used")
)

// Effect is what the world has to do because of an event. A replay ignores effects.
type Effect interface{ effect() }

// AskDrawer, AskPrint: write the DrawerAsked or PrintAsked that Next… gives. SendDrawer, SendPrint: it is written, now do it.
type (
	AskDrawer  struct{ Reason string }
	AskPrint   struct{}
	SendDrawer struct{ Command string }
	SendPrint  struct{ Job Job }
)

func (AskDrawer) effect()  {}
func (AskPrint) effect()   {}
func (SendDrawer) effect() {}
func (SendPrint) effect()  {}

// Apply gives the state after an event and what is to be done then. An event that does not fit is an error and changes nothing.
func Apply(s State, e Event) (State, []Effect, error) {
	next, effects, err := apply(s, e)
	if err != nil {
		return s, nil, fmt.Errorf("applying %s of sale %s: %w", e.Kind(), e.Of(), err)
	}
	return next, effects, nil
}

func apply(s State, e Event) (State, []Effect, error) {
	if err := e.check(); err != nil {
		return s, nil, err
	}
	if o, ok := e.(Opened); ok {
		if s.Phase != None {
			return s, nil, ErrPhase
		}
		return State{Phase: Open, Opened: o}, nil, nil
	}
	if s.Phase == None {
		return s, nil, ErrPhase
	}
	if e.Of() != s.Opened.Sale {
		return s, nil, ErrSale
	}
	switch e := e.(type) {
	case ItemAdded:
		return pure(s.add(e))
	case QuantityChanged:
		return pure(s.change(e))
	case LineRemoved:
		return pure(s.remove(e))
	case TenderEntered, TenderLeft, Tendered:
		return pure(s.tender(e))
	case Completed:
		return s.complete(e)
	case Cancelled:
		return pure(s.cancel())
	case Dismissed:
		return pure(s.dismiss())
	case PrintAsked, PrintResult:
		return s.print(e)
	case DrawerAsked, DrawerResult:
		return s.drawer(e)
	}
	return s, nil, ErrKind
}

func pure(s State, err error) (State, []Effect, error) { return s, nil, err }

// Open and Tendering both still hold goods that are not paid.
func (s State) unpaid() bool { return s.Phase == Open || s.Phase == Tendering }

func (s State) add(e ItemAdded) (State, error) {
	if s.Phase != Open {
		return s, ErrPhase
	}
	if _, ok := s.Opened.Terms.Rate(e.Item.Tax); !ok {
		return s, fmt.Errorf("tax class %q has no rate", e.Item.Tax)
	}
	if at := s.at(e.Line); at >= 0 {
		if at != len(s.Lines)-1 || s.Lines[at].Item != e.Item {
			return s, ErrNoLine
		}
		return s.set(at, s.Lines[at].Qty+e.Qty)
	}
	if e.Line != s.Made+1 {
		return s, ErrNoLine
	}
	if len(s.Lines) >= MaxLines || s.Made >= maxLineID {
		return s, ErrLines
	}
	s.Made++
	s.Lines = append(slices.Clone(s.Lines), Line{ID: e.Line, Item: e.Item})
	return s.set(len(s.Lines)-1, e.Qty)
}

func (s State) change(e QuantityChanged) (State, error) {
	if s.Phase != Open {
		return s, ErrPhase
	}
	at := s.at(e.Line)
	if at < 0 {
		return s, ErrNoLine
	}
	return s.set(at, e.Qty)
}

// set gives a line its quantity and amount and checks the whole.
func (s State) set(at, qty int) (State, error) {
	if qty < 1 || qty > MaxQty {
		return s, ErrQuantity
	}
	amount, err := s.Lines[at].Item.Price.Times(int64(qty))
	if err != nil {
		return s, err
	}
	s.Lines = slices.Clone(s.Lines)
	s.Lines[at].Qty, s.Lines[at].Amount = qty, amount
	s.Last = s.Lines[at].ID
	if total, err := s.Total(); err != nil {
		return s, err
	} else if total > MaxTotal {
		return s, ErrTotal
	}
	return s, nil
}

func (s State) remove(e LineRemoved) (State, error) {
	if s.Phase != Open {
		return s, ErrPhase
	}
	at := s.at(e.Line)
	if at < 0 {
		return s, ErrNoLine
	}
	s.Lines = slices.Delete(slices.Clone(s.Lines), at, at+1)
	s.Last = 0
	if n := len(s.Lines); n > 0 {
		s.Last = s.Lines[n-1].ID
	}
	return s, nil
}

func (s State) cancel() (State, error) {
	if !s.unpaid() {
		return s, ErrPhase
	}
	s.Phase, s.Payments = Void, nil
	return s, nil
}

func (s State) dismiss() (State, error) {
	if s.Phase != Complete || s.Dismissed {
		return s, ErrPhase
	}
	s.Dismissed = true
	return s, nil
}

func (s State) at(id int) int {
	return slices.IndexFunc(s.Lines, func(l Line) bool { return l.ID == id })
}

// Sums gives the sale's amounts and taxes, rate by rate.
func (s State) Sums() ([]tax.Sum, error) {
	parts := make([]tax.Part, len(s.Lines))
	for i, l := range s.Lines {
		parts[i] = tax.Part{Class: l.Item.Tax, Amount: l.Amount}
	}
	return s.Opened.Terms.Sums(parts)
}

// Total is what the customer has to pay.
func (s State) Total() (money.Yen, error) {
	sums, err := s.Sums()
	if err != nil {
		return 0, err
	}
	var total money.Yen
	for _, sum := range sums {
		if total, err = total.Add(sum.Due); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// Count is the number of pieces.
func (s State) Count() (n int) {
	for _, l := range s.Lines {
		n += l.Qty
	}
	return n
}

// Item gives the event that adds an article: onto the last line when that is the same article and has room, as a new line otherwise.
func (s State) Item(a catalogue.Article, qty int) ItemAdded {
	e := ItemAdded{Sale: s.Opened.Sale, Line: s.Made + 1, Item: a, Qty: qty}
	if n := len(s.Lines); n > 0 && s.Lines[n-1].Item == a && s.Lines[n-1].Qty+qty <= MaxQty {
		e.Line = s.Lines[n-1].ID
	}
	return e
}
