// Package shelf is the goods that stand in front of the bench's register, taken
// from the same store pack that the register sells from.
//
// It is not a catalogue: it shows names and barcodes to a person. The rule that
// keeps it small: nothing here is known beside the pack.
package shelf

import (
	"fmt"
	"os"
	"time"

	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/services/register/pack"
	"github.com/choba-os/choba/services/till/day"
	"github.com/choba-os/choba/tests/bench/page"
)

// Load reads the goods of the store pack in file, checked against the keys in
// trustFile. What is reduced is decided for the day of now.
func Load(file, trustFile string, now time.Time) ([]page.Good, error) {
	p, err := Open(file, trustFile)
	if err != nil {
		return nil, err
	}
	group := map[string]string{}
	for _, d := range p.Departments {
		group[d.ID] = d.Name
	}
	reduced := map[string]bool{}
	for _, r := range p.Tax.Rates {
		if !day.Of(now).Before(r.From) {
			reduced[string(r.Class)] = r.Reduced
		}
	}
	var out []page.Good
	for _, a := range p.Articles {
		out = append(out, page.Good{Code: a.Code, Name: a.Name, Price: int64(a.Price), Reduced: reduced[string(a.Tax)], Group: group[a.Department]})
	}
	return out, nil
}

// Open reads the store pack itself.
func Open(file, trustFile string) (pack.Pack, error) {
	text, err := os.ReadFile(trustFile)
	if err != nil {
		return pack.Pack{}, fmt.Errorf("filling the shelf: %w", err)
	}
	root, err := trust.Parse(text)
	if err != nil {
		return pack.Pack{}, fmt.Errorf("filling the shelf: %w", err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return pack.Pack{}, fmt.Errorf("filling the shelf: %w", err)
	}
	return pack.Open(root, b)
}
