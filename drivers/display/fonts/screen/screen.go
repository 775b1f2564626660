// Package screen is the typeface of the register's screens: BIZ UDPGothic, regular and bold, cut to Latin, JIS X 0208 and the
// characters that Windows code page 932 adds. SIL Open Font License 1.1, see ../OFL.txt.
//
// It is no font library and knows no sizes. Rule that keeps it small: it holds two files, which ../gen makes, and nothing else. Its digits differ in width: amounts want text.Style.Tabular.
package screen

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
