package face

import (
	"fmt"
	"math"

	"github.com/choba-os/choba/drivers/display/fonts/message"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/display/text"
)

// The colours are those of the register's screens (services/screen/view).
const (
	white     = paint.Color(0xffffffff)
	ink       = paint.Color(0xff18222f)
	ink2      = paint.Color(0xff4b5766)
	ink3      = paint.Color(0xff5f6b78)
	ground    = paint.Color(0xffe9edf2)
	panel     = paint.Color(0xffffffff)
	foot      = paint.Color(0xfff6f8fa)
	hair      = paint.Color(0xffe3e8ee)
	edge      = paint.Color(0xffc9d3de)
	navy      = paint.Color(0xff14273d)
	night     = paint.Color(0xff0d1b2c)
	pill      = paint.Color(0xff28415c)
	mist      = paint.Color(0xffb4c3d2)
	teal      = paint.Color(0xff0b7a6b)
	tealDown  = paint.Color(0xff086054)
	tealPale  = paint.Color(0xffe3f4f0)
	mint      = paint.Color(0xff63d2be)
	amber     = paint.Color(0xffa84a05)
	amberPale = paint.Color(0xfffdefe0)
	red       = paint.Color(0xffb3232a)
	redDown   = paint.Color(0xff8f1a20)
	redPale   = paint.Color(0xfffbe9e9)
	redMid    = paint.Color(0xfff0c9ca)
	blue      = paint.Color(0xff1b66c4)
	blueDown  = paint.Color(0xff144f9a)
	grey      = paint.Color(0xffdde4ec)
	greyDown  = paint.Color(0xffbcc8d6)
	keyDown   = paint.Color(0xffd5dee8)
	off       = paint.Color(0xffe1e6ec)
	offInk    = paint.Color(0xff586472)
	shade     = paint.Color(0x2e20344a)
)

// paintwork is a button's colours.
type paintwork struct{ face, down, text, sub, badge, icon paint.Color }

func (l Look) paintwork() paintwork {
	return [...]paintwork{
		White: {panel, keyDown, ink, ink3, tealPale, teal},
		Grey:  {grey, greyDown, ink, ink2, grey, ink2},
		Green: {teal, tealDown, white, white, tealDown, white},
		Blue:  {blue, blueDown, white, white, blueDown, white},
		Red:   {red, redDown, white, white, redDown, white},
		Pale:  {redPale, redMid, red, red, redMid, red},
	}[l]
}

func (t Tone) colours() (strong, pale paint.Color) {
	switch t {
	case Alarm:
		return red, redPale
	case Care:
		return amber, amberPale
	case Quiet:
		return ink3, grey
	}
	return teal, tealPale
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
