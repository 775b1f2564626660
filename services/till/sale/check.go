package sale

import (
	"errors"
	"fmt"
	"time"

	"github.com/choba-os/choba/services/till/catalogue"
	"github.com/choba-os/choba/services/till/money"
)

// What one event may say, whatever the sale: ranges only. Whether it fits the sale is Apply's business.

func (e Opened) check() error {
	return errors.Join(number(e.Sale), moment(e.At), word("register", e.Register), when(len(e.Register) > 8, "the register's name is too long"), word("operator", e.Operator.ID), text("operator's name", e.Operator.Name),
		word("pack", e.Pack), e.Terms.Check(), when(e.Business.IsZero(), "no business date"))
}

func (e ItemAdded) check() error {
	return errors.Join(number(e.Sale), line(e.Line), pieces(e.Qty), act(e.Act), word("code", e.Item.Code), text("name", e.Item.Name), text("English name", e.Item.NameEn),
		word("department", e.Item.Department), word("tax class", string(e.Item.Tax)), amount(e.Item.Price, catalogue.MaxPrice))
}

func (e QuantityChanged) check() error {
	return errors.Join(number(e.Sale), line(e.Line), pieces(e.Qty), act(e.Act))
}

func (e LineRemoved) check() error   { return errors.Join(number(e.Sale), line(e.Line), act(e.Act)) }
func (e TenderEntered) check() error { return errors.Join(number(e.Sale), act(e.Act)) }

func (e TenderLeft) check() error {
	return errors.Join(number(e.Sale), act(e.Act), when(e.Why != "" && e.Why != "interrupted", "unknown reason"))
}

func (e Tendered) check() error {
	return errors.Join(number(e.Sale), word("tender", e.Tender), when(e.Type != Cash, "unknown type of tender"), amount(e.Amount, MaxTotal+MaxChange))
}

func (e Completed) check() error {
	err := errors.Join(number(e.Sale), moment(e.At), act(e.Act), amount(e.Total, MaxTotal), amount(e.Paid, MaxTotal+MaxChange), amount(e.Change, MaxChange),
		when(len(e.Rates) == 0, "no rates"))
	for _, r := range e.Rates {
		err = errors.Join(err, word("tax class", string(r.Class)), amount(r.Base, MaxTotal), amount(r.Tax, MaxTotal))
	}
	return err
}

func (e Cancelled) check() error { return errors.Join(number(e.Sale), moment(e.At), act(e.Act)) }
func (e Dismissed) check() error { return errors.Join(number(e.Sale), act(e.Act)) }

func (e PrintAsked) check() error {
	return errors.Join(number(e.Sale), moment(e.At), act(e.Act), word("job", e.Job))
}

func (e PrintResult) check() error {
	known := e.State == JobDone || e.State == JobNotDone || e.State == JobUnknown
	return errors.Join(number(e.Sale), word("job", e.Job), when(!known, "unknown state"), sentence(e.Reason))
}

func (e DrawerAsked) check() error {
	return errors.Join(number(e.Sale), word("command", e.Command), word("reason", e.Reason))
}

func (e DrawerResult) check() error {
	known := e.State == DrawerOpened || e.State == DrawerFailed || e.State == DrawerUnknown
	return errors.Join(number(e.Sale), word("command", e.Command), when(!known, "unknown state"), sentence(e.Reason))
}

func when(bad bool, why string) error {
	if bad {
		return errors.New(why)
	}
	return nil
}

func number(s string) error {
	_, err := ParseNumber(s)
	return err
}

func moment(t time.Time) error { return when(t.Year() < 2020 || t.Year() > 9999, "no time") }
func line(id int) error        { return when(id < 1 || id > maxLineID, "no such line") }
func pieces(n int) error       { return when(n < 1 || n > MaxQty, "quantity out of range") }

func amount(y, most money.Yen) error {
	return when(y < 0 || y > most, fmt.Sprintf("amount %d out of range", y))
}

func text(what, s string) error {
	if why := catalogue.Unprintable(s); why != "" {
		return fmt.Errorf("%s %s", what, why)
	}
	return nil
}

// MaxWord is the longest identity: of an act, a job, an operator.
const MaxWord = 64

// Word says whether s can be an identity: 1 … 64 of A–Z a–z 0–9 . _ -
func Word(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= MaxWord
}

func word(what, s string) error { return when(!Word(s), what+" is not a word") }
func act(s string) error        { return when(s != "" && !Word(s), "act is not a word") }
func sentence(s string) error   { return when(len(s) > 300, "the reason is too long") }
