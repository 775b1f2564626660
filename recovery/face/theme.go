package face

import (
	"fmt"
	"math"

	"github.com/choba-os/choba/drivers/display/fonts/message"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/display/palette"
	"github.com/choba-os/choba/drivers/display/text"
)

// paintwork is a button's colours.
type paintwork struct{ face, down, text, sub, badge, icon paint.Color }

func (l Look) paintwork() paintwork {
	return [...]paintwork{
		White: {palette.Panel, palette.KeyDown, palette.Ink, palette.Ink3, palette.TealPale, palette.Teal},
		Grey:  {palette.Grey, palette.GreyDown, palette.Ink, palette.Ink2, palette.Grey, palette.Ink2},
		Green: {palette.Teal, palette.TealDown, palette.White, palette.White, palette.TealDown, palette.White},
		Blue:  {palette.Blue, palette.BlueDown, palette.White, palette.White, palette.BlueDown, palette.White},
		Red:   {palette.Red, palette.RedDown, palette.White, palette.White, palette.RedDown, palette.White},
		Pale:  {palette.RedPale, palette.RedMid, palette.Red, palette.Red, palette.RedMid, palette.Red},
	}[l]
}

func (t Tone) colours() (strong, pale paint.Color) {
	switch t {
	case Alarm:
		return palette.Red, palette.RedPale
	case Care:
		return palette.Amber, palette.AmberPale
	case Quiet:
		return palette.Ink3, palette.Grey
	}
	return palette.Teal, palette.TealPale
}

// Theme is the type at one scale. One goroutine owns it.
type Theme struct {
	scale     float64
	lw, lh    int // the screen in logical units
	reg, bold *text.Font
	faces     map[faceKey]*text.Face
}

type faceKey struct {
	bold bool
	size int
}

// NewTheme loads the typeface for a screen of w × h pixels. The pages are laid out
// for at least 1024 × 768 units.
func NewTheme(w, h int) (*Theme, error) {
	reg, err := message.Font()
	if err != nil {
		return nil, fmt.Errorf("loading recovery's typeface: %w", err)
	}
	bold, err := message.Bold()
	if err != nil {
		return nil, fmt.Errorf("loading recovery's typeface: %w", err)
	}
	k := min(float64(w)/1024, float64(h)/768)
	return &Theme{k, int(math.Round(float64(w) / k)), int(math.Round(float64(h) / k)), reg, bold, map[faceKey]*text.Face{}}, nil
}

func (t *Theme) face(bold bool, size int) *text.Face {
	k := faceKey{bold, size}
	f, ok := t.faces[k]
	if !ok {
		font := t.reg
		if bold {
			font = t.bold
		}
		f = text.NewFace(font, max(int(float64(size)*t.scale+.5), 1), text.Style{Tabular: true})
		t.faces[k] = f
	}
	return f
}

// sizes gives faces from large to small, for labels that take the first that fits.
func (t *Theme) sizes(bold bool, px ...int) []*text.Face {
	out := make([]*text.Face, len(px))
	for i, p := range px {
		out[i] = t.face(bold, p)
	}
	return out
}
