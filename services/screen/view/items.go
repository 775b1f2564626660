package view

import (
	"fmt"
	"image"
	"strconv"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
)

// items draws the list of the sale with its sums.
func (d *drawing) items() {
	r := d.at.items
	d.Shadow(r, 14, 10, 3, shade)
	d.Round(r, 14, panel)
	d.Hit(r, state.List)
	x0, x1 := r.Min.X+20, r.Max.X-20
	a, b := wItems.pair(d.en)
	x := d.Line(d.b(16), a, x0, r.Min.Y+24, list.Left, ink)
	d.Line(d.r(14), b, x+10, r.Min.Y+24, list.Left, ink3)
	d.Line(d.r(14), "No. "+d.v.Receipt, x1, r.Min.Y+24, list.Right, ink3)
	d.Fill(paint.Rect(r.Min.X, r.Min.Y+headH-1, r.Dx(), 1), hair)
	if len(d.v.Lines) == 0 {
		d.empty(image.Rect(r.Min.X, r.Min.Y+headH, r.Max.X, r.Max.Y-d.at.footH()))
	} else {
		d.lines(image.Rect(r.Min.X, r.Min.Y+headH, r.Max.X, r.Max.Y-d.at.footH()))
	}
	d.sumsFoot(image.Rect(r.Min.X, r.Max.Y-d.at.footH(), r.Max.X, r.Max.Y), x0, x1)
}

func (d *drawing) empty(r image.Rectangle) {
	r.Max.Y = d.updateCard(r)
	x, y := (r.Min.X+r.Max.X)/2, (r.Min.Y+r.Max.Y)/2
	o := emptyLook(r.Dy())
	if o.disc > 0 {
		d.Round(paint.Rect(x-o.disc/2, y+o.top, o.disc, o.disc), o.disc/2, bluePale)
		d.Icon(paint.Barcode, x, y+o.top+o.disc/2, o.disc/2, blue)
	}
	a, b := wScanPlease.pair(d.en)
	d.Label(a, x, y+o.say, r.Dx()-40, list.Center, ink, d.sizes(bold, 24, 22, 20)...)
	d.Label(b, x, y+o.say+32, r.Dx()-40, list.Center, ink3, d.sizes(regular, 18, 16, 14)...)
	if o.help > 0 {
		d.Label(wScanHelp.in(d.en), x, y+o.help, r.Dx()-40, list.Center, ink3, d.sizes(regular, 16, 15, 14)...)
	}
}

// emptyLook says what of the empty list's picture has room in h, and where, from the middle: all of it, a smaller one beside a
// notice, one without the advice, the bare words.
func emptyLook(h int) (o struct{ disc, top, say, help int }) {
	switch {
	case h >= 300:
		o.disc, o.top, o.say, o.help = 112, -112, 36, 112
	case h >= 224:
		o.disc, o.top, o.say, o.help = 80, -98, 14, 84
	case h >= 176:
		o.disc, o.top, o.say = 72, -74, 28
	default:
		o.say = -14
	}
	return o
}

func (d *drawing) lines(r image.Rectangle) {
	first, end := d.ui.Window(d.v, d.at.rows())
	sel, _ := d.ui.Selected(d.v)
	for i := first; i < end; i++ {
		y := r.Min.Y + (i-first)*rowH
		row := paint.Rect(r.Min.X, y, r.Dx(), rowH)
		on := d.v.Lines[i].ID == sel.ID
		if on {
			d.Fill(row, bluePale)
			d.Fill(paint.Rect(row.Min.X, y, 5, rowH), blue)
		} else if i+1 < end && d.v.Lines[i+1].ID != sel.ID {
			d.Fill(paint.Rect(r.Min.X+20, y+rowH-1, r.Dx()-40, 1), hair)
		}
		d.line(d.v.Lines[i], row)
		d.Hit(row, state.LineTouch+strconv.Itoa(d.v.Lines[i].ID))
	}
	d.scrollbar(r, first, end)
}

func (d *drawing) line(ln api.Line, r image.Rectangle) {
	x0, x1 := r.Min.X+20, r.Max.X-20
	cy := r.Min.Y + rowH/2
	amount := Yen(ln.Amount)
	d.Line(d.n(22), amount, x1-28, cy, list.Right, ink)
	if ln.Reduced {
		d.Line(d.r(18), "※", x1, cy, list.Right, amber)
	}
	room := x1 - 28 - d.Width(d.n(22), amount) - 16 - x0
	name := ln.Name
	if d.en && ln.NameEn != "" {
		name = ln.NameEn
	}
	d.Name(d.r(20), name, x0, r.Min.Y+19, room, list.Left, ink)
	y := r.Min.Y + 41
	x := d.Name(d.r(14), ln.Code, x0, y, min(room, 200), list.Left, ink3)
	each := fmt.Sprintf("%s × %s", Yen(ln.Unit), group(int64(ln.Qty)))
	x = d.Name(d.r(14), each, x+14, y, max(x0+room-x-14, 0), list.Left, ink2)
	if ln.Discount > 0 {
		x = d.tag(wDiscount.in(d.en)+" -"+Yen(ln.Discount), x+12, y, x0+room)
	}
	if ln.Note != "" {
		d.tag(ln.Note, x+12, y, x0+room)
	}
}

// tag draws a small mark behind a line's numbers when there is room for it.
func (d *drawing) tag(s string, x, y, end int) int {
	w := d.Width(d.b(14), s) + 14
	if x+w > end {
		return x
	}
	d.Round(paint.Rect(x, y-10, w, 20), 5, amberPale)
	d.Line(d.b(14), s, x+7, y, list.Left, amber)
	return x + w
}

func (d *drawing) scrollbar(r image.Rectangle, first, end int) {
	n := len(d.v.Lines)
	if end-first >= n {
		return
	}
	h := r.Dy() - 8
	bar := max(h*(end-first)/n, 24)
	y := r.Min.Y + 4 + (h-bar)*first/max(n-(end-first), 1)
	d.Round(paint.Rect(r.Max.X-9, y, 5, bar), 2, greyDown)
	say := fmt.Sprintf("%d–%d / %d", first+1, end, n)
	d.Line(d.r(14), say, (r.Min.X+r.Max.X)/2+40, r.Min.Y-headH/2, list.Center, ink2)
}

func (d *drawing) sumsFoot(r image.Rectangle, x0, x1 int) {
	d.Round(r, 14, foot)
	d.Fill(paint.Rect(r.Min.X, r.Min.Y, r.Dx(), 16), foot)
	d.Fill(paint.Rect(r.Min.X, r.Min.Y, r.Dx(), 1), hair)
	y := r.Min.Y + 24
	name, base := wIncluded, d.v.Total
	if !d.v.TaxInside {
		name, base = wExcluded, 0
		for _, s := range d.v.Rates {
			base += s.Base
		}
	}
	x := d.Line(d.r(16), name.in(d.en), x0, y, list.Left, ink2)
	_, second := wSubtotal.pair(d.en)
	d.Line(d.r(14), second, x+10, y, list.Left, ink3)
	d.Line(d.n(18), Yen(base), x1, y, list.Right, ink)
	reduced := false
	for _, s := range d.v.Rates {
		y += footRow
		reduced = reduced || s.Reduced
		d.rate(s, x0, x1, y)
	}
	if reduced {
		d.Label(wReduced.in(d.en), x0, y+footRow, x1-x0, list.Left, ink3, d.sizes(regular, 14, 13)...)
	}
}

func (d *drawing) rate(s api.RateSum, x0, x1, y int) {
	mark := ""
	if s.Reduced {
		mark = "※"
	}
	name := words{fmt.Sprintf("%d%%対象%s", s.Percent, mark), fmt.Sprintf("At %d%%%s", s.Percent, mark)}.in(d.en)
	x := d.Line(d.r(16), name, x0, y, list.Left, ink2)
	x = d.Line(d.r(16), Yen(s.Base), x+10, y, list.Left, ink2)
	tax := words{"消費税", "tax"}
	if d.v.TaxInside {
		tax = words{"内消費税", "incl. tax"}
	}
	d.Line(d.r(14), tax.in(d.en), x+10, y, list.Left, ink3)
	d.Line(d.r(16), Yen(s.Tax), x1, y, list.Right, ink2)
}
