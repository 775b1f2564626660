// Package outline draws single letters of the receipts' typeface as black and
// white dots, for printers whose ROM lacks a letter and for the printer's twin.
//
// It is not a text setter: there are no lines, only cells of 12 dots a column.
// The rule that keeps it small: one letter in, one bitmap out.
package outline

import (
	"fmt"
	"image"
	"sync"

	"github.com/choba-os/choba/drivers/display/fonts/paper"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/display/text"
	"github.com/choba-os/choba/drivers/escpos"
)

const (
	cell = 12
	em   = 24
	// threshold is the coverage, of 255, from which a dot is black.
	threshold = 112
)

// Font draws letters in two weights. It is safe for use by several goroutines.
type Font struct {
	fonts [2]*text.Font // regular, bold

	mu    sync.Mutex // guards faces and canvas
	faces map[face]*text.Face
}

type face struct {
	bold bool
	size int
}

// New loads the receipts' typeface.
func New() (*Font, error) {
	regular, bold, err := paper.Fonts()
	if err != nil {
		return nil, fmt.Errorf("loading the paper's font: %w", err)
	}
	return &Font{fonts: [2]*text.Font{regular, bold}, faces: map[face]*text.Face{}}, nil
}

// Glyph implements escpos.Font. Sizes are 1 and 2.
func (f *Font) Glyph(r rune, columns, size int, bold bool) (escpos.Bitmap, bool) {
	font := f.fonts[0]
	if bold {
		font = f.fonts[1]
	}
	if columns < 1 || columns > 2 || size < 1 || size > 2 || !font.Has(r) {
		return escpos.Bitmap{}, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := face{bold, size}
	fc := f.faces[key]
	if fc == nil {
		fc = text.NewFace(font, em*size, text.Style{})
		f.faces[key] = fc
	}
	return draw(fc, string(r), columns*cell*size, em*size), true
}

// draw paints white on black, then keeps what is bright enough.
func draw(fc *text.Face, s string, w, h int) escpos.Bitmap {
	c := paint.New(w, h)
	c.Fill(image.Rect(0, 0, w, h), paint.RGB(0))
	baseline := (h + fc.Ascent() - fc.Descent()) / 2
	fc.Draw(c, s, (w-fc.Width(s))/2, baseline, paint.RGB(0xffffff))
	b := escpos.NewBitmap(w, h)
	for y := range h {
		for x := range w {
			if c.Pix[y*w+x]&0xff >= threshold {
				b.Set(x, y)
			}
		}
	}
	return b
}
