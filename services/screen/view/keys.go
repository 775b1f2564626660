package view

import (
	"image"
	"strconv"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
)

// functions draws the row of keys under the list.
func (d *drawing) functions() {
	rows := d.at.rows()
	first, end := d.ui.Window(d.v, rows)
	keys := []struct {
		id   string
		w    words
		icon paint.Icon
		c    paintwork
		on   bool
	}{
		{state.PageUp, wUp, paint.Up, plainKey, first > 0},
		{state.PageDown, wDown, paint.DownArrow, plainKey, end < len(d.v.Lines)},
		{state.Less, wLess, paint.Minus, plainKey, len(d.v.Lines) > 0},
		{state.More, wMore, paint.Plus, plainKey, len(d.v.Lines) > 0},
		{state.Remove, wRemove, paint.Bin, paleRedKey, len(d.v.Lines) > 0},
		{state.Cancel, wCancel, paint.Cross, paleRedKey, len(d.v.Lines) > 0},
	}
	r := d.at.funcs
	w := (r.Dx() - small*(len(keys)-1)) / len(keys)
	for i, k := range keys {
		if !k.on {
			k.c = offKey
		}
		q := paint.Rect(r.Min.X+i*(w+small), r.Min.Y, w, r.Dy())
		d.key(q, k.id, 12, k.c)
		x := q.Min.X + w/2
		d.Icon(k.icon, x, q.Min.Y+28, 28, k.c.text)
		d.Label(k.w.in(d.en), x, q.Max.Y-20, w-8, list.Center, k.c.text, d.sizes(bold, 16, 15, 14, 13, 12)...)
	}
}

// totals draws the dark panel that has to be read from two metres away.
func (d *drawing) totals() {
	r := d.at.total
	d.Shadow(r, 16, 10, 4, 0x500d1b2c)
	d.Round(r, 16, night)
	x0, x1 := r.Min.X+28, r.Max.X-28
	a, b := wTotal.pair(d.en)
	x := d.Line(d.b(28), a, x0, r.Min.Y+38, list.Left, white)
	d.Line(d.r(18), b, x+12, r.Min.Y+40, list.Left, mist)
	a, b = wTaxInside.pair(d.en)
	d.Line(d.r(16), a+"  "+b, x1, r.Min.Y+38, list.Right, mist)
	n, unit := pieces(d.v.Count, d.en)
	w := d.Width(d.n(22), n) + 28
	p := paint.Rect(x0, r.Max.Y-58, w, 36)
	d.Round(p, 18, pill)
	d.Line(d.n(22), n, p.Min.X+w/2, p.Min.Y+18, list.Center, white)
	if unit != "" {
		w += 10 + d.Width(d.r(16), unit)
		d.Line(d.r(16), unit, p.Max.X+10, p.Min.Y+18, list.Left, mist)
	}
	d.Label(Yen(d.v.Total), x1, r.Min.Y+114, r.Dx()-56-w-16, list.Right, white, d.sizes(digits, 88, 76, 66, 58, 50, 44, 40)...)
}

// keypad draws the number typed so far and the keys for it.
func (d *drawing) keypad(entry, r image.Rectangle) {
	d.Round(entry, 12, edge)
	d.Round(entry.Inset(1), 11, panel)
	cy := (entry.Min.Y + entry.Max.Y) / 2
	d.Icon(paint.Barcode, entry.Min.X+28, cy, 24, ink3)
	if d.ui.Entry == "" {
		a, b := wScan.pair(d.en)
		d.Label(a+" / "+b, entry.Min.X+54, cy, entry.Dx()-66, list.Left, ink3, d.sizes(regular, 16, 15, 14)...)
	} else {
		d.Label(d.ui.Entry, entry.Max.X-20, cy, entry.Dx()-72, list.Right, ink, d.sizes(digits, 34, 28, 22, 18, 16, 14)...)
	}
	d.numbers(r, 4, 4)
	at := grid(r, 4, 4)
	back := at(3, 0)
	d.key(back, state.Key+"back", 12, greyKey)
	d.Icon(paint.Backspace, (back.Min.X+back.Max.X)/2, (back.Min.Y+back.Max.Y)/2, 34, ink)
	d.labelled(at(3, 1), state.Key+"quantity", wQuantity, greyKey, 22)
	enter := at(3, 2).Union(at(3, 3))
	d.labelled(enter, state.Key+"enter", wEnter, blueKey, 24)
}

// grid gives the cells of r cut into columns and rows.
func grid(r image.Rectangle, cols, rows int) func(col, row int) image.Rectangle {
	w, h := (r.Dx()-small*(cols-1))/cols, (r.Dy()-small*(rows-1))/rows
	return func(c, i int) image.Rectangle {
		return paint.Rect(r.Min.X+c*(w+small), r.Min.Y+i*(h+small), w, h)
	}
}

// numbers draws the ten digits, 00 and C into the first three columns of a grid.
func (d *drawing) numbers(r image.Rectangle, cols, rows int) {
	at := grid(r, cols, rows)
	for i, k := range []string{"7", "8", "9", "4", "5", "6", "1", "2", "3", "0", "00", "C"} {
		q := at(i%3, i/3)
		x, y := (q.Min.X+q.Max.X)/2, (q.Min.Y+q.Max.Y)/2
		if k == "C" {
			d.key(q, state.Key+"clear", 12, paleRedKey)
			d.Line(d.b(34), k, x, y, list.Center, red)
			continue
		}
		d.key(q, state.Key+k, 12, plainKey)
		d.Line(d.n(34), k, x, y, list.Center, ink)
	}
}

// tenderKeys draws the ways to pay and the amounts worth a key.
func (d *drawing) tenderKeys() {
	r := d.at.tenders
	d.quick(image.Rect(r.Min.X, r.Max.Y-2*chipH-small, r.Max.X, r.Max.Y), 2)
	r.Max.Y -= 2*chipH + 2*small
	n, cols := len(d.v.Tenders), 1
	if n > 4 {
		cols = 2
	}
	rows := max((n+cols-1)/cols, 1)
	at := grid(r, cols, rows)
	for i, t := range d.v.Tenders {
		d.tenderKey(at(i%cols, i/cols), t, cols == 2)
	}
}

func (d *drawing) tenderKey(q image.Rectangle, t api.Tender, narrow bool) {
	l := tenderLook(t)
	c := paintwork{l.face, l.down, white, white}
	if !t.Enabled {
		c = offKey
	}
	d.key(q, state.TenderKey+t.ID, 14, c)
	a, b := words{t.Name, t.NameEn}.pair(d.en)
	cy := (q.Min.Y + q.Max.Y) / 2
	if narrow {
		d.Icon(l.icon, (q.Min.X+q.Max.X)/2, cy-18, 30, c.text)
		d.Label(a, (q.Min.X+q.Max.X)/2, cy+20, q.Dx()-12, list.Center, c.text, d.sizes(bold, 20, 18, 16, 14, 12)...)
		return
	}
	d.Icon(l.icon, q.Min.X+40, cy, 36, c.text)
	room := q.Dx() - 78 - 12
	d.Label(a, q.Min.X+78, cy-11, room, list.Left, c.text, d.sizes(bold, 24, 22, 20, 18)...)
	d.Label(b, q.Min.X+78, cy+18, room, list.Left, c.sub, d.sizes(regular, 16, 15, 14, 13)...)
}

// quick draws the key for the exact amount and the amounts that a customer is likely to hand over.
func (d *drawing) quick(r image.Rectangle, cols int) {
	const rows = 2
	at := grid(r, cols, rows)
	c := cashKey
	if len(d.v.Lines) == 0 || !cashOn(d.v) {
		c = offKey
	}
	q := at(0, 0)
	x, y := (q.Min.X+q.Max.X)/2, (q.Min.Y+q.Max.Y)/2
	a, b := wExact.pair(d.en)
	d.key(q, state.Exact, 12, c)
	d.Label(a, x, y-11, q.Dx()-12, list.Center, c.text, d.sizes(bold, 20, 18, 16)...)
	d.Label(b, x, y+14, q.Dx()-12, list.Center, c.sub, d.sizes(regular, 14, 13)...)
	for i, n := range d.v.Quick {
		if i+1 >= cols*rows {
			break
		}
		q := at((i+1)%cols, (i+1)/cols)
		d.key(q, state.Quick+strconv.FormatInt(n, 10), 12, c)
		d.Label(Yen(n), (q.Min.X+q.Max.X)/2, (q.Min.Y+q.Max.Y)/2, q.Dx()-12, list.Center, c.text, d.sizes(digits, 22, 20, 18, 16, 14, 12)...)
	}
}

func cashOn(v api.View) bool {
	for _, t := range v.Tenders {
		if t.Kind == "cash" {
			return t.Enabled
		}
	}
	return false
}
