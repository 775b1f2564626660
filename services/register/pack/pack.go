// Package pack is the store pack: one signed file with all that a shop decides about a register, from its address to its prices.
//
// It is not a database: a pack is read whole, checked whole, and replaced whole. It is not the policy of the machine either: what runs
// and what may be plugged in is in the verified image. The rule that keeps it small: a pack that has one problem is not used at all, and
// every problem is said with its place, so that a person can mend them in one go.
//
// The format is described in docs/formats/storepack.md.
package pack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/choba-os/choba/services/till/catalogue"
	"github.com/choba-os/choba/services/till/money"
	"github.com/choba-os/choba/services/till/receipt"
	"github.com/choba-os/choba/services/till/tax"
)

// Format is the only version of the body that this program reads.
const Format = 1

// Pack is the body of a store pack.
type Pack struct {
	Format      int                    `json:"format"`
	ID          string                 `json:"id"`      // of the shop's packs: "ekimae-honten"
	Edition     int                    `json:"edition"` // rises with every pack of this ID
	Shop        Shop                   `json:"shop"`
	Register    string                 `json:"register"` // "02"
	Tax         Tax                    `json:"tax"`
	Tenders     []Tender               `json:"tenders"`
	Quick       Quick                  `json:"quick"`
	Staff       []Staff                `json:"staff"`
	Operator    string                 `json:"operator"` // who stands at the register until signing on is there
	Printer     Printer                `json:"printer"`
	Departments []catalogue.Department `json:"departments"`
	Articles    []catalogue.Article    `json:"articles"`
}

// Shop is the seller.
type Shop struct {
	Name         string `json:"name"`
	NameEn       string `json:"nameEn"`
	Address      string `json:"address"`
	Phone        string `json:"phone"`
	Registration string `json:"registration"` // T-number; empty for a seller who is not registered
	SoleTrader   bool   `json:"soleTrader"`   // a person: the T-number's check digit is not checked
	TimeZone     string `json:"timeZone"`     // "Asia/Tokyo"
}

// Tax is how the shop prices and rounds, and the law's rates.
type Tax struct {
	Included bool         `json:"included"`
	Rounding tax.Rounding `json:"rounding"`
	Rates    tax.Table    `json:"rates"`
}

// Tender is a way to pay. One that is not enabled is shown and cannot be used.
type Tender struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	NameEn  string `json:"nameEn"`
	Kind    string `json:"kind"` // "cash", "credit", "emoney", "qr"
	Enabled bool   `json:"enabled"`
}

// Quick says which amounts get a key: the total rounded up to each step, the smallest Most of them.
type Quick struct {
	Steps []int64 `json:"steps"`
	Most  int     `json:"most"`
}

// Staff is a person of the shop.
type Staff struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Role string `json:"role"` // "checker", "cashier", "manager", "maintainer", "auditor"
}

// Printer is the receipt printer's paper.
type Printer struct {
	Columns int `json:"columns"` // half-width characters a line
}

// Problems is everything that is wrong with a pack.
type Problems []catalogue.Problem

// Error lists all problems, one a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return fmt.Sprintf("the store pack has %d problem(s):\n%s", len(p), strings.Join(lines, "\n"))
}

// Parse reads a body that a person wrote or Encode made. The error is Problems when the JSON can be read and its values are wrong.
func Parse(body []byte) (Pack, error) {
	var p Pack
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return Pack{}, fmt.Errorf("reading the store pack: %s%w", place(body, err, d.InputOffset()), err)
	}
	if rest := bytes.TrimSpace(body[d.InputOffset():]); len(rest) > 0 {
		return Pack{}, fmt.Errorf("reading the store pack: %ssomething follows the end", place(body, nil, d.InputOffset()))
	}
	if problems := p.check(); problems != nil {
		return Pack{}, problems
	}
	return p, nil
}

// place is the line of a mistake in JSON.
func place(body []byte, err error, offset int64) string {
	switch e := err.(type) {
	case *json.SyntaxError:
		offset = e.Offset
	case *json.UnmarshalTypeError:
		offset = e.Offset
	}
	offset = min(offset, int64(len(body)))
	return fmt.Sprintf("line %d: ", 1+bytes.Count(body[:offset], []byte("\n")))
}

// Encode writes the one spelling of a body.
func Encode(p Pack) ([]byte, error) {
	if problems := p.check(); problems != nil {
		return nil, problems
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	if err := e.Encode(p); err != nil {
		return nil, fmt.Errorf("writing the store pack: %w", err)
	}
	return out.Bytes(), nil
}

// Name is the pack's identity in the journal: "ekimae-honten.1".
func (p Pack) Name() string { return fmt.Sprintf("%s.%d", p.ID, p.Edition) }

// Catalogue builds what the pack sells.
func (p Pack) Catalogue() (catalogue.Catalogue, error) {
	c, problems := catalogue.New(p.Departments, p.Articles, p.classes())
	if problems != nil {
		return catalogue.Catalogue{}, Problems(problems)
	}
	return c, nil
}

func (p Pack) classes() map[tax.Class]bool {
	classes := map[tax.Class]bool{}
	for _, r := range p.Tax.Rates {
		classes[r.Class] = true
	}
	return classes
}

// Head is the shop as receipts name it.
func (p Pack) Head() receipt.Shop {
	return receipt.Shop{Name: p.Shop.Name, Address: p.Shop.Address, Phone: p.Shop.Phone, Registration: tax.Registration(p.Shop.Registration)}
}

// Zone is the shop's time zone.
func (p Pack) Zone() (*time.Location, error) {
	zone, err := time.LoadLocation(p.Shop.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("finding the time zone: %w", err)
	}
	return zone, nil
}

// Amounts gives the amounts worth a key for a total, rising; the total itself is not among them.
func (q Quick) Amounts(total money.Yen) []int64 {
	amounts := []int64{}
	if total <= 0 {
		return amounts
	}
	for _, step := range q.Steps { // rising, so the amounts rise too or repeat
		up := (int64(total) + step - 1) / step * step
		if up > int64(total) && (len(amounts) == 0 || up > amounts[len(amounts)-1]) && len(amounts) < q.Most {
			amounts = append(amounts, up)
		}
	}
	return amounts
}
