package printer_test

import (
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/escpos"
	"github.com/choba-os/choba/drivers/escpos/outline"
	"github.com/choba-os/choba/tests/bench/printer"
)

// sample is the receipt of screens/receipt.png, as lines.
func sample() []escpos.Line {
	item := func(name, right string) escpos.Line { return escpos.Line{Text: name, Right: right} }
	return []escpos.Line{
		{Text: "駅前商店 本店", Bold: true, Wide: true, Tall: true, Align: escpos.Center},
		{Text: "東京都千代田区丸の内1-2-3", Align: escpos.Center},
		{Text: "TEL 03-1234-5678", Align: escpos.Center},
		{Text: "登録番号 T1234567890123", Align: escpos.Center, Feed: 6},
		{Text: "領 収 書", Bold: true, Align: escpos.Center, Feed: 4},
		item("2026年11月21日(土) 14:32", "レジ02"),
		item("責:山田 花子", "No.000482"),
		{Rule: true},
		item("宇治抹茶入り緑茶 500ml", ""),
		item("  ¥138 × 2", "¥276※"),
		item("手巻おにぎり 紅鮭", ""),
		item("  ¥168 × 3", "¥504※"),
		item("特製幕の内弁当", "¥558※"),
		item("プレミアム缶ビール 350ml", ""),
		item("  ¥228 × 6", "¥1,368  "),
		item("USB-C 充電ケーブル 1.5m", "¥1,280  "),
		item("北海道牛乳 1L", "¥248※"),
		item("髙島屋の麵(大)", "¥5  "),
		{Rule: true},
		{Text: "合計", Right: "¥4,239", Bold: true, Wide: true, Tall: true},
		item("   (10%対象", "¥2,653)"),
		item("   (内消費税等", "¥241)"),
		item("   (8%対象", "¥1,586)"),
		item("   (内消費税等", "¥117)"),
		item("   お預り", "¥10,000"),
		{Text: "   お釣り", Right: "¥5,761", Feed: 12},
		item("※印は軽減税率(8%)適用商品です。", ""),
	}
}

// The paper as a person sees it. CHOBA_PICTURES names a folder to keep it in.
func TestPicture(t *testing.T) {
	font, err := outline.New()
	require.NoError(t, err)
	tw := printer.New(printer.Options{Font: font})
	p := escpos.Paper{Font: font}
	b := p.Start()
	for _, l := range sample() {
		b = append(b, p.Line(l)...)
	}
	rows := tw.Show(append(b, p.Cut()...))
	require.Contains(t, rows, "合計"+strings.Repeat(" ", 14)+"¥4,239")
	require.Contains(t, rows, "[picture]", "the letters that the ROM lacks")
	img := tw.Papers()[0].Image
	require.Equal(t, 576, img.Bounds().Dx())
	require.InDelta(t, 930, img.Bounds().Dy(), 60)
	require.InDelta(t, 8, black(img), 4, "percent of the paper")
	if dir := os.Getenv("CHOBA_PICTURES"); dir != "" {
		f, err := os.Create(filepath.Join(dir, "receipt.png"))
		require.NoError(t, err)
		require.NoError(t, tw.Papers()[0].PNG(f))
		require.NoError(t, f.Close())
	}
}

func black(img *image.Gray) float64 {
	n := 0
	for _, v := range img.Pix {
		if v == 0 {
			n++
		}
	}
	return 100 * float64(n) / float64(len(img.Pix))
}
