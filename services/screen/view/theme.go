package view

import (
	"fmt"

	"github.com/choba-os/choba/drivers/display/fonts/screen"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/display/palette"
	"github.com/choba-os/choba/drivers/display/text"
	"github.com/choba-os/choba/services/register/api"
)

// The colours' short names.
const (
	white     = palette.White
	ink       = palette.Ink
	ink2      = palette.Ink2
	ink3      = palette.Ink3
	ground    = palette.Ground
	panel     = palette.Panel
	foot      = palette.Foot
	hair      = palette.Hair
	edge      = palette.Edge
	navy      = palette.Navy
	night     = palette.Night
	pill      = palette.Pill
	mist      = palette.Mist
	teal      = palette.Teal
	tealDown  = palette.TealDown
	tealPale  = palette.TealPale
	tealMid   = palette.TealMid
	mint      = palette.Mint
	amber     = palette.Amber
	amberPale = palette.AmberPale
	sun       = palette.Sun
	red       = palette.Red
	redDown   = palette.RedDown
	redPale   = palette.RedPale
	redMid    = palette.RedMid
	blue      = palette.Blue
	blueDown  = palette.BlueDown
	bluePale  = palette.BluePale
	grey      = palette.Grey
	greyDown  = palette.GreyDown
	keyDown   = palette.KeyDown
	off       = palette.Off
	offInk    = palette.OffInk
	shade     = palette.Shade
	scrim     = palette.Scrim
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
