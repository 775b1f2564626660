// Package catalogue is what the shop sells: its articles and departments, found by code.
//
// It does not store or load anything and does not decide what a sale does with an article. The rule that keeps it small: build it once
// from checked data, then only look up. A change of prices is a new catalogue.
package catalogue

import (
	"fmt"
	"strings"

	"github.com/choba-os/choba/services/till/barcode"
	"github.com/choba-os/choba/services/till/money"
	"github.com/choba-os/choba/services/till/tax"
)

// MaxPrice is the highest price of one piece.
const MaxPrice money.Yen = 9_999_999

// Department groups articles for reports.
type Department struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	NameEn string `json:"nameEn"`
}

// Article is one thing that is sold. Code is what barcode.Parse gives: a JAN-13, a JAN-8, or the shop's own six-digit number.
type Article struct {
	Code       string    `json:"code"`
	Name       string    `json:"name"`
	NameEn     string    `json:"nameEn"`
	Department string    `json:"department"`
	Tax        tax.Class `json:"tax"`
	Price      money.Yen `json:"price"`
}

// Problem is one thing that is wrong, with its place: "articles[12].price".
type Problem struct {
	Place string
	Text  string
}

func (p Problem) String() string { return p.Place + ": " + p.Text }

// Catalogue is a checked set of articles. The zero value is an empty shop.
type Catalogue struct {
	articles    map[string]Article
	departments map[string]Department
}

// New builds a catalogue, or says everything that is wrong with the data. Classes are the tax classes that exist.
func New(departments []Department, articles []Article, classes map[tax.Class]bool) (Catalogue, []Problem) {
	c := Catalogue{make(map[string]Article, len(articles)), make(map[string]Department, len(departments))}
	var problems []Problem
	for i, d := range departments {
		place := fmt.Sprintf("departments[%d]", i)
		problems = append(problems, named(place, d.Name, d.NameEn)...)
		if _, twice := c.departments[d.ID]; d.ID == "" || twice {
			problems = append(problems, Problem{place + ".id", fmt.Sprintf("%q is empty or there twice", d.ID)})
		}
		c.departments[d.ID] = d
	}
	for i, a := range articles {
		place := fmt.Sprintf("articles[%d]", i)
		problems = append(problems, c.check(place, a, classes)...)
		c.articles[a.Code] = a
	}
	if problems != nil {
		return Catalogue{}, problems
	}
	return c, nil
}

func (c Catalogue) check(place string, a Article, classes map[tax.Class]bool) []Problem {
	problems := named(place, a.Name, a.NameEn)
	say := func(field, format string, args ...any) {
		problems = append(problems, Problem{place + "." + field, fmt.Sprintf(format, args...)})
	}
	code, err := barcode.Parse(a.Code)
	switch {
	case err != nil:
		say("code", "%q: %v", a.Code, err)
	case code.Kind == barcode.InStore:
		say("code", "%q: in-store codes are not set up", a.Code)
	case code.Text != a.Code:
		say("code", "%q: write it as %q", a.Code, code.Text)
	}
	if other, twice := c.articles[a.Code]; twice {
		say("code", "%q is already the code of %s", a.Code, other.Name)
	}
	if _, ok := c.departments[a.Department]; !ok {
		say("department", "there is no department %q", a.Department)
	}
	if !classes[a.Tax] {
		say("tax", "there is no tax rate for %q", a.Tax)
	}
	if a.Price < 0 || a.Price > MaxPrice {
		say("price", "%d is not within 0 … %d", a.Price, MaxPrice)
	}
	return problems
}

// MaxName is the longest name, in runes.
const MaxName = 60

func named(place, name, nameEn string) (problems []Problem) {
	for _, f := range []struct{ field, text string }{{"name", name}, {"nameEn", nameEn}} {
		if why := Unprintable(f.text); why != "" {
			problems = append(problems, Problem{place + "." + f.field, fmt.Sprintf("%q %s", f.text, why)})
		}
	}
	return problems
}

// Unprintable says why a text cannot be a name on paper and screen; empty when it can.
func Unprintable(text string) string {
	runes := []rune(text)
	switch {
	case strings.TrimSpace(text) != text || text == "":
		return "is empty or has spaces around it"
	case len(runes) > MaxName:
		return fmt.Sprintf("is longer than %d characters", MaxName)
	}
	for _, r := range runes {
		if r < 0x20 || r == 0x7f || r == 0xfffd || r >= 0x80 && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff {
			return fmt.Sprintf("contains the control character U+%04X", r)
		}
	}
	return ""
}

// Find gives the article with a code in the form of barcode.Parse.
func (c Catalogue) Find(code string) (Article, bool) {
	a, ok := c.articles[code]
	return a, ok
}

// Department gives a department by its identity.
func (c Catalogue) Department(id string) (Department, bool) {
	d, ok := c.departments[id]
	return d, ok
}

// Len is the number of articles.
func (c Catalogue) Len() int { return len(c.articles) }
