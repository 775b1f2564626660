package view

import (
	"image"
	"math"

	"github.com/choba-os/choba/drivers/display/paint"
)

// layout is where the parts of the sale screen are, in logical units.
type layout struct {
	all, top, items, funcs, total, entry, keys, tenders image.Rectangle

	rates int // rates the foot of the list has room for
}

const (
	gap      = 16
	small    = 10 // between keys
	rowH     = 56
	headH    = 48
	footRow  = 28
	chipH    = 60
	entryH   = 60
	barH     = 56
	funcH    = 80
	totalH   = 176
	minRates = 2
)

// plan lays the sale screen out. rates is how many tax rates the sale has.
func plan(w, h, rates int) layout {
	k := scale(w, h)
	lw, lh := int(math.Round(float64(w)/k)), int(math.Round(float64(h)/k))
	l := layout{all: image.Rect(0, 0, lw, lh), top: image.Rect(0, 0, lw, barH), rates: max(rates, minRates)}
	y := barH + gap
	left := lw * 7 / 16
	l.funcs = image.Rect(gap, lh-gap-funcH, gap+left, lh-gap)
	l.items = image.Rect(gap, y, gap+left, l.funcs.Min.Y-12)
	x := l.items.Max.X + gap
	l.total = image.Rect(x, y, lw-gap, y+totalH)
	y = l.total.Max.Y + gap
	right := lw - gap - x
	kw := (right - gap) * 55 / 100
	l.entry = paint.Rect(x, y, kw, entryH)
	l.keys = image.Rect(x, y+entryH+small, x+kw, lh-gap)
	l.tenders = image.Rect(x+kw+gap, y, lw-gap, lh-gap)
	return l
}

// footH is the height of the sums under the list: subtotal, a row each rate, the note on ※.
func (l layout) footH() int { return 20 + footRow*(l.rates+2) }

// rows is how many lines of the sale are in sight.
func (l layout) rows() int { return (l.items.Dy() - headH - l.footH()) / rowH }

// Rows is how many lines of a sale with so many tax rates are in sight on a screen of w × h pixels.
func Rows(w, h, rates int) int { return plan(w, h, rates).rows() }

// RowHeight is the height of a line of the sale in pixels.
func RowHeight(w, h int) float64 { return rowH * scale(w, h) }
