package view

import (
	"image"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
)

// paintwork is a key's colours.
type paintwork struct{ face, down, text, sub paint.Color }

var (
	plainKey   = paintwork{panel, keyDown, ink, ink3}
	greyKey    = paintwork{grey, greyDown, ink, ink2}
	blueKey    = paintwork{blue, blueDown, white, white}
	tealKey    = paintwork{teal, tealDown, white, white}
	redKey     = paintwork{red, redDown, white, white}
	paleRedKey = paintwork{redPale, redMid, red, red}
	cashKey    = paintwork{tealPale, tealMid, tealDown, tealDown}
	offKey     = paintwork{off, off, offInk, offInk}
)

// key draws a key's body and makes it touchable.
func (d *drawing) key(r image.Rectangle, id string, radius int, c paintwork) {
	switch {
	case c == offKey:
		d.Round(r, radius, c.face)
	case d.ui.Pressed == id:
		d.Round(r, radius, c.down)
	default:
		d.Shadow(r, radius, 4, 2, shade)
		d.Round(r, radius, c.face)
	}
	d.Hit(r, id)
}

// labelled draws a key with words in both languages, the working one large.
func (d *drawing) labelled(r image.Rectangle, id string, w words, c paintwork, size int) {
	d.key(r, id, 14, c)
	a, b := w.pair(d.en)
	x, y, room := (r.Min.X+r.Max.X)/2, (r.Min.Y+r.Max.Y)/2, r.Dx()-12
	d.Label(a, x, y-size*6/10, room, list.Center, c.text, d.sizes(bold, size, size-2, size-4, size-6, size-8)...)
	d.Label(b, x, y+size*7/10, room, list.Center, c.sub, d.sizes(regular, 16, 15, 14, 13, 12)...)
}

// sums draws a row of a name at the left and an amount at the right.
func (d *drawing) sums(w words, amount string, x0, x1, y int) {
	a, b := w.pair(d.en)
	x := d.Line(d.r(20), a, x0, y, list.Left, ink2)
	if x+10+d.Width(d.r(16), b) < x1-d.Width(d.n(26), amount)-8 {
		d.Line(d.r(16), b, x+10, y+1, list.Left, ink3)
	}
	d.Line(d.n(26), amount, x1, y, list.Right, ink)
}
