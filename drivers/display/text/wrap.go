package text

import (
	"strings"
	"unicode"

	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/norm"
)

// Ellipsis ends a line that was cut.
const Ellipsis = "…"

// Fit cuts s with an ellipsis so that it is at most w pixels wide. What has no room at all becomes empty.
func (fc *Face) Fit(s string, w int) string {
	if fc.Width(s) <= w {
		return s
	}
	rs := []rune(norm.NFC.String(s))
	room := w - fc.Width(Ellipsis)
	if room < 0 {
		return ""
	}
	n := fc.fits(rs, room)
	return strings.TrimRightFunc(string(rs[:n]), unicode.IsSpace) + Ellipsis
}

// Wrap breaks s into lines of at most w pixels. Latin words and numbers stay whole where they can; Japanese breaks between any two
// characters except where a line would start or end with one that may not (kinsoku, JIS X 4051). '\n' always breaks.
func (fc *Face) Wrap(s string, w int) []string {
	var out []string
	for _, para := range strings.Split(s, "\n") {
		out = append(out, fc.wrapOne([]rune(norm.NFC.String(para)), w)...)
	}
	return out
}

func (fc *Face) wrapOne(rs []rune, w int) []string {
	var out []string
	for {
		n := fc.fits(rs, w)
		if n == len(rs) {
			return append(out, strings.TrimRightFunc(string(rs), unicode.IsSpace))
		}
		cut := n
		for cut > 0 && !mayBreak(rs, cut) {
			cut--
		}
		if cut == 0 { // nothing allowed: cut where the room ends, but always go on
			cut = max(n, 1)
		}
		out = append(out, strings.TrimRightFunc(string(rs[:cut]), unicode.IsSpace))
		for cut < len(rs) && rs[cut] == ' ' {
			cut++
		}
		rs = rs[cut:]
		if len(rs) == 0 {
			return out
		}
	}
}

// fits counts the characters that have room in w. Spaces at the end may hang over.
func (fc *Face) fits(rs []rune, w int) int {
	var x fixed.Int26_6
	for i, r := range rs {
		x += fc.advance(r)
		if x.Ceil() > w && r != ' ' {
			return i
		}
	}
	return len(rs)
}

const (
	notAtStart = "、。，．・：；？！）］｝」』】〉》〕”’ー…‥々ゝヽぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ゛゜,.:;?!)]}%％"
	notAtEnd   = "（［｛「『【〈《〔“‘([{¥￥"
)

// mayBreak tells whether a line may end before rs[i].
func mayBreak(rs []rune, i int) bool {
	a, b := rs[i-1], rs[i]
	if strings.ContainsRune(notAtStart, b) || strings.ContainsRune(notAtEnd, a) {
		return false
	}
	if a == ' ' || b == ' ' {
		return true
	}
	return !narrow(a) || !narrow(b)
}

// narrow: characters of Latin words, numbers and codes.
func narrow(r rune) bool { return r < 0x2000 && !unicode.IsSpace(r) }
