package view

import (
	"image"
	"strings"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
)

// Customer describes the customer's display: goods, total, and what to do next. It shows nothing that is the shop's alone (codes,
// devices, messages, the operator) and takes no touches.
func Customer(t *Theme, v api.View, ui UI, w, h int) *list.List {
	ui.Notice, ui.Panel, ui.Pressed = state.Notice{}, state.NoPanel, ""
	v.Insecure, v.Update = nil, nil
	d := &drawing{List: list.New(t.scale), Theme: t, at: plan(w, h, v), v: v, ui: ui, en: ui.English()}
	all := d.at.all
	d.Fill(all, ground)
	d.Fill(paint.Rect(0, 0, all.Dx(), 72), navy)
	a, b := wWelcome.pair(d.en)
	x := d.Line(d.b(28), a, 32, 36, list.Left, white)
	x = d.Line(d.r(20), b, x+20, 38, list.Left, mist)
	d.Name(d.r(20), v.Shop, all.Dx()-32, 36, all.Dx()-32-x-40, list.Right, mist)
	if Selling(v, ui) {
		left := image.Rect(24, 96, all.Dx()*55/100, all.Dy()-24)
		d.bought(left)
		d.side(image.Rect(left.Max.X+24, 96, all.Dx()-24, all.Dy()-24))
	}
	d.Hits = nil
	return d.List
}

// bought lists the goods.
func (d *drawing) bought(r image.Rectangle) {
	const high = 60
	d.Shadow(r, 16, 10, 3, shade)
	d.Round(r, 16, panel)
	rows := r.Dy() / high
	first, end := UI{}.Window(d.v, rows)
	for i := first; i < end; i++ {
		ln := d.v.Lines[i]
		y := r.Min.Y + (i-first)*high + high/2
		if i+1 < end {
			d.Fill(paint.Rect(r.Min.X+24, y+high/2-1, r.Dx()-48, 1), hair)
		}
		amount := Yen(ln.Amount)
		d.Line(d.n(26), amount, r.Max.X-52, y, list.Right, ink)
		if ln.Reduced {
			d.Line(d.r(18), "※", r.Max.X-24, y, list.Right, amber)
		}
		x := min(r.Max.X-52-d.Width(d.n(26), amount)-24, r.Max.X-190)
		n := "×" + group(int64(ln.Qty))
		d.Line(d.r(18), n, x, y, list.Right, ink2)
		name := ln.Name
		if d.en && ln.NameEn != "" {
			name = ln.NameEn
		}
		d.Name(d.r(22), name, r.Min.X+24, y, x-d.Width(d.r(18), n)-16-r.Min.X-24, list.Left, ink)
	}
}

// side draws the total, or the change of a paid sale, and a sentence.
func (d *drawing) side(r image.Rectangle) {
	box := image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+280)
	d.Shadow(box, 16, 10, 4, 0x500d1b2c)
	d.Round(box, 16, night)
	x0, x1 := box.Min.X+32, box.Max.X-32
	a, b := wTotal.pair(d.en)
	x := d.Line(d.b(34), a, x0, box.Min.Y+52, list.Left, white)
	d.Line(d.r(22), b, x+16, box.Min.Y+54, list.Left, mist)
	n, unit := pieces(d.v.Count, d.en)
	d.Line(d.n(30), strings.TrimSpace(n+" "+unit), x1, box.Min.Y+52, list.Right, mist)
	d.Label(Yen(d.v.Total), x1, box.Min.Y+158, box.Dx()-64, list.Right, white, d.sizes(digits, 88, 76, 66, 56, 48, 40)...)
	y := box.Min.Y + 248
	for i, s := range d.v.Rates {
		if i > 1 {
			break
		}
		d.taxOf(s, x0, x1, y-26*(min(len(d.v.Rates), 2)-1-i))
	}
	say := image.Rect(r.Min.X, box.Max.Y+24, r.Max.X, r.Max.Y)
	d.Round(say, 16, tealPale)
	x = (say.Min.X + say.Max.X) / 2
	switch {
	case d.v.Phase == api.PhaseDone:
		d.farewell(say)
	case len(d.v.Lines) == 0:
		d.Icon(paint.Register, x, (say.Min.Y+say.Max.Y)/2-40, 96, teal)
		d.sentence(wWelcome, x, (say.Min.Y+say.Max.Y)/2+56, say.Dx()-40)
	default:
		d.sentence(wHowPay, x, say.Min.Y+56, say.Dx()-40)
		d.waysToPay(say)
	}
}

func (d *drawing) taxOf(s api.RateSum, x0, x1, y int) {
	mark := ""
	if s.Reduced {
		mark = "※"
	}
	name := words{"内消費税 ", "Tax incl. "}
	if !d.v.TaxInside {
		name = words{"消費税 ", "Tax "}
	}
	d.Line(d.r(18), name.in(d.en)+group(int64(s.Percent))+"%"+mark, x0, y, list.Left, mist)
	d.Line(d.r(18), Yen(s.Tax), x1, y, list.Right, mist)
}

func (d *drawing) sentence(w words, x, y, room int) {
	a, b := w.pair(d.en)
	d.Label(a, x, y, room, list.Center, tealDown, d.sizes(bold, 26, 24, 22, 20)...)
	d.Label(b, x, y+34, room, list.Center, tealDown, d.sizes(regular, 18, 16)...)
}

func (d *drawing) waysToPay(r image.Rectangle) {
	var on []api.Tender
	for _, t := range d.v.Tenders {
		if t.Enabled {
			on = append(on, t)
		}
	}
	for i, t := range on[:min(len(on), 4)] {
		w := r.Dx() / min(len(on), 4)
		x := r.Min.X + i*w + w/2
		d.Icon(tenderLook(t).icon, x, r.Min.Y+168, 56, tealDown)
		d.Label(words{t.Name, t.NameEn}.in(d.en), x, r.Min.Y+222, w-12, list.Center, tealDown, d.sizes(regular, 18, 16, 14, 12)...)
	}
}

// farewell shows the change.
func (d *drawing) farewell(r image.Rectangle) {
	x0, x1 := r.Min.X+32, r.Max.X-32
	d.sums(wCashGot, Yen(d.v.Paid), x0, x1, r.Min.Y+50)
	a, b := wChange.pair(d.en)
	x := d.Line(d.b(28), a, x0, r.Min.Y+124, list.Left, tealDown)
	d.Line(d.r(18), b, x0, r.Min.Y+158, list.Left, tealDown)
	d.Label(Yen(d.v.Change), x1, r.Min.Y+140, x1-x-20, list.Right, tealDown, d.sizes(digits, 76, 66, 56, 48, 40, 34)...)
	s := wThanks
	if d.v.Change > 0 {
		s = wMoney
	}
	d.sentence(s, (r.Min.X+r.Max.X)/2, r.Min.Y+240, r.Dx()-40)
}
