package escpos_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/escpos"
	"github.com/choba-os/choba/drivers/escpos/outline"
	"github.com/choba-os/choba/tests/bench/printer"
)

// page encodes lines as a job does and cuts the bytes into tokens.
func page(p escpos.Paper, lines ...escpos.Line) (raw []byte, tokens []printer.Token) {
	raw = p.Start()
	for _, l := range lines {
		raw = append(raw, p.Line(l)...)
	}
	raw = append(raw, p.Cut()...)
	printer.NewTokenizer().Feed(raw, func(t printer.Token) { tokens = append(tokens, t) })
	return raw, tokens
}

// golden: the bytes of one line of each kind.
func TestLineBytes(t *testing.T) {
	var p escpos.Paper
	for name, c := range map[string]struct {
		line escpos.Line
		want string
	}{
		"plain": {escpos.Line{Text: "Ab ¥"}, "\x1ba\x00\x1bE\x00\x1d!\x00\x1b3\x1fAb \x5c\n"},
		"kanji": {escpos.Line{Text: "領収書", Bold: true, Align: escpos.Center},
			"\x1ba\x01\x1bE\x01\x1d!\x00\x1b3\x1f\x97\xcc\x8e\xfb\x8f\x91\n"},
		"kana":   {escpos.Line{Text: "ｱｲｳﾟ"}, "\x1ba\x00\x1bE\x00\x1d!\x00\x1b3\x1f\xb1\xb2\xb3\xdf\n"},
		"big":    {escpos.Line{Text: "A", Wide: true, Tall: true}, "\x1ba\x00\x1bE\x00\x1d!\x11\x1b3\x37A\n"},
		"amount": {escpos.Line{Text: "A", Right: "¥5"}, "\x1ba\x00\x1bE\x00\x1d!\x00\x1b3\x1fA" + strings.Repeat(" ", 45) + "\x5c5\n"},
		"empty":  {escpos.Line{}, "\x1ba\x00\x1bE\x00\x1d!\x00\x1b3\x1f\n"},
		"feed":   {escpos.Line{Feed: 24}, "\x1ba\x00\x1bE\x00\x1d!\x00\x1b3\x1f\n\x1bJ\x18"},
		"rule":   {escpos.Line{Rule: true}, "\x1bJ\x05\x1dv0\x00\x48\x00\x02\x00" + strings.Repeat("\xff", 144) + "\x1bJ\x0c"},
	} {
		require.Equal(t, c.want, string(p.Line(c.line)), name)
	}
	require.Equal(t, "\x1b@\x1bR\x08\x1bt\x01\x1cC\x01\x1da\xff", string(p.Start()))
	require.Equal(t, "\x1dVB\x00", string(p.Cut()))
}

// An amount is never cut, and stands at the right edge.
func TestRows(t *testing.T) {
	text := func(l escpos.Line) []string {
		tw := printer.New(printer.Options{})
		return tw.Show(append(append(escpos.Paper{}.Start(), escpos.Paper{}.Line(l)...), escpos.Paper{}.Cut()...))
	}
	require.Equal(t, []string{"Ab" + strings.Repeat(" ", 42) + "¥276"}, text(escpos.Line{Text: "Ab", Right: "¥276"}))
	require.Equal(t, []string{strings.Repeat("x", 43) + " ¥276"}, text(escpos.Line{Text: strings.Repeat("x", 43), Right: "¥276"}))
	require.Equal(t, []string{strings.Repeat("x", 44), strings.Repeat(" ", 44) + "¥276"}, text(escpos.Line{Text: strings.Repeat("x", 44), Right: "¥276"}))
	require.Equal(t, []string{strings.Repeat("漢", 24), strings.Repeat("漢", 6) + strings.Repeat(" ", 32) + "¥276"},
		text(escpos.Line{Text: strings.Repeat("漢", 30), Right: "¥276"}))
	require.Equal(t, []string{"x" + strings.Repeat("漢", 23), "漢"}, text(escpos.Line{Text: "x" + strings.Repeat("漢", 24)}), "a kanji is not cut in two")
	require.Equal(t, []string{"合計" + strings.Repeat(" ", 14) + "¥4,239"}, text(escpos.Line{Text: "合計", Right: "¥4,239", Wide: true}))
	require.Equal(t, []string{strings.Repeat("9", 48), strings.Repeat(" ", 46) + "99"}, text(escpos.Line{Right: strings.Repeat("9", 50)}))
}

// A63: whatever an item is called, it is printed as letters: no byte of it
// steers the printer, opens the drawer or answers in its name.
func TestInjection(t *testing.T) {
	for _, s := range hostile() {
		for _, font := range []escpos.Font{nil, allBlack{}} {
			for _, l := range []escpos.Line{{Text: s}, {Right: s}, {Text: s, Right: s, Bold: true, Wide: true, Tall: true, Align: escpos.Center}} {
				harmless(t, escpos.Paper{Font: font}, l)
			}
		}
	}
}

func hostile() []string {
	return []string{
		"\x1b@", "\x1bp\x00\x19\xfa", "\x10\x14\x01\x00\x01", "\x10\x04\x01", "\x1d(H\x06\x0000abcd", "a\nb\rc\td\x0c\x00\x7f",
		"\u0080\u0085\u009b", "\xff\xfe\x1b\x97", "\u202e123\u2028\u2029\u200b\ufeff", "e\u0301", "\U000e0041",
		"\x1c&\x1c.", "髙\x10\x14①\x1b㈱", "～\\¥~", "\x81", "\xf0\x9f\x8d\xa3", "麵", string(rune(0x10ffff)),
	}
}

// allBlack draws every letter so that its dots are commands, if they can be.
type allBlack struct{}

func (allBlack) Glyph(_ rune, columns, size int, _ bool) (escpos.Bitmap, bool) {
	b := escpos.NewBitmap(columns*12*size, 24*size)
	for i := range b.Rows {
		b.Rows[i] = []byte{0x10, 0x14, 0x10, 0x04, 0x10, 0x05}[i%6]
	}
	return b, true
}

func harmless(t *testing.T, p escpos.Paper, l escpos.Line) {
	t.Helper()
	raw, tokens := page(p, l)
	for i := 0; i+1 < len(raw); i++ {
		if raw[i] == 0x10 {
			require.NotContains(t, []byte{0x04, 0x05, 0x14}, raw[i+1], "a real-time command in %q", l.Text)
		}
	}
	allowed := map[string]bool{"text": true, "LF": true, "ESC @": true, "ESC R": true, "ESC t": true, "FS C": true, "GS a": true,
		"ESC a": true, "ESC E": true, "GS !": true, "ESC 3": true, "ESC J": true, "GS v 0": true, "GS V": true}
	once := map[string]int{}
	for _, tk := range tokens {
		require.True(t, allowed[tk.Name], "%s from %q", tk, l.Text)
		once[tk.Name]++
	}
	for _, name := range []string{"ESC @", "ESC R", "ESC t", "FS C", "GS a", "GS V"} {
		require.Equal(t, 1, once[name], "%s from %q", name, l.Text)
	}
}

func TestLettersThatAreNotThere(t *testing.T) {
	tw := printer.New(printer.Options{})
	show := func(s string) string {
		return tw.Show(append(append(escpos.Paper{}.Start(), escpos.Paper{}.Line(escpos.Line{Text: s})...), escpos.Paper{}.Cut()...))[0]
	}
	require.Equal(t, "〓橋", show("髙橋"))
	require.Equal(t, "塩ラーメン〓", show("塩ラーメン麵"))
	require.Equal(t, "〓〓", show("①㈱"))
	require.Equal(t, "Caf? 〓5", show("Café €5"), "as wide as the letter")
	require.Equal(t, "a〓b", show("a\x1bb"))
	require.Equal(t, "¥100 ＼100", show(`¥100 \100`), "a backslash is no yen sign")
	require.Equal(t, "1～2―3－4", show("1〜2—3−4"))
	require.Equal(t, "〓", show("\xff"))
}

// With a font a missing letter is drawn, and the rest of its row with it.
func TestDrawsMissingLetters(t *testing.T) {
	font, err := outline.New()
	require.NoError(t, err)
	p := escpos.Paper{Font: font}
	_, tokens := page(p, escpos.Line{Text: "髙橋", Right: "¥5"})
	var names []string
	for _, tk := range tokens {
		names = append(names, tk.Name)
	}
	require.Contains(t, names, "GS v 0")
	require.NotContains(t, names, "text")
	_, tokens = page(p, escpos.Line{Text: "高橋", Right: "¥5"})
	for _, tk := range tokens {
		require.NotEqual(t, "GS v 0", tk.Name)
	}
	_, ok := font.Glyph('\U0001f363', 2, 1, false)
	require.False(t, ok)
	g, ok := font.Glyph('髙', 2, 2, true)
	require.True(t, ok)
	require.Equal(t, []int{48, 48}, []int{g.Width, g.Height})
}

func TestCheck(t *testing.T) {
	require.NoError(t, escpos.Check([]escpos.Line{{Text: "a", Feed: 255}, {Rule: true}}))
	for _, l := range []escpos.Line{{Feed: -1}, {Feed: 256}, {Align: 3}, {Align: -1}, {Rule: true, Text: "x"}, {Rule: true, Right: "x"}} {
		require.Error(t, escpos.Check([]escpos.Line{l}))
	}
}

func FuzzLine(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s, "¥168※", true, false, true, uint8(1), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text, right string, bold, wide, tall bool, align, feed uint8) {
		l := escpos.Line{Text: text, Right: right, Bold: bold, Wide: wide, Tall: tall, Align: int(align % 3), Feed: int(feed)}
		if escpos.Check([]escpos.Line{l}) != nil {
			return
		}
		harmless(t, escpos.Paper{}, l)
		harmless(t, escpos.Paper{Font: allBlack{}}, l)
		tw := printer.New(printer.Options{})
		out := strings.Join(tw.Show(append(append(escpos.Paper{}.Start(), escpos.Paper{}.Line(l)...), escpos.Paper{}.Cut()...)), "")
		require.True(t, utf8.ValidString(out))
	})
}
