package text_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/choba-os/choba/drivers/display/fonts/paper"
	"github.com/choba-os/choba/drivers/display/fonts/screen"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/display/text"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
)

func face(t testing.TB, px int, s text.Style) *text.Face {
	t.Helper()
	f, _, err := screen.Fonts()
	require.NoError(t, err)
	return text.NewFace(f, px, s)
}

func TestParseRefusesRubbish(t *testing.T) {
	_, err := text.Parse([]byte("no font"))
	require.ErrorContains(t, err, "parsing font")
}

func TestDigitsAreTabular(t *testing.T) {
	plain, tab := face(t, 40, text.Style{}), face(t, 40, text.Style{Tabular: true})
	require.NotEqual(t, plain.Width("111111"), plain.Width("888888"), "the typeface's own digits differ")
	require.Equal(t, tab.Width("111111"), tab.Width("888888"))
}

// Receipts count columns: a Japanese character is as wide as two Latin ones.
func TestPaperIsHalfAndFullWidth(t *testing.T) {
	f, _, err := paper.Fonts()
	require.NoError(t, err)
	fc := text.NewFace(f, 24, text.Style{})
	require.Equal(t, 24*6, fc.Width("領収書合計円"))
	require.Equal(t, 12*12, fc.Width("No. 000482 ¥"))
	require.Equal(t, 12*4, fc.Width("ﾚｼｰﾄ"))
}

func TestDrawStaysInBounds(t *testing.T) {
	fc := face(t, 33, text.Style{})
	for _, s := range []string{"合計 ¥4,239", "fjgy|ÅÇ", "髙﨑", "ー—…", "f", "/W"} {
		c := paint.New(500, 120)
		end := fc.Draw(c, s, 60, 70, paint.RGB(0xffffff))
		require.Equal(t, 60+fc.Width(s), end)
		box := fc.Bounds(s, 60, 70)
		for i, p := range c.Pix {
			if x, y := i%c.W, i/c.W; p != 0 {
				require.True(t, x >= box.Min.X && x < box.Max.X && y >= box.Min.Y && y < box.Max.Y, "%q at %d, %d", s, x, y)
			}
		}
	}
}

func TestCombiningMarksAreJoined(t *testing.T) {
	fc := face(t, 30, text.Style{})
	require.Equal(t, fc.Width("ガギグ"), fc.Width(norm.NFD.String("ガギグ")))
}

func TestMissingCharactersShow(t *testing.T) {
	fc := face(t, 30, text.Style{})
	require.Equal(t, fc.Width("〓"), fc.Width("\U0001f600"))
	f, _, err := screen.Fonts()
	require.NoError(t, err)
	require.Equal(t, []rune{'\U0001f600'}, f.Missing("髙﨑〜ー😀\n😀"))
}

func TestFit(t *testing.T) {
	fc := face(t, 20, text.Style{})
	require.Equal(t, "短い", fc.Fit("短い", 100))
	got := fc.Fit("特選 北海道産小麦使用 もちもち食感", 150)
	require.True(t, strings.HasSuffix(got, text.Ellipsis), got)
	require.LessOrEqual(t, fc.Width(got), 150)
	require.Empty(t, fc.Fit("何も入らない", 3))
}

func TestWrap(t *testing.T) {
	fc := face(t, 20, text.Style{})
	require.Equal(t, []string{"あいうえお", "かきくけこ"}, fc.Wrap("あいうえおかきくけこ", fc.Width("あいうえおか")-1))
	require.Equal(t, []string{"one two", "three"}, fc.Wrap("one two three", fc.Width("one two th")))
	require.Equal(t, []string{"a", "", "b"}, fc.Wrap("a\n\nb", 100))
	// kinsoku: no line starts with a full stop or a small kana, none ends with an opening bracket
	require.Equal(t, []string{"ありま", "す。次"}, fc.Wrap("あります。次", fc.Width("あります")))
	require.Equal(t, []string{"これは", "「鍵」"}, fc.Wrap("これは「鍵」", fc.Width("これは「")))
	require.Equal(t, []string{"4901234567894", "は未登録"}, fc.Wrap("4901234567894は未登録", fc.Width("4901234567894は")-1))
}

func FuzzWrap(f *testing.F) {
	f.Add("登録した商品はすべて取り消されます。「OK」 Cancel the sale?", 120)
	f.Add("aaaaaaaaaaaaaaaaaaaaaaaa", 1)
	f.Add("  　 \n\t", 10)
	fc := face(f, 16, text.Style{Tabular: true})
	wide := fc.Width("ＭＷ")
	f.Fuzz(func(t *testing.T, s string, w int) {
		if len(s) > 300 {
			return
		}
		w = wide + max(w, 0)%400
		squeeze := func(s string) string {
			solid := strings.Map(func(r rune) rune {
				if unicode.IsSpace(r) {
					return -1
				}
				return r
			}, norm.NFC.String(s))
			return norm.NFD.String(solid) // an accent that stood behind a space now has a letter before it
		}
		got := fc.Wrap(s, w)
		var all string
		for _, line := range got {
			require.LessOrEqual(t, fc.Width(line), w, "%q", line)
			all += line
		}
		require.Equal(t, squeeze(string([]rune(s))), squeeze(all))
		require.LessOrEqual(t, fc.Width(fc.Fit(s, w)), w)
	})
}
