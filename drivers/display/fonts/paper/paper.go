// Package paper is the typeface of receipts: BIZ UDGothic, regular and bold, where every Japanese character is one em wide and every
// Latin one half of it, as printers have it. SIL Open Font License 1.1, see ../OFL.txt.
//
// It is no font library and knows no sizes. Rule that keeps it small: it holds two files, which ../gen makes, and nothing else.
package paper

import (
	_ "embed"

	"github.com/choba-os/choba/drivers/display/text"
)

//go:embed regular.ttf
var regular []byte

//go:embed bold.ttf
var bold []byte

// Fonts parses both weights.
func Fonts() (r, b *text.Font, err error) {
	if r, err = text.Parse(regular); err != nil {
		return nil, nil, err
	}
	b, err = text.Parse(bold)
	return r, b, err
}
