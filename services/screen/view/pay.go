package view

import (
	"image"
	"strconv"
	"strings"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/services/screen/state"
)

// paying draws the dialog that takes cash: the sums at the left, likely amounts and the number keys at the right.
func (d *drawing) paying() {
	d.modal()
	r := d.sheet(980, 660)
	d.Round(r, 20, ground)
	left := image.Rect(r.Min.X+32, r.Min.Y+28, r.Min.X+32+420, r.Max.Y-28)
	right := image.Rect(left.Max.X+32, r.Min.Y+28, r.Max.X-28, r.Max.Y-28)
	d.heading(left.Min.X, left.Min.Y+28, paint.Cash, wCashPay, left.Dx())
	d.due(left)
	w := (left.Dx() - small) / 2
	back := paint.Rect(left.Min.X, left.Max.Y-88, w-30, 88)
	d.labelled(back, state.Back, wBack, greyKey, 20)
	amount, _ := strconv.ParseInt(d.ui.Entry, 10, 64)
	c := blueKey
	if amount < d.v.Total {
		c = offKey
	}
	d.labelled(image.Rect(back.Max.X+small, back.Min.Y, left.Max.X, left.Max.Y), state.Pay, wPay, c, 26)
	cols := 2
	if len(d.v.Quick) > 3 {
		cols = 3
	}
	d.quick(image.Rect(right.Min.X, right.Min.Y, right.Max.X, right.Min.Y+2*64+small), cols)
	pad := image.Rect(right.Min.X, right.Min.Y+2*64+2*small+8, right.Max.X, right.Max.Y)
	d.numbers(pad, 4, 4)
	at := grid(pad, 4, 4)
	bs := at(3, 0).Union(at(3, 1))
	d.key(bs, state.Key+"back", 12, greyKey)
	d.Icon(paint.Backspace, (bs.Min.X+bs.Max.X)/2, (bs.Min.Y+bs.Max.Y)/2, 36, ink)
	for i, k := range []string{"000", "0000"} {
		q := at(3, 2+i)
		d.key(q, state.Key+k, 12, plainKey)
		say := words{[]string{"千", "万"}[i], k}.in(d.en)
		d.Label(say, (q.Min.X+q.Max.X)/2, (q.Min.Y+q.Max.Y)/2, q.Dx()-12, list.Center, ink, d.sizes(bold, 30, 26, 24)...)
	}
}

// heading draws a dialog's title with its icon.
func (d *drawing) heading(x, y int, i paint.Icon, w words, room int) {
	d.Round(paint.Rect(x, y-28, 56, 56), 28, tealPale)
	d.Icon(i, x+28, y, 32, teal)
	a, b := w.pair(d.en)
	d.Label(a, x+76, y-13, room-76, list.Left, ink, d.sizes(bold, 28, 26, 24)...)
	d.Label(b, x+76, y+17, room-76, list.Left, ink3, d.sizes(regular, 18, 16)...)
}

// due draws the total, what was typed, and what follows from it: change or what is still missing. The difference is only shown while
// typing; the change of a paid sale comes from the register.
func (d *drawing) due(r image.Rectangle) {
	y := r.Min.Y + 84
	box := image.Rect(r.Min.X, y, r.Max.X, y+112)
	d.Round(box, 16, night)
	a, b := wTotal.pair(d.en)
	d.Line(d.b(22), a, box.Min.X+20, y+40, list.Left, white)
	d.Line(d.r(16), b, box.Min.X+20, y+74, list.Left, mist)
	d.Label(Yen(d.v.Total), box.Max.X-20, y+56, box.Dx()-130, list.Right, white, d.sizes(digits, 52, 46, 40, 34)...)

	box = image.Rect(r.Min.X, y+126, r.Max.X, y+238)
	d.Round(box, 16, blue)
	d.Round(box.Inset(2), 14, panel)
	a, b = wReceived.pair(d.en)
	d.Line(d.b(22), a, box.Min.X+20, box.Min.Y+40, list.Left, ink)
	d.Line(d.r(16), b, box.Min.X+20, box.Min.Y+74, list.Left, ink3)
	amount, err := strconv.ParseInt(d.ui.Entry, 10, 64)
	if err == nil {
		d.Label(Yen(amount), box.Max.X-20, box.Min.Y+56, box.Dx()-150, list.Right, ink, d.sizes(digits, 52, 46, 40, 34)...)
	} else {
		d.Line(d.n(40), "¥", box.Max.X-20, box.Min.Y+56, list.Right, edge)
	}

	box = image.Rect(r.Min.X, y+252, r.Max.X, y+344)
	w, n, fill, col := wChange, amount-d.v.Total, tealPale, tealDown
	if n < 0 {
		w, n, fill, col = wShort, -n, redPale, red
	}
	if err != nil {
		for i, s := range strings.Split(wPayHint.in(d.en), "\n") {
			d.Label(s, box.Min.X+4, box.Min.Y+30+30*i, box.Dx()-8, list.Left, ink2, d.sizes(regular, 18, 16)...)
		}
		return
	}
	d.Round(box, 16, fill)
	a, b = w.pair(d.en)
	d.Line(d.b(22), a, box.Min.X+20, box.Min.Y+32, list.Left, col)
	d.Line(d.r(16), b, box.Min.X+20, box.Min.Y+63, list.Left, col)
	d.Label(Yen(n), box.Max.X-20, box.Min.Y+46, box.Dx()-150, list.Right, col, d.sizes(digits, 44, 38, 34, 30)...)
}
