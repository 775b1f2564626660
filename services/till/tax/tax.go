// Package tax is consumption tax: which rate is in force on a date, and how much tax is in what was sold.
//
// It knows no goods and prints nothing. The rule that keeps it small: tax is computed in one place, Terms.Sums, once for each rate of a
// receipt and from that rate's whole amount. There is no way to ask for the tax of a line, because rounding line by line is not allowed
// (消費税法施行令 70条の10, 基本通達 1-8-15). Rates are data with the date from which they hold; no rate is written in this code.
package tax

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/choba-os/choba/services/till/day"
	"github.com/choba-os/choba/services/till/money"
)

// Class says how goods are taxed. Goods carry a class, never a rate, because the rate of a class changes by law.
type Class string

// The classes of today's law. Others (a second reduced rate, exempt goods) are other words in the data.
const (
	Standard Class = "standard"
	Reduced  Class = "reduced" // 軽減税率: food and drink without alcohol and eating out, newspapers by subscription
)

// Points is a rate in hundredths of a percent: 10 % is 1000.
type Points int

// Percent is the rate as it is written before a percent sign: 10, 8, 5.5.
func (p Points) Percent() string {
	whole := strconv.Itoa(int(p) / 100)
	if rest := int(p) % 100; rest != 0 {
		return whole + strings.TrimRight(fmt.Sprintf(".%02d", rest), "0")
	}
	return whole
}

// Rule is one row of the law's history: from that date on, the class has that rate.
type Rule struct {
	Class   Class    `json:"class"`
	From    day.Date `json:"from"`
	Points  Points   `json:"points"`
	Reduced bool     `json:"reduced"` // marked with ※ on receipts
}

// Rate is what a class is taxed at on one day.
type Rate struct {
	Class   Class  `json:"class"`
	Points  Points `json:"points"`
	Reduced bool   `json:"reduced"`
}

// Table is the history of all classes, in any order.
type Table []Rule

// Check says what is wrong with the table: a rule without a class or date, a rate outside 0 … 100 %, or two rules of a class for one date.
func (t Table) Check() error {
	if len(t) == 0 {
		return errors.New("there is no tax rate")
	}
	type key struct {
		class Class
		from  day.Date
	}
	seen := map[key]bool{}
	for i, r := range t {
		switch {
		case r.Class == "":
			return fmt.Errorf("rate %d: no class", i)
		case r.From.IsZero():
			return fmt.Errorf("rate %d (%s): no date", i, r.Class)
		case r.Points < 0 || r.Points > 10000:
			return fmt.Errorf("rate %d (%s): %d is not within 0 … 10000 hundredths of a percent", i, r.Class, r.Points)
		case seen[key{r.Class, r.From}]:
			return fmt.Errorf("rate %d: %s has two rates from %s", i, r.Class, r.From)
		}
		seen[key{r.Class, r.From}] = true
	}
	return nil
}

// On gives the rates in force on a date, highest first. A class whose first rule lies later is not among them.
func (t Table) On(date day.Date) []Rate {
	newest := map[Class]Rule{}
	for _, r := range t {
		known, ok := newest[r.Class]
		if !date.Before(r.From) && (!ok || known.From.Before(r.From)) {
			newest[r.Class] = r
		}
	}
	rates := make([]Rate, 0, len(newest))
	for _, r := range newest {
		rates = append(rates, Rate{r.Class, r.Points, r.Reduced})
	}
	slices.SortFunc(rates, byRate)
	return rates
}

func byRate(a, b Rate) int {
	return cmp.Or(cmp.Compare(b.Points, a.Points), cmp.Compare(a.Class, b.Class))
}

// Rounding of the fraction of a yen, at the seller's choice. Amounts that go back are rounded like the same amount that came in, so that
// a return takes back exactly the tax of the sale.
type Rounding string

const (
	Floor  Rounding = "floor"
	HalfUp Rounding = "half-up"
	Ceil   Rounding = "ceil"
)

// Valid says whether it is one of the three.
func (r Rounding) Valid() bool { return r == Floor || r == HalfUp || r == Ceil }

// Terms is how one receipt is taxed. It is stored with each sale, so that the sale can be computed again when the law has changed.
type Terms struct {
	Included bool     `json:"included"` // prices contain the tax (総額表示)
	Rounding Rounding `json:"rounding"`
	Rates    []Rate   `json:"rates"`
}

// Check says what is wrong with the terms.
func (t Terms) Check() error {
	if !t.Rounding.Valid() {
		return fmt.Errorf("tax terms: rounding %q is not floor, half-up or ceil", t.Rounding)
	}
	if len(t.Rates) == 0 || len(t.Rates) > 16 {
		return fmt.Errorf("tax terms: %d rates, want 1 … 16", len(t.Rates))
	}
	seen := map[Class]bool{}
	for _, r := range t.Rates {
		if r.Class == "" || r.Points < 0 || r.Points > 10000 || seen[r.Class] {
			return fmt.Errorf("tax terms: rate of class %q is wrong or there twice", r.Class)
		}
		seen[r.Class] = true
	}
	return nil
}

// Rate gives the rate of a class.
func (t Terms) Rate(c Class) (Rate, bool) {
	i := slices.IndexFunc(t.Rates, func(r Rate) bool { return r.Class == c })
	if i < 0 {
		return Rate{}, false
	}
	return t.Rates[i], true
}

// Part is one line's share: its class and what it costs.
type Part struct {
	Class  Class
	Amount money.Yen
}

// Sum is one rate's part of a receipt.
type Sum struct {
	Rate
	Base money.Yen // the goods as they are priced
	Tax  money.Yen // rounded once
	Due  money.Yen // what the customer pays: Base, plus Tax when the prices do not contain it
}

// Sums adds the parts rate by rate, highest first, and computes each rate's tax once. A class without a rate is an error.
func (t Terms) Sums(parts []Part) ([]Sum, error) {
	base := map[Class]money.Yen{}
	for _, p := range parts {
		if _, ok := t.Rate(p.Class); !ok {
			return nil, fmt.Errorf("computing tax: class %q has no rate", p.Class)
		}
		sum, err := base[p.Class].Add(p.Amount)
		if err != nil {
			return nil, fmt.Errorf("computing tax: %w", err)
		}
		base[p.Class] = sum
	}
	sums := make([]Sum, 0, len(base))
	for class, amount := range base {
		rate, _ := t.Rate(class)
		s, err := t.sum(rate, amount)
		if err != nil {
			return nil, fmt.Errorf("computing tax at %s %%: %w", rate.Points.Percent(), err)
		}
		sums = append(sums, s)
	}
	slices.SortFunc(sums, func(a, b Sum) int { return byRate(a.Rate, b.Rate) })
	return sums, nil
}

func (t Terms) sum(rate Rate, base money.Yen) (Sum, error) {
	whole := uint64(10000)
	if t.Included {
		whole += uint64(rate.Points)
	}
	tax, err := share(base, uint64(rate.Points), whole, t.Rounding)
	if err != nil {
		return Sum{}, err
	}
	due := base
	if !t.Included {
		if due, err = base.Add(tax); err != nil {
			return Sum{}, err
		}
	}
	return Sum{Rate: rate, Base: base, Tax: tax, Due: due}, nil
}

// share is amount × part ÷ whole, rounded by magnitude.
func share(amount money.Yen, part, whole uint64, mode Rounding) (money.Yen, error) {
	size := uint64(amount)
	if amount < 0 {
		size = -size
	}
	hi, lo := bits.Mul64(size, part)
	if hi >= whole {
		return 0, money.ErrOverflow
	}
	q, rest := bits.Div64(hi, lo, whole)
	if mode == Ceil && rest > 0 || mode == HalfUp && rest*2 >= whole {
		q++
	}
	if q > 1<<63-1 {
		return 0, money.ErrOverflow
	}
	if amount < 0 {
		return -money.Yen(q), nil
	}
	return money.Yen(q), nil
}
