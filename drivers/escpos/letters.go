package escpos

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
)

// geta is the mark that printers put where a letter is missing (〓), here also
// where a text holds something that is no letter at all.
const geta = '〓'

// letter is one printable thing in a line.
type letter struct {
	r rune
	// columns is 1 or 2.
	columns int
	// code is what the printer prints it by; empty when its ROM lacks it.
	code []byte
}

// alike maps letters to their twins that Shift-JIS has under another number,
// and those whose own number prints as something else in the Japanese set
// (0x5C is ¥, 0x7E is an overline).
func alike(r rune) rune {
	switch r {
	case '〜', '~':
		return '～'
	case '−':
		return '－'
	case '—':
		return '―'
	case '‖':
		return '∥'
	case '¢':
		return '￠'
	case '£':
		return '￡'
	case '¬':
		return '￢'
	case '\\':
		return '＼'
	case '\u00a0', '\u2002', '\u2009':
		return ' '
	}
	return r
}

// letters turns a text into what can be printed. Nothing in the result can be
// taken for a command: control characters, broken UTF-8 and marks that draw
// nothing themselves become the visible mark of a missing letter.
func letters(s string) []letter {
	out := make([]letter, 0, len(s))
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n <= 1 {
			r = geta
		}
		s = s[n:]
		out = append(out, letterOf(r))
	}
	return out
}

func letterOf(r rune) letter {
	r = alike(r)
	switch {
	case r >= 0x20 && r < 0x7f:
		return letter{r: r, columns: 1, code: []byte{byte(r)}}
	case r == '¥':
		return letter{r: r, columns: 1, code: []byte{0x5c}}
	case r >= '｡' && r <= 'ﾟ':
		return letter{r: r, columns: 1, code: []byte{byte(r-'｡') + 0xa1}}
	case !drawable(r):
		return rom(geta)
	}
	if l := rom(r); l.code != nil {
		return l
	}
	return letter{r: r, columns: width(r)}
}

// drawable tells letters from what steers, joins or hides them.
func drawable(r rune) bool {
	return r != utf8.RuneError && unicode.IsGraphic(r) && !unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Me, r)
}

// width of a letter that the ROM lacks. Western letters are as wide as ASCII.
func width(r rune) int {
	if r < 0x1100 {
		return 1
	}
	return 2
}

// rom gives the Shift-JIS code of a letter of JIS X 0208. The extensions that
// CP932 adds (NEC row 13, IBM letters: ① ㈱ 髙) are in some printers and not in
// others, so here they count as missing.
func rom(r rune) letter {
	b, err := japanese.ShiftJIS.NewEncoder().Bytes([]byte(string(r)))
	if err != nil || len(b) != 2 {
		return letter{}
	}
	lead, trail := b[0], b[1]
	switch {
	case lead >= 0x81 && lead <= 0x84, // rows 1 to 8
		lead == 0x88 && trail >= 0x9f, // row 16
		lead >= 0x89 && lead <= 0x9f,
		lead >= 0xe0 && lead <= 0xea:
		return letter{r: r, columns: 2, code: b}
	}
	return letter{}
}

func columnsOf(ls []letter) int {
	n := 0
	for _, l := range ls {
		n += l.columns
	}
	return n
}

// wrap breaks letters into rows of at most columns.
func wrap(ls []letter, columns int) [][]letter {
	var rows [][]letter
	start, used := 0, 0
	for i, l := range ls {
		if used+l.columns > columns && i > start {
			rows = append(rows, ls[start:i])
			start, used = i, 0
		}
		used += l.columns
	}
	return append(rows, ls[start:])
}
