package receipt

import "strings"

// Width is how many half-width columns a text takes on a printer with a Japanese character set (CP932): one for ASCII, the yen sign and half-width
// katakana, two for everything else.
func Width(text string) (n int) {
	for _, r := range text {
		n += columns(r)
	}
	return n
}

func columns(r rune) int {
	if r < 0x80 || r == '¥' || r >= '｡' && r <= 'ﾟ' {
		return 1
	}
	return 2
}

// wrap breaks a text into pieces of at most width columns: at a space where there is one in the second half of a piece, anywhere otherwise.
func wrap(text string, width int) (pieces []string) {
	for Width(text) > width {
		cut := fit(text, width)
		if space := strings.LastIndexByte(text[:cut], ' '); space > cut/2 {
			cut = space
		}
		pieces = append(pieces, strings.TrimRight(text[:cut], " "))
		text = strings.TrimLeft(text[cut:], " ")
	}
	return append(pieces, text)
}

// fit is the number of bytes that take at most width columns, and at least one character.
func fit(text string, width int) int {
	used := 0
	for i, r := range text {
		if used += columns(r); used > width && i > 0 {
			return i
		}
	}
	return len(text)
}
