package register

import (
	"errors"
	"slices"

	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/till/book"
	"github.com/choba-os/choba/services/till/day"
	"github.com/choba-os/choba/services/till/money"
	"github.com/choba-os/choba/services/till/sale"
	"github.com/choba-os/choba/services/till/tax"
)

// keepAcked is how many touches without a record are remembered.
const keepAcked = 64

// touch does one Act. An Act that had its effect already is answered as done.
func (r *Register) touch(a api.Act) error {
	if !sale.Word(a.ID) || len(a.Code) > 128 {
		return &link.Error{Kind: link.BadRequest, Text: "the act has no proper id, or an absurd code"}
	}
	if r.down != nil {
		return &link.Error{Kind: link.Unavailable, Text: "the journal does not answer; nothing was done"}
	}
	if slices.Contains(r.book.Acts, a.ID) || slices.Contains(r.acked, a.ID) {
		return nil
	}
	before := r.message
	r.message = nil
	err := r.perform(a)
	switch {
	case errors.Is(err, book.ErrRepeated):
		err = nil
	case errors.Is(err, errJournal):
		return &link.Error{Kind: link.Unavailable, Text: "the journal does not answer; send the same act again"}
	case err != nil:
		m := r.explainError(err)
		if r.message = m; m == nil {
			r.message = before
		}
		r.publish()
		return &link.Error{Kind: kindOf(err), Text: sentence(m, err)}
	default:
		r.acked = append(r.acked[max(0, len(r.acked)-keepAcked+1):], a.ID)
	}
	r.publish()
	return nil
}

func (r *Register) perform(a api.Act) error {
	s := r.book.Sale
	number := s.Opened.Sale
	switch a.Op {
	case api.OpCode:
		return r.typed(a)
	case api.OpQuantity:
		line, err := r.line(a)
		if err != nil {
			return err
		}
		if a.Qty < 1 || a.Qty > sale.MaxQty {
			return sale.ErrQuantity
		}
		return r.do(sale.QuantityChanged{Sale: number, Line: line, Qty: a.Qty, Act: a.ID})
	case api.OpRemove:
		line, err := r.line(a)
		if err != nil {
			return err
		}
		return r.do(sale.LineRemoved{Sale: number, Line: line, Act: a.ID})
	case api.OpTender:
		if s.Phase == sale.Tendering {
			return nil
		}
		return r.do(sale.TenderEntered{Sale: number, Act: a.ID})
	case api.OpBack:
		if s.Phase != sale.Tendering {
			return sale.ErrPhase
		}
		return r.do(sale.TenderLeft{Sale: number, Act: a.ID})
	case api.OpCash:
		return r.cash(a)
	case api.OpCancel:
		return r.do(sale.Cancelled{Sale: number, At: r.now(), Act: a.ID})
	}
	return r.after(a)
}

// after: what can be done when a sale is finished.
func (r *Register) after(a api.Act) error {
	s := r.book.Sale
	switch a.Op {
	case api.OpNext:
		if s.Phase == sale.Complete && s.Dismissed || s.Phase == sale.None || s.Phase == sale.Void {
			return nil
		}
		return r.do(sale.Dismissed{Sale: s.Opened.Sale, Act: a.ID})
	case api.OpPrint:
		return r.reprint(a)
	case api.OpDrawer:
		if s.Phase != sale.Complete || s.Dismissed || s.DrawerState() == sale.DrawerWaiting || s.DrawerState() == sale.DrawerOpened {
			return sale.ErrPhase
		}
		return r.do(s.NextCommand("sale"))
	case api.OpAck:
		r.unread = r.unread[min(1, len(r.unread)):]
		return nil
	}
	return r.aboutUpdate(a)
}

func (r *Register) line(a api.Act) (int, error) {
	s := r.book.Sale
	switch {
	case s.Phase != sale.Open:
		return 0, sale.ErrPhase
	case a.Line != 0:
		return a.Line, nil
	case s.Last == 0:
		return 0, sale.ErrNoLine
	}
	return s.Last, nil
}

func (r *Register) typed(a api.Act) error {
	qty := max(a.Qty, 1)
	if a.Qty < 0 || qty > sale.MaxQty {
		return sale.ErrQuantity
	}
	article, err := r.find(a.Code, false)
	if err != nil {
		return err
	}
	return r.add(article, qty, 0, a.ID)
}

// open begins the next sale, under the terms of today.
func (r *Register) open() error {
	now := r.now()
	date := day.Of(now)
	return r.do(sale.Opened{
		Sale: r.book.Number(), Register: r.cfg.Pack.Register, Business: date, At: now,
		Operator: sale.Operator{ID: r.operator.ID, Name: r.operator.Name}, Pack: r.cfg.Pack.Name(),
		Terms: tax.Terms{Included: r.cfg.Pack.Tax.Included, Rounding: r.cfg.Pack.Tax.Rounding, Rates: r.cfg.Pack.Tax.Rates.On(date)},
	})
}

// cash takes money and closes the sale: the money, then the completion, each recorded before the next step.
func (r *Register) cash(a api.Act) error {
	s := r.book.Sale
	if s.Phase != sale.Open && s.Phase != sale.Tendering {
		return sale.ErrPhase
	}
	if len(s.Lines) == 0 {
		return sale.ErrEmpty
	}
	rest, err := s.Rest()
	if err != nil {
		return err
	}
	amount := money.Yen(a.Amount)
	switch {
	case a.Amount < 0:
		return &link.Error{Kind: link.BadRequest, Text: "an amount below zero"}
	case a.Amount == 0:
		amount = max(rest, 0)
	case amount < rest:
		return refusal{msgShort, []any{rest - amount}}
	case amount-rest > sale.MaxChange:
		return sale.ErrChange
	}
	if err := r.do(sale.Tendered{Sale: s.Opened.Sale, Tender: r.cashTender(), Type: sale.Cash, Amount: amount}); err != nil {
		return err
	}
	done, err := r.book.Sale.Completion(r.now())
	if err != nil {
		return err
	}
	done.Act = a.ID
	return r.do(done)
}

func (r *Register) cashTender() string {
	for _, t := range r.cfg.Pack.Tenders {
		if t.Kind == sale.Cash {
			return t.ID
		}
	}
	return sale.Cash // a checked pack has one
}

// reprint gives one more receipt of the newest finished sale, and the drawer if it never opened for the sale that is on the screen.
func (r *Register) reprint(a api.Act) error {
	s, ok := r.book.Finished()
	if !ok {
		return sale.ErrPhase
	}
	if s.Printed() == sale.JobAsked {
		return refusal{msgStillPrinting, nil}
	}
	e := s.NextPrint(r.now())
	e.Act = a.ID
	onScreen := r.book.Sale.Phase == sale.Complete && !s.Dismissed
	if err := r.do(e); err != nil {
		return err
	}
	if state := s.DrawerState(); onScreen && (state == "" || state == sale.DrawerFailed) {
		return r.do(s.NextCommand("sale"))
	}
	return nil
}
