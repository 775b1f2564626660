package pack

import (
	"fmt"
	"slices"

	"golang.org/x/text/encoding/japanese"

	"github.com/choba-os/choba/services/till/catalogue"
	"github.com/choba-os/choba/services/till/receipt"
	"github.com/choba-os/choba/services/till/sale"
	"github.com/choba-os/choba/services/till/tax"
)

var (
	roles       = []string{"checker", "cashier", "manager", "maintainer", "auditor"}
	tenderKinds = []string{"cash", "credit", "emoney", "qr"}
)

const (
	maxArticles = 200_000
	maxRows     = 1000 // departments, staff, tenders, rates
)

type checker struct{ problems Problems }

func (c *checker) say(place, format string, args ...any) {
	c.problems = append(c.problems, catalogue.Problem{Place: place, Text: fmt.Sprintf(format, args...)})
}

// check gives every problem of the pack, or nil.
func (p Pack) check() Problems {
	c := &checker{}
	if p.Format != Format {
		c.say("format", "%d, this program reads %d", p.Format, Format)
		return c.problems // nothing else can be relied on
	}
	if len(p.Articles) > maxArticles || len(p.Departments) > maxRows || len(p.Staff) > maxRows || len(p.Tenders) > maxRows || len(p.Tax.Rates) > maxRows {
		c.say("articles", "too many rows: at most %d articles and %d of everything else", maxArticles, maxRows)
		return c.problems
	}
	c.word("id", p.ID)
	if p.Edition < 1 {
		c.say("edition", "%d, want 1 or more", p.Edition)
	}
	if c.word("register", p.Register); len(p.Register) > 8 {
		c.say("register", "longer than 8 characters")
	}
	c.shop(p.Shop)
	c.tax(p.Tax)
	c.tenders(p.Tenders, p.Quick)
	c.staff(p.Staff, p.Operator)
	if n := p.Printer.Columns; n < receipt.Narrow || n > 64 {
		c.say("printer.columns", "%d is not within %d … 64", n, receipt.Narrow)
	}
	_, problems := catalogue.New(p.Departments, p.Articles, p.classes())
	c.problems = append(c.problems, problems...)
	for i, d := range p.Departments {
		c.word(fmt.Sprintf("departments[%d].id", i), d.ID)
	}
	for i, a := range p.Articles {
		c.paper(fmt.Sprintf("articles[%d].name", i), a.Name)
	}
	return c.problems
}

func (c *checker) shop(s Shop) {
	for _, f := range []struct{ place, text string }{{"shop.name", s.Name}, {"shop.address", s.Address}, {"shop.phone", s.Phone}} {
		c.text(f.place, f.text)
		c.paper(f.place, f.text)
	}
	c.text("shop.nameEn", s.NameEn)
	if s.Registration != "" {
		if _, err := tax.ParseRegistration(s.Registration, s.SoleTrader); err != nil {
			c.say("shop.registration", "%v", err)
		}
	}
	if _, err := (Pack{Shop: s}).Zone(); err != nil || s.TimeZone == "" || s.TimeZone == "Local" {
		c.say("shop.timeZone", "%q is not known; write Asia/Tokyo", s.TimeZone)
	}
}

func (c *checker) tax(t Tax) {
	if err := t.Rates.Check(); err != nil {
		c.say("tax.rates", "%v", err)
	}
	if !t.Rounding.Valid() {
		c.say("tax.rounding", "%q is not floor, half-up or ceil", t.Rounding)
	}
	for i, r := range t.Rates {
		c.word(fmt.Sprintf("tax.rates[%d].class", i), string(r.Class))
	}
}

func (c *checker) tenders(tenders []Tender, q Quick) {
	seen := map[string]bool{}
	cash := 0
	for i, t := range tenders {
		place := fmt.Sprintf("tenders[%d]", i)
		c.word(place+".id", t.ID)
		c.text(place+".name", t.Name)
		c.text(place+".nameEn", t.NameEn)
		if seen[t.ID] {
			c.say(place+".id", "%q is there twice", t.ID)
		}
		seen[t.ID] = true
		switch {
		case !slices.Contains(tenderKinds, t.Kind):
			c.say(place+".kind", "%q is not one of %v", t.Kind, tenderKinds)
		case t.Kind == "cash":
			cash++
		case t.Enabled:
			c.say(place+".enabled", "this version takes only cash")
		}
	}
	if cash != 1 {
		c.say("tenders", "%d of kind cash, want one", cash)
	}
	last := int64(0)
	for i, step := range q.Steps {
		if step <= last || step > int64(sale.MaxTotal) {
			c.say(fmt.Sprintf("quick.steps[%d]", i), "%d: steps rise and are 1 … %d", step, sale.MaxTotal)
		}
		last = max(last, step)
	}
	if q.Most < 0 || q.Most > 8 || len(q.Steps) > 16 {
		c.say("quick", "at most 8 keys from at most 16 steps")
	}
}

func (c *checker) staff(staff []Staff, operator string) {
	seen := map[string]bool{}
	for i, s := range staff {
		place := fmt.Sprintf("staff[%d]", i)
		c.word(place+".id", s.ID)
		c.text(place+".name", s.Name)
		c.paper(place+".name", s.Name)
		if seen[s.ID] {
			c.say(place+".id", "%q is there twice", s.ID)
		}
		seen[s.ID] = true
		if !slices.Contains(roles, s.Role) {
			c.say(place+".role", "%q is not one of %v", s.Role, roles)
		}
	}
	i := slices.IndexFunc(staff, func(s Staff) bool { return s.ID == operator })
	if i < 0 {
		c.say("operator", "there is no staff %q", operator)
	} else if r := staff[i].Role; r != "cashier" && r != "manager" {
		c.say("operator", "%q is a %s and may not take money", operator, r)
	}
}

func (c *checker) word(place, text string) {
	if !sale.Word(text) {
		c.say(place, "%q: want 1 … %d of A–Z a–z 0–9 . _ -", text, sale.MaxWord)
	}
}

func (c *checker) text(place, text string) {
	if why := catalogue.Unprintable(text); why != "" {
		c.say(place, "%q %s", text, why)
	}
}

// paper: what stands on receipts must exist in the printers' character set.
func (c *checker) paper(place, text string) {
	encoder := japanese.ShiftJIS.NewEncoder()
	for _, r := range text {
		if r == '¥' {
			continue // 0x5C on paper
		}
		if _, err := encoder.String(string(r)); err != nil {
			c.say(place, "%q: the printer has no %q", text, r)
			return
		}
	}
}
