// Package list describes a picture as a flat list of shapes and repaints only what changed between two lists.
//
// It is no widget tree: whoever draws a screen writes the whole list anew each time, and never says what changed. A Painter compares
// the list with the one before, and paints the shapes that overlap the difference. Rule that keeps it small: an Op is a comparable
// value that says all about its pixels; two equal lists give equal pictures, and repainting the difference gives the very pixels of
// painting everything.
package list

import (
	"image"
	"math"

	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/display/text"
)

// Kind is what an Op paints.
type Kind uint8

// The kinds of Op.
const (
	Fill Kind = iota
	Round
	Shadow
	Text
	Icon
)

// Op is one element of the picture, in pixels.
type Op struct {
	Kind   Kind
	Bounds image.Rectangle // no pixel outside is touched
	Shape  image.Rectangle
	Radius int
	Blur   int // of a shadow; Origin.Y is how much lower it lies
	Color  paint.Color
	Face   *text.Face
	Text   string
	Origin image.Point // baseline of text, corner of an icon
	Icon   paint.Icon
}

// Hit is a place that answers a touch.
type Hit struct {
	Area image.Rectangle
	ID   string
}

// List is the picture being described. Its methods take logical units, of which one is Scale pixels. The zero value is not usable:
// see New.
type List struct {
	Ops  []Op
	Hits []Hit
	// Cuts names the labels that had no room. Nothing but a test looks at it.
	Cuts []string

	scale float64
}

// New begins a picture.
func New(scale float64) *List { return &List{scale: scale} }

// Scale is the pixels in a logical unit.
func (l *List) Scale() float64 { return l.scale }

func (l *List) px(v int) int { return int(math.Round(float64(v) * l.scale)) }

// Pixels scales a rectangle; edges that touch keep touching.
func (l *List) Pixels(r image.Rectangle) image.Rectangle {
	return image.Rect(l.px(r.Min.X), l.px(r.Min.Y), l.px(r.Max.X), l.px(r.Max.Y))
}

// Fill adds a rectangle. A hairline never vanishes by scaling.
func (l *List) Fill(r image.Rectangle, c paint.Color) {
	p := l.Pixels(r)
	if !r.Empty() && p.Dy() == 0 {
		p.Max.Y++
	}
	if !r.Empty() && p.Dx() == 0 {
		p.Max.X++
	}
	l.Ops = append(l.Ops, Op{Kind: Fill, Bounds: p, Shape: p, Color: c})
}

// Round adds a rectangle with round corners.
func (l *List) Round(r image.Rectangle, radius int, c paint.Color) {
	p := l.Pixels(r)
	l.Ops = append(l.Ops, Op{Kind: Round, Bounds: p, Shape: p, Radius: l.px(radius), Color: c})
}

// Shadow adds the soft shadow of a round rectangle; add the rectangle after it.
func (l *List) Shadow(r image.Rectangle, radius, blur, dy int, c paint.Color) {
	p, b, d := l.Pixels(r), l.px(blur), l.px(dy)
	l.Ops = append(l.Ops, Op{
		Kind: Shadow, Bounds: paint.ShadowBounds(p, b, d), Shape: p, Radius: l.px(radius), Blur: b, Origin: image.Pt(0, d), Color: c,
	})
}

// Icon adds an icon, size square, centred on (x, y).
func (l *List) Icon(i paint.Icon, x, y, size int, c paint.Color) {
	s := l.px(size)
	at := image.Pt(l.px(x)-s/2, l.px(y)-s/2)
	box := paint.Rect(at.X, at.Y, s, s)
	l.Ops = append(l.Ops, Op{Kind: Icon, Bounds: box, Shape: box, Icon: i, Origin: at, Color: c})
}

// Hit makes a place touchable. Of places that overlap the one added last counts.
func (l *List) Hit(r image.Rectangle, id string) { l.Hits = append(l.Hits, Hit{l.Pixels(r), id}) }

// At finds what lies under a pixel, "" for nothing.
func (l *List) At(p image.Point) string {
	for i := len(l.Hits) - 1; i >= 0; i-- {
		if p.In(l.Hits[i].Area) {
			return l.Hits[i].ID
		}
	}
	return ""
}

// Align is where text stands to the point it is given.
type Align uint8

// The alignments.
const (
	Left Align = iota
	Center
	Right
)

// Width is what s takes in logical units, rounded up.
func (l *List) Width(f *text.Face, s string) int {
	return int(math.Ceil(float64(f.Width(s)) / l.scale))
}

// Room is how many pixels w logical units are, for text.Face's Fit and Wrap.
func (l *List) Room(w int) int { return int(float64(w) * l.scale) }

// Line adds s with its visual middle (of a capital's height) on y and returns the x after it.
func (l *List) Line(f *text.Face, s string, x, y int, a Align, c paint.Color) int {
	return l.put(f, s, x, f.Middle(l.px(y)), a, c)
}

func (l *List) put(f *text.Face, s string, x, baseline int, a Align, c paint.Color) int {
	w, px := f.Width(s), l.px(x)
	switch a {
	case Center:
		px -= w / 2
	case Right:
		px -= w
	}
	l.Ops = append(l.Ops, Op{
		Kind: Text, Bounds: f.Bounds(s, px, baseline), Face: f, Text: s, Origin: image.Pt(px, baseline), Color: c,
		Shape: image.Rect(px, baseline-f.Cap(), px+w, baseline),
	})
	return int(math.Ceil(float64(px+w) / l.scale))
}

// Label adds a text of the screen's own, which must never be cut: the first face in which it fits w is taken. When none does it is
// cut all the same and Cuts says so.
func (l *List) Label(s string, x, y, w int, a Align, c paint.Color, faces ...*text.Face) int {
	for _, f := range faces {
		if f.Width(s) <= l.Room(w) {
			return l.Line(f, s, x, y, a, c)
		}
	}
	l.Cuts = append(l.Cuts, s)
	f := faces[len(faces)-1]
	return l.Line(f, f.Fit(s, l.Room(w)), x, y, a, c)
}

// Name adds a text that came from outside, as of goods or people: it is cut with an ellipsis when it has no room.
func (l *List) Name(f *text.Face, s string, x, y, w int, a Align, c paint.Color) int {
	return l.Line(f, f.Fit(s, l.Room(w)), x, y, a, c)
}
