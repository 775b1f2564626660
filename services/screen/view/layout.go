package view

import (
	"image"
	"math"

	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/services/register/api"
)

// layout is where the parts of the sale screen are, in logical units.
type layout struct {
	all, top, items, funcs, total, entry, keys, tenders image.Rectangle

	banner image.Rectangle // over everything; empty when there is nothing to say

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
	bannerH  = 34
)

// plan lays the sale screen out for this View.
func plan(w, h int, v api.View) layout {
	k := scale(w, h)
	lw, lh := int(math.Round(float64(w)/k)), int(math.Round(float64(h)/k))
	l := layout{all: image.Rect(0, 0, lw, lh), rates: max(len(v.Rates), minRates)}
	if v.Insecure != nil {
		l.banner = image.Rect(0, 0, lw, bannerH)
	}
	l.top = image.Rect(0, l.banner.Max.Y, lw, l.banner.Max.Y+barH)
	y := l.top.Max.Y + gap
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

// Rows is how many lines of this View's sale are in sight on a screen of w × h pixels.
func Rows(w, h int, v api.View) int { return plan(w, h, v).rows() }

// RowHeight is the height of a line of the sale in pixels.
func RowHeight(w, h int) float64 { return rowH * scale(w, h) }
