package sale

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/choba-os/choba/services/till/barcode"
	"github.com/choba-os/choba/services/till/catalogue"
	"github.com/choba-os/choba/services/till/day"
	"github.com/choba-os/choba/services/till/money"
	"github.com/choba-os/choba/services/till/tax"
)

// Event is one thing that happened in a sale. Its JSON is the content of a journal entry of its kind; the set of fields is part of the stored
// format. Every event names its sale by number. Act is the touch that the event finishes; empty for those that only lead to it.
type Event interface {
	Kind() string
	Of() string // the sale's number
	check() error
}

// Opened begins a sale: it takes the next number, which it keeps whatever becomes of it.
type Opened struct {
	Sale     string    `json:"sale"`     // six digits or more: "000482"
	Register string    `json:"register"` // "02"
	Business day.Date  `json:"business"` // the calendar date in the shop when the sale began
	At       time.Time `json:"at"`
	Operator Operator  `json:"operator"`
	Pack     string    `json:"pack"` // the store pack in force, by its identity
	Terms    tax.Terms `json:"terms"`
}

// Operator is who stands at the register.
type Operator struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// ItemAdded adds pieces of an article: as the next line, or onto the last line when Line names it. It carries all that the sale needs to know of
// the article, so that no catalogue is needed to compute the sale again.
type ItemAdded struct {
	Sale string            `json:"sale"`
	Line int               `json:"line"`
	Item catalogue.Article `json:"item"`
	Qty  int               `json:"qty"`
	Scan uint64            `json:"scan,omitempty"` // the scanner's number of the scan; 0 when typed by hand
	Act  string            `json:"act,omitempty"`
}

// QuantityChanged sets the pieces of a line.
type QuantityChanged struct {
	Sale string `json:"sale"`
	Line int    `json:"line"`
	Qty  int    `json:"qty"`
	Act  string `json:"act,omitempty"`
}

// LineRemoved takes a line out before payment.
type LineRemoved struct {
	Sale string `json:"sale"`
	Line int    `json:"line"`
	Act  string `json:"act,omitempty"`
}

// TenderEntered begins payment.
type TenderEntered struct {
	Sale string `json:"sale"`
	Act  string `json:"act,omitempty"`
}

// TenderLeft goes back to the goods; what was tendered is void.
type TenderLeft struct {
	Sale string `json:"sale"`
	Why  string `json:"why,omitempty"` // "interrupted" when a power cut or a fault did it, not a person
	Act  string `json:"act,omitempty"`
}

// Tendered is money that the customer gave.
type Tendered struct {
	Sale   string    `json:"sale"`
	Tender string    `json:"tender"` // identity of the tender in the store pack: "cash"
	Type   string    `json:"type"`   // Cash
	Amount money.Yen `json:"amount"`
}

// Cash is the only type of tender so far. Others give no change, or do, by rules of their own.
const Cash = "cash"

// Completed closes a paid sale. It repeats the result, so that a reader of the journal sees it and a later program that computed otherwise would notice.
type Completed struct {
	Sale   string    `json:"sale"`
	At     time.Time `json:"at"`
	Total  money.Yen `json:"total"`
	Paid   money.Yen `json:"paid"`
	Change money.Yen `json:"change"`
	Rates  []Result  `json:"rates"`
	Act    string    `json:"act,omitempty"`
}

// Result is one rate's part of a completed sale.
type Result struct {
	Class tax.Class `json:"class"`
	Base  money.Yen `json:"base"`
	Tax   money.Yen `json:"tax"`
}

// Cancelled gives the whole sale up; its number is spent.
type Cancelled struct {
	Sale string    `json:"sale"`
	At   time.Time `json:"at"`
	Act  string    `json:"act,omitempty"`
}

// Dismissed says that the completed sale left the screen: the change was given.
type Dismissed struct {
	Sale string `json:"sale"`
	Act  string `json:"act,omitempty"`
}

// PrintAsked is written before a receipt is sent to the printer.
type PrintAsked struct {
	Sale    string    `json:"sale"`
	Job     string    `json:"job"`
	Reissue bool      `json:"reissue,omitempty"` // an earlier one came out, or may have: marked 再発行
	At      time.Time `json:"at"`
	Act     string    `json:"act,omitempty"`
}

// PrintResult is what became of a print job; its state is part of the entry's kind.
type PrintResult struct {
	Sale   string `json:"sale"`
	Job    string `json:"job"`
	State  string `json:"-"` // JobDone, JobNotDone, JobUnknown
	Reason string `json:"reason,omitempty"`
}

// DrawerAsked is written before the drawer is told to open; the journal's proof of this entry is what moves it. The driver reads the same three fields.
type DrawerAsked struct {
	Command string `json:"command"`
	Reason  string `json:"reason"` // "sale"
	Sale    string `json:"sale"`
}

// DrawerResult is what became of a drawer command; its state is part of the entry's kind.
type DrawerResult struct {
	Sale    string `json:"sale"`
	Command string `json:"command"`
	State   string `json:"-"` // DrawerOpened, DrawerFailed, DrawerUnknown
	Reason  string `json:"reason,omitempty"`
}

// States of a print job. JobAsked is the state between PrintAsked and its result.
const (
	JobAsked   = "asked"
	JobDone    = "done"
	JobNotDone = "not-done"
	JobUnknown = "unknown"
)

// States of a drawer command.
const (
	DrawerWaiting = "asked"
	DrawerOpened  = "opened"
	DrawerFailed  = "failed"
	DrawerUnknown = "unknown"
)

// Decode reads the content of a journal entry. Unknown kinds, unknown fields and values outside their range are errors.
func Decode(kind string, content []byte) (Event, error) {
	e, err := decode(kind, content)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", kind, err)
	}
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", kind, err)
	}
	return e, nil
}

// ErrKind says that an entry is not an event of a sale.
var ErrKind = errors.New("not an event of a sale")

func decode(kind string, content []byte) (Event, error) {
	switch kind {
	case "sale.opened":
		return strict[Opened](content)
	case "sale.item-added":
		return strict[ItemAdded](content)
	case "sale.quantity-changed":
		return strict[QuantityChanged](content)
	case "sale.line-removed":
		return strict[LineRemoved](content)
	case "sale.tender-entered":
		return strict[TenderEntered](content)
	case "sale.tender-left":
		return strict[TenderLeft](content)
	case "sale.tendered":
		return strict[Tendered](content)
	case "sale.completed":
		return strict[Completed](content)
	case "sale.cancelled":
		return strict[Cancelled](content)
	case "sale.dismissed":
		return strict[Dismissed](content)
	case "print.asked":
		return strict[PrintAsked](content)
	case "print.done", "print.not-done", "print.unknown":
		e, err := strict[PrintResult](content)
		e.State = kind[len("print."):]
		return e, err
	case "drawer.open":
		return strict[DrawerAsked](content)
	case "drawer.opened", "drawer.failed", "drawer.unknown":
		e, err := strict[DrawerResult](content)
		e.State = kind[len("drawer."):]
		return e, err
	}
	return nil, ErrKind
}

func strict[E Event](content []byte) (E, error) {
	var e, none E
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return none, err
	}
	if _, err := d.Token(); err != io.EOF {
		return none, errors.New("something follows the value")
	}
	return e, nil
}

// Encode writes an event as Decode reads it. An event that Decode would refuse is an error.
func Encode(e Event) (kind string, content []byte, err error) {
	if err := e.check(); err != nil {
		return "", nil, fmt.Errorf("writing %s: %w", e.Kind(), err)
	}
	content, err = json.Marshal(e)
	if err != nil {
		return "", nil, fmt.Errorf("writing %s: %w", e.Kind(), err)
	}
	return e.Kind(), content, nil
}

func (Opened) Kind() string          { return "sale.opened" }
func (ItemAdded) Kind() string       { return "sale.item-added" }
func (QuantityChanged) Kind() string { return "sale.quantity-changed" }
func (LineRemoved) Kind() string     { return "sale.line-removed" }
func (TenderEntered) Kind() string   { return "sale.tender-entered" }
func (TenderLeft) Kind() string      { return "sale.tender-left" }
func (Tendered) Kind() string        { return "sale.tendered" }
func (Completed) Kind() string       { return "sale.completed" }
func (Cancelled) Kind() string       { return "sale.cancelled" }
func (Dismissed) Kind() string       { return "sale.dismissed" }
func (PrintAsked) Kind() string      { return "print.asked" }
func (e PrintResult) Kind() string   { return "print." + e.State }
func (DrawerAsked) Kind() string     { return "drawer.open" }
func (e DrawerResult) Kind() string  { return "drawer." + e.State }

func (e Opened) Of() string          { return e.Sale }
func (e ItemAdded) Of() string       { return e.Sale }
func (e QuantityChanged) Of() string { return e.Sale }
func (e LineRemoved) Of() string     { return e.Sale }
func (e TenderEntered) Of() string   { return e.Sale }
func (e TenderLeft) Of() string      { return e.Sale }
func (e Tendered) Of() string        { return e.Sale }
func (e Completed) Of() string       { return e.Sale }
func (e Cancelled) Of() string       { return e.Sale }
func (e Dismissed) Of() string       { return e.Sale }
func (e PrintAsked) Of() string      { return e.Sale }
func (e PrintResult) Of() string     { return e.Sale }
func (e DrawerAsked) Of() string     { return e.Sale }
func (e DrawerResult) Of() string    { return e.Sale }

// Number writes the number of a sale as receipts show it.
func Number(n uint64) string { return fmt.Sprintf("%06d", n) }

// ParseNumber reads what Number wrote.
func ParseNumber(text string) (uint64, error) {
	var n uint64
	if len(text) < barcode.NumberDigits || len(text) > 12 {
		return 0, fmt.Errorf("reading the sale number %q: want six digits or more", text)
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, fmt.Errorf("reading the sale number %q: not a digit", text)
		}
		n = n*10 + uint64(text[i]-'0')
	}
	if n == 0 || Number(n) != text {
		return 0, fmt.Errorf("reading the sale number %q: want %q", text, Number(n))
	}
	return n, nil
}

// ActOf is the touch or scan that an event finishes; empty when it finishes none.
func ActOf(e Event) string {
	switch e := e.(type) {
	case ItemAdded:
		return e.Act
	case QuantityChanged:
		return e.Act
	case LineRemoved:
		return e.Act
	case TenderEntered:
		return e.Act
	case TenderLeft:
		return e.Act
	case Completed:
		return e.Act
	case Cancelled:
		return e.Act
	case Dismissed:
		return e.Act
	case PrintAsked:
		return e.Act
	}
	return ""
}
