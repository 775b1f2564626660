package view_test

import (
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
	"github.com/choba-os/choba/services/screen/view"
	"github.com/stretchr/testify/require"
)

// pictures is where the documents' pictures are.
const pictures = "../../../docs/pictures"

// The pictures in the documents are what the product draws. After a change that is meant, look at them again and write them anew with
//
//	CHOBA_UPDATE=1 go test -run TestPictures ./services/screen/view
func TestPictures(t *testing.T) {
	by := map[string]sample{}
	for _, s := range samples() {
		by[s.name] = s
	}
	english := by["sale"]
	english.ui.Lang = state.English
	english.ui.Entry, english.ui.Pressed = "25", "key:5"
	for name, s := range map[string]sample{
		"sale.png": by["sale"], "sale-en.png": english, "tender.png": by["enough"], "change.png": by["change"], "starting.png": by["starting"],
		"update.png": by["update"], "fallback.png": by["fallback"],
	} {
		got, err := view.Render(s.v, s.ui, 1280, 800)
		require.NoError(t, err)
		compare(t, name, got)
	}
	theme, err := view.NewTheme(1280, 800)
	require.NoError(t, err)
	p := list.NewPainter(1280, 800)
	p.Paint(view.Customer(theme, sale(), state.UI{}, 1280, 800))
	compare(t, "customer.png", p.Canvas().Image())
}

func compare(t *testing.T, name string, got *image.RGBA) {
	t.Helper()
	path := filepath.Join(pictures, name)
	if os.Getenv("CHOBA_UPDATE") != "" {
		f, err := os.Create(path)
		require.NoError(t, err)
		require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(f, got))
		require.NoError(t, f.Close())
	}
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	m, err := png.Decode(f)
	require.NoError(t, err)
	want := image.NewRGBA(m.Bounds())
	draw.Draw(want, want.Rect, m, image.Point{}, draw.Src)
	require.Equal(t, want.Rect, got.Rect, name)
	for i := range got.Pix {
		// other processors may round a curve's coverage differently by one step
		if d := int(got.Pix[i]) - int(want.Pix[i]); d > 2 || d < -2 {
			t.Fatalf("%s: pixel %d, %d differs by %d", name, i/4%got.Rect.Dx(), i/4/got.Rect.Dx(), d)
		}
	}
}

// Whatever names and numbers a register sends: no panic, and the picture keeps its size.
func FuzzDraw(f *testing.F) {
	f.Add("宇治抹茶\x00\t\n入り", "\u202e\u200b👩‍👩‍👧", int64(-5), 3, 0, 1, "tender")
	f.Add("", "x", int64(1)<<62, -1, 1<<30, 2, "done")
	f.Add("緑茶", "490", int64(10), 0, 0, 0, "sale")
	shapes := [][2]int{{320, 240}, {800, 600}, {600, 900}, {1024, 400}}
	var themes []*view.Theme
	for _, z := range shapes {
		theme, err := view.NewTheme(z[0], z[1])
		require.NoError(f, err)
		themes = append(themes, theme)
	}
	f.Fuzz(func(t *testing.T, name, code string, amount int64, qty, top, shape int, phase string) {
		v := sale()
		v.Lines[0].Name, v.Lines[1].Code, v.Lines[2].Amount, v.Lines[3].Qty = name, code, amount, qty
		v.Total, v.Change, v.Shop, v.Receipt, v.Operator.Name = amount, -amount, name, code, code
		v.Quick = []int64{amount, -amount}
		v.Phase = api.Phase(phase)
		if qty%4 != 0 {
			v = message(v, []string{"info", "ask", "error"}[abs(qty)%3], code, name, code)
		}
		w, h := shapes[abs(shape)%4][0], shapes[abs(shape)%4][1]
		pic := view.Draw(themes[abs(shape)%4], v, state.UI{Entry: code, Top: top, Pinned: qty > 0, Lang: state.English}, w, h)
		require.Equal(t, image.Rect(0, 0, w, h), pic.Ops[0].Shape)
		list.NewPainter(w, h).Paint(pic)
	})
}

func abs(n int) int { return max(n, -(n + 1)) }

// The part that Paid names looks the same whatever became of receipt and drawer.
func TestPaidIsFreeOfDevices(t *testing.T) {
	for _, size := range sizes() {
		w, h := size[0], size[1]
		var first *image.RGBA
		for _, s := range samples() {
			if s.v.Phase != api.PhaseDone || s.v.Paid != 10000 {
				continue
			}
			m, err := view.Render(s.v, s.ui, w, h)
			require.NoError(t, err)
			part := m.SubImage(view.Paid(w, h)).(*image.RGBA)
			if first == nil {
				first = part
			}
			for y := part.Rect.Min.Y; y < part.Rect.Max.Y; y++ {
				a, b := first.PixOffset(first.Rect.Min.X, y), part.PixOffset(part.Rect.Min.X, y)
				n := 4 * part.Rect.Dx()
				require.True(t, string(first.Pix[a:a+n]) == string(part.Pix[b:b+n]), "%s, row %d", s.name, y)
			}
		}
		require.NotNil(t, first)
	}
}
