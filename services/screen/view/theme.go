package view

import (
	"fmt"

	"github.com/choba-os/choba/drivers/display/fonts/screen"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/display/text"
	"github.com/choba-os/choba/services/register/api"
)

// The colours. Every text on every ground it is drawn on has a contrast of at least 4.5 (WCAG 2.2, 1.4.3); a test measures it.
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
	tealMid   = paint.Color(0xffbfe3db)
	mint      = paint.Color(0xff63d2be)
	amber     = paint.Color(0xffa84a05)
	amberPale = paint.Color(0xfffdefe0)
	sun       = paint.Color(0xffffc46b)
	red       = paint.Color(0xffb3232a)
	redDown   = paint.Color(0xff8f1a20)
	redPale   = paint.Color(0xfffbe9e9)
	redMid    = paint.Color(0xfff0c9ca)
	blue      = paint.Color(0xff1b66c4)
	blueDown  = paint.Color(0xff144f9a)
	bluePale  = paint.Color(0xffe8f1fd)
	grey      = paint.Color(0xffdde4ec)
	greyDown  = paint.Color(0xffbcc8d6)
	keyDown   = paint.Color(0xffd5dee8)
	off       = paint.Color(0xffe1e6ec)
	offInk    = paint.Color(0xff586472)
	shade     = paint.Color(0x2e20344a)
	scrim     = paint.Color(0xa00d1b2c)
)

type weight uint8

const (
	regular weight = iota
	bold
	digits // bold, with digits of one width
)

type faceKey struct {
	w    weight
	size int
}

// Theme is the type at one scale. One goroutine owns it.
type Theme struct {
	scale     float64
	reg, bold *text.Font
	faces     map[faceKey]*text.Face
}

// NewTheme loads the screen's typeface for a screen of w × h pixels.
func NewTheme(w, h int) (*Theme, error) {
	r, b, err := screen.Fonts()
	if err != nil {
		return nil, fmt.Errorf("loading the screen's typeface: %w", err)
	}
	return &Theme{scale: scale(w, h), reg: r, bold: b, faces: map[faceKey]*text.Face{}}, nil
}

// scale is the pixels in a logical unit: the screen is laid out for at least 1120 × 800 units.
func scale(w, h int) float64 { return min(float64(w)/1120, float64(h)/800) }

func (t *Theme) face(w weight, size int) *text.Face {
	k := faceKey{w, size}
	f, ok := t.faces[k]
	if !ok {
		font := t.bold
		if w == regular {
			font = t.reg
		}
		f = text.NewFace(font, max(int(float64(size)*t.scale+.5), 1), text.Style{Tabular: w != bold})
		t.faces[k] = f
	}
	return f
}

func (t *Theme) r(size int) *text.Face { return t.face(regular, size) }
func (t *Theme) b(size int) *text.Face { return t.face(bold, size) }
func (t *Theme) n(size int) *text.Face { return t.face(digits, size) }

// sizes gives faces of one weight from large to small, for labels that take the first that fits.
func (t *Theme) sizes(w weight, px ...int) []*text.Face {
	out := make([]*text.Face, len(px))
	for i, p := range px {
		out[i] = t.face(w, p)
	}
	return out
}

// look is how a kind of tender is shown.
type look struct {
	icon       paint.Icon
	face, down paint.Color
}

func tenderLook(t api.Tender) look {
	switch t.Kind {
	case "cash":
		return look{paint.Cash, teal, tealDown}
	case "credit":
		return look{paint.Card, 0xff2456a6, 0xff1a417f}
	case "emoney":
		return look{paint.Wave, 0xff6b3fa0, 0xff522f7c}
	case "qr":
		return look{paint.Code2D, 0xffa83c2a, 0xff832d1f}
	}
	return look{paint.Ticket, 0xff3f566e, 0xff2f4155}
}
