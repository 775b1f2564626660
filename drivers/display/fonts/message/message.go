// Package message is a small cut of BIZ UDPGothic for the sentences that recovery and init may have to say: Latin, kana, and the kanji that
// occur in strings.txt. SIL Open Font License 1.1, see ../OFL.txt.
//
// It is not for names of goods. Rule that keeps it small: a program that shows sentences with it keeps a test that text.Font.Missing finds nothing in them; when
// it does, add the sentence to strings.txt and run go run ./drivers/display/fonts/gen.
package message

import (
	_ "embed"

	"github.com/choba-os/choba/drivers/display/text"
)

//go:embed regular.ttf
var regular []byte

//go:embed bold.ttf
var bold []byte

// Font parses the regular weight.
func Font() (*text.Font, error) { return text.Parse(regular) }

// Bold parses the bold weight, with the same characters.
func Bold() (*text.Font, error) { return text.Parse(bold) }
