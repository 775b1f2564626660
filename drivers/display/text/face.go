package text

import (
	"image"

	"github.com/choba-os/choba/drivers/display/paint"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
	"golang.org/x/text/unicode/norm"
)

// Style is how a face differs from the font as drawn.
type Style struct {
	// Tabular gives all ten digits the width of the widest, so that amounts stand in columns and do not jump
	// (BIZ UDPGothic's 1 is narrower than its other digits).
	Tabular bool
}

// Face is a font at one size with its cache of glyphs. One goroutine owns it.
type Face struct {
	font    *sfnt.Font
	px      int
	style   Style
	buf     sfnt.Buffer
	index   map[rune]sfnt.GlyphIndex
	cache   map[glyphKey]glyph
	digit   fixed.Int26_6
	ras     vector.Rasterizer
	ascent  int
	descent int
	cap     int
}

type glyphKey struct {
	r       rune
	quarter uint8
}

type glyph struct {
	mask *image.Alpha
	at   image.Point
	adv  fixed.Int26_6
}

// NewFace makes a face px pixels high (an em).
func NewFace(f *Font, px int, s Style) *Face {
	fc := &Face{font: f.f, px: px, style: s, index: map[rune]sfnt.GlyphIndex{}, cache: map[glyphKey]glyph{}}
	if m, err := fc.font.Metrics(&fc.buf, fixed.I(px), 0); err == nil {
		fc.ascent, fc.descent = m.Ascent.Ceil(), m.Descent.Ceil()
	}
	if b, _, err := fc.font.GlyphBounds(&fc.buf, fc.glyphIndex('H'), fixed.I(px), 0); err == nil {
		fc.cap = (-b.Min.Y).Round()
	}
	for r := '0'; s.Tabular && r <= '9'; r++ {
		if a, err := fc.font.GlyphAdvance(&fc.buf, fc.glyphIndex(r), fixed.I(px), 0); err == nil {
			fc.digit = max(fc.digit, a)
		}
	}
	return fc
}

// Size is the em in pixels.
func (fc *Face) Size() int { return fc.px }

// Ascent and Descent are the pixels above and below the baseline that a line may touch.
func (fc *Face) Ascent() int { return fc.ascent }

// Descent: see Ascent.
func (fc *Face) Descent() int { return fc.descent }

// Cap is the height of a capital in pixels: what the eye takes for the middle of a line.
func (fc *Face) Cap() int { return fc.cap }

// Middle gives the baseline that puts a line's visual middle at y.
func (fc *Face) Middle(y int) int { return y + fc.cap/2 }

// glyphIndex maps a character; what the font has not becomes 〓, the printers' mark for a missing letter, or glyph 0.
func (fc *Face) glyphIndex(r rune) sfnt.GlyphIndex {
	if g, ok := fc.index[r]; ok {
		return g
	}
	g, err := fc.font.GlyphIndex(&fc.buf, r)
	if (err != nil || g == 0) && r != '〓' {
		g = fc.glyphIndex('〓')
	}
	fc.index[r] = g
	return g
}

// maxGlyphs bounds a face's cache: a screen shows a few hundred, hostile names could ask for every one there is.
const maxGlyphs = 4096

func (fc *Face) glyph(r rune, quarter uint8) glyph {
	k := glyphKey{r, quarter}
	g, ok := fc.cache[k]
	if !ok {
		if len(fc.cache) >= maxGlyphs {
			clear(fc.cache)
		}
		g = fc.load(r, quarter)
		fc.cache[k] = g
	}
	return g
}

func (fc *Face) advance(r rune) fixed.Int26_6 { return fc.glyph(r, 0).adv }

// load rasterises a glyph, shifted right by quarters of a pixel.
func (fc *Face) load(r rune, quarter uint8) glyph {
	gi, em := fc.glyphIndex(r), fixed.I(fc.px)
	adv, err := fc.font.GlyphAdvance(&fc.buf, gi, em, 0)
	if err != nil {
		return glyph{}
	}
	g, dx := glyph{adv: adv}, fixed.Int26_6(quarter)*16
	if fc.style.Tabular && r >= '0' && r <= '9' {
		dx += (fc.digit - adv) / 2
		g.adv = fc.digit
	}
	segs, err := fc.font.LoadGlyph(&fc.buf, gi, em, nil)
	if err != nil || len(segs) == 0 {
		return g
	}
	b := segs.Bounds()
	box := image.Rect((b.Min.X + dx).Floor(), b.Min.Y.Floor(), (b.Max.X+dx).Ceil()+1, b.Max.Y.Ceil()+1)
	fc.ras.Reset(box.Dx(), box.Dy())
	trace(&fc.ras, segs, dx, box.Min)
	g.mask = image.NewAlpha(image.Rect(0, 0, box.Dx(), box.Dy()))
	fc.ras.Draw(g.mask, g.mask.Rect, image.Opaque, image.Point{})
	g.at = box.Min
	return g
}

func trace(ras *vector.Rasterizer, segs sfnt.Segments, dx fixed.Int26_6, org image.Point) {
	at := func(p fixed.Point26_6) (x, y float32) {
		return float32(p.X+dx)/64 - float32(org.X), float32(p.Y)/64 - float32(org.Y)
	}
	for _, s := range segs {
		ax, ay := at(s.Args[0])
		bx, by := at(s.Args[1])
		cx, cy := at(s.Args[2])
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			ras.ClosePath()
			ras.MoveTo(ax, ay)
		case sfnt.SegmentOpLineTo:
			ras.LineTo(ax, ay)
		case sfnt.SegmentOpQuadTo:
			ras.QuadTo(ax, ay, bx, by)
		case sfnt.SegmentOpCubeTo:
			ras.CubeTo(ax, ay, bx, by, cx, cy)
		}
	}
	ras.ClosePath()
}

// Width is the pixels from the start of s to where the next line element would start.
func (fc *Face) Width(s string) int {
	var x fixed.Int26_6
	for _, r := range norm.NFC.String(s) {
		x += fc.advance(r)
	}
	return x.Ceil()
}

// Draw paints s with its baseline starting at (x, y) and returns the x after it.
func (fc *Face) Draw(c *paint.Canvas, s string, x, y int, col paint.Color) int {
	dot := fixed.I(x)
	for _, r := range norm.NFC.String(s) {
		g := fc.glyph(r, uint8(dot&63)>>4)
		if g.mask != nil {
			c.Mask(g.mask, dot.Floor()+g.at.X, y+g.at.Y, col)
		}
		dot += g.adv
	}
	return dot.Ceil()
}

// Bounds is the part of the picture that Draw may touch: the line's box with room for what leans over its edges.
func (fc *Face) Bounds(s string, x, y int) image.Rectangle {
	lean := 2 + fc.px/8
	return image.Rect(x-lean, y-fc.ascent-2, x+fc.Width(s)+lean, y+fc.descent+2)
}
