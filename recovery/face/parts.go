package face

import (
	"fmt"
	"image"
	"strconv"
	"strings"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/display/palette"
)

// split is a sheet with the reasons and, beside it, a dark one with the countdown.
func (d *drawing) split(r image.Rectangle) {
	w := r.Dx() * 40 / 100
	left := image.Rect(r.Min.X, r.Min.Y, r.Max.X-w-gap, r.Max.Y)
	right := image.Rect(left.Max.X+gap, r.Min.Y, r.Max.X, r.Max.Y)
	d.card(left)
	const h = keyH - 12
	top := image.Rect(right.Min.X, right.Min.Y, right.Max.X, right.Max.Y-len(d.p.Buttons)*(h+gap))
	d.countdown(top)
	for i, b := range d.p.Buttons {
		y := top.Max.Y + gap + i*(h+gap)
		d.button(image.Rect(right.Min.X, y, right.Max.X, y+h), b, i)
	}
}

func (d *drawing) countdown(r image.Rectangle) {
	c := d.p.Count
	d.Shadow(r, 18, 10, 4, palette.Shade)
	d.Round(r, 18, palette.Night)
	x, room := r.Min.X+28, r.Dx()-56
	first, second := d.pair(c.Title)
	d.Label(first, x, r.Min.Y+40, room, list.Left, palette.White, d.t.sizes(true, 26, 24, 22, 20, 18)...)
	d.Label(second, x, r.Min.Y+70, room, list.Left, palette.Mist, d.t.sizes(false, 17, 16, 15, 14)...)
	n := strconv.Itoa(c.Seconds)
	end := d.Line(d.t.face(true, 80), n, x, r.Min.Y+130, list.Left, palette.White)
	first, second = d.pair(Say("秒", "seconds"))
	d.Line(d.t.face(true, 24), first, end+12, r.Min.Y+143, list.Left, palette.White)
	d.Line(d.t.face(false, 17), second, end+16+d.Width(d.t.face(true, 24), first), r.Min.Y+145, list.Left, palette.Mist)
	y := r.Min.Y + 188
	for i, s := range c.Steps {
		d.step(x, y+i*50, room, i, s)
	}
	first, second = d.pair(c.Hint)
	d.Label(first, x, r.Max.Y-50, room, list.Left, palette.Mint, d.t.sizes(false, 18, 17, 16, 15, 14)...)
	d.Label(second, x, r.Max.Y-25, room, list.Left, palette.Mist, d.t.sizes(false, 15, 14, 13, 12)...)
}

func (d *drawing) step(x, y, room, number int, s Note) {
	c := palette.Pill
	if s.Tone == Alarm {
		c = palette.Red
	}
	d.Round(paint.Rect(x, y, 32, 32), 16, c)
	d.Line(d.t.face(true, 17), strconv.Itoa(number+1), x+16, y+16, list.Center, palette.White)
	first, second := d.pair(s.Words)
	d.Label(first, x+46, y+8, room-46, list.Left, palette.White, d.t.sizes(false, 19, 18, 17, 16, 15, 14)...)
	d.Label(second, x+46, y+32, room-46, list.Left, palette.Mist, d.t.sizes(false, 15, 14, 13)...)
}

// menu is a heading over a grid of large buttons.
func (d *drawing) menu(r image.Rectangle) {
	first, second := d.pair(d.p.Title)
	x := d.Label(first, r.Min.X+8, r.Min.Y+22, r.Dx()/2, list.Left, palette.Ink, d.t.sizes(true, 28, 26, 24)...)
	d.Label(second, x+14, r.Min.Y+25, r.Dx()/2-40, list.Left, palette.Ink3, d.t.sizes(false, 18, 17, 16, 15)...)
	if d.p.Foot != nil {
		first, second := d.pair(d.p.Foot.Words)
		d.Icon(d.p.Foot.Icon, r.Min.X+24, r.Max.Y-24, 26, palette.Teal)
		x := d.Label(first, r.Min.X+48, r.Max.Y-24, r.Dx()/2-60, list.Left, palette.Ink2, d.t.sizes(false, 17, 16, 15, 14, 13)...)
		d.Label(second, x+14, r.Max.Y-23, r.Max.X-x-20, list.Left, palette.Ink3, d.t.sizes(false, 15, 14, 13, 12)...)
		r.Max.Y -= 56
	}
	r.Min.Y += 56
	n := len(d.p.Buttons)
	rows := (n + 1) / 2
	w, h := (r.Dx()-gap)/2, min((r.Dy()-gap*(rows-1))/rows, 150)
	for i, b := range d.p.Buttons {
		d.tile(paint.Rect(r.Min.X+(i%2)*(w+gap), r.Min.Y+(i/2)*(h+gap), w, h), b, i)
	}
}

// tile is a menu's button: number, icon, words, what it does.
func (d *drawing) tile(r image.Rectangle, b Button, number int) {
	c := d.body(r, b, 16)
	_, cy := mid(r)
	d.Round(paint.Rect(r.Min.X+20, cy-32, 64, 64), 20, c.badge)
	d.Icon(b.Icon, r.Min.X+52, cy, 36, c.icon)
	x, room := r.Min.X+104, r.Dx()-104-44
	first, second := d.pair(b.Words)
	more, _ := d.pair(b.More)
	lines := d.paragraph(d.t.face(false, 16), more, room+28)
	if len(lines) > 2 {
		d.Cuts = append(d.Cuts, more)
	}
	y := cy - 22 - 11*len(lines)
	d.Label(first, x, y, room, list.Left, c.text, d.t.sizes(true, 24, 23, 22, 21, 20, 19, 18)...)
	d.Label(second, x, y+28, room, list.Left, c.sub, d.t.sizes(false, 16, 15, 14, 13)...)
	for i, s := range lines {
		d.Line(d.t.face(false, 16), s, x, y+56+22*i, list.Left, c.sub)
	}
	d.Line(d.t.face(true, 20), strconv.Itoa(number+1), r.Max.X-24, r.Min.Y+24, list.Center, c.sub)
}

// progress draws the bar and returns the y below it.
func (d *drawing) progress(r image.Rectangle) int {
	b := d.p.Bar
	first, second := d.pair(b.What)
	y := r.Min.Y + 16
	percent := ""
	if b.Total > 0 {
		percent = fmt.Sprintf("%d%%", min(b.Done*100/b.Total, 100))
	}
	d.Label(first, r.Min.X, y+14, r.Dx()-170, list.Left, palette.Ink, d.t.sizes(true, 26, 24, 22, 20, 18, 16)...)
	d.Label(second, r.Min.X, y+48, r.Dx()-170, list.Left, palette.Ink3, d.t.sizes(false, 18, 17, 16, 15, 14)...)
	d.Line(d.t.face(true, 52), percent, r.Max.X, y+28, list.Right, palette.Teal)
	y += 84
	line := image.Rect(r.Min.X, y, r.Max.X, y+28)
	d.Round(line, 14, palette.Grey)
	if b.Total > 0 && b.Done > 0 {
		w := max(int(int64(line.Dx())*min(b.Done, b.Total)/b.Total), 28)
		d.Round(paint.Rect(line.Min.X, line.Min.Y, w, 28), 14, palette.Teal)
	}
	how, howElse := d.pair(b.How)
	x := d.Label(how, r.Min.X, y+54, r.Dx()/2, list.Left, palette.Ink2, d.t.sizes(false, 18, 17, 16, 15, 14)...)
	if howElse != how {
		d.Label(howElse, x+16, y+55, r.Max.X-x-16, list.Left, palette.Ink3, d.t.sizes(false, 15, 14, 13, 12)...)
	}
	return y + 92
}

// facts draws values in large type, to be read out.
func (d *drawing) facts(r image.Rectangle) int {
	y := r.Min.Y
	for _, f := range d.p.Facts {
		first, second := d.pair(f.Name)
		x := d.Label(first, r.Min.X, y+14, r.Dx()/2, list.Left, palette.Ink2, d.t.sizes(false, 17, 16, 15)...)
		d.Label(second, x+12, y+15, r.Dx()/2-12, list.Left, palette.Ink3, d.t.sizes(false, 15, 14, 13)...)
		d.Round(paint.Rect(r.Min.X, y+30, r.Dx(), 52), 10, palette.Foot)
		d.Label(f.Value, r.Min.X+18, y+56, r.Dx()-36, list.Left, palette.Ink, d.t.sizes(true, 28, 26, 24, 22, 20, 18)...)
		y += 96
	}
	return y
}

// keypad is a field with the keys that fill it.
func (d *drawing) keypad(r image.Rectangle) {
	f := d.p.Field
	d.Shadow(r, 18, 10, 4, palette.Shade)
	d.Round(r, 18, palette.Panel)
	y := d.heading(r)
	in := image.Rect(r.Min.X+32, y, r.Max.X-32, r.Max.Y-24)
	first, second := d.pair(f.Hint)
	d.Label(first, in.Min.X, y+8, in.Dx(), list.Left, palette.Ink2, d.t.sizes(false, 18, 17, 16, 15, 14)...)
	d.Label(second, in.Min.X, y+34, in.Dx(), list.Left, palette.Ink3, d.t.sizes(false, 15, 14, 13)...)
	y += 58
	d.field(image.Rect(in.Min.X, y, in.Max.X, y+76))
	keys := image.Rect(in.Min.X, y+92, in.Max.X, in.Max.Y-keyH-gap)
	d.letters(keys, (len(f.Keys)+1)/2)
	d.entry(image.Rect(in.Min.X, in.Max.Y-keyH, in.Max.X, in.Max.Y))
}

// field draws what was typed, in groups when it has groups.
func (d *drawing) field(r image.Rectangle) {
	f := d.p.Field
	d.Round(r, 12, palette.Edge)
	d.Round(r.Inset(2), 10, palette.Foot)
	_, y := mid(r)
	if f.Groups == 0 {
		d.Label(f.Text+"_", r.Min.X+24, y, r.Dx()-48, list.Left, palette.Ink, d.t.sizes(true, 34, 30, 26, 22, 18, 15, 13)...)
		return
	}
	w := (r.Dx() - 24) / f.Groups
	faces := d.t.sizes(true, 28, 26, 24, 22, 20, 18, 16)
	for len(faces) > 1 && d.Width(faces[0], strings.Repeat("0", f.Size)) > w-8 {
		faces = faces[1:] // one size for all groups
	}
	for i := range f.Groups {
		part := f.Text[min(i*f.Size, len(f.Text)):min((i+1)*f.Size, len(f.Text))]
		x := r.Min.X + 12 + i*w + w/2
		c, of := palette.Edge, palette.Ink
		switch {
		case f.Wrong == i+1:
			c, of = palette.Red, palette.Red
		case len(f.Text)/f.Size == i:
			c = palette.Blue
		}
		d.Label(part, x, y-4, w-8, list.Center, of, faces...)
		d.Fill(paint.Rect(x-w/2+8, r.Max.Y-16, w-16, 3), c)
	}
}

func (d *drawing) letters(r image.Rectangle, cols int) {
	keys := d.p.Field.Keys
	rows := (len(keys) + cols - 1) / cols
	const small = 8
	w, h := (r.Dx()-small*(cols-1))/cols, (r.Dy()-small*(rows-1))/rows
	for i, k := range strings.Split(keys, "") {
		q := paint.Rect(r.Min.X+(i%cols)*(w+small), r.Min.Y+(i/cols)*(h+small), w, h)
		d.body(q, Button{ID: KeyPrefix + k, Look: Grey}, 12)
		x, y := mid(q)
		d.Line(d.t.face(true, 30), k, x, y, list.Center, palette.Ink)
	}
}

// entry is the row below the keys: back, erase, clear, done.
func (d *drawing) entry(r image.Rectangle) {
	w := (r.Dx() - 3*gap) / 4
	at := func(i int) image.Rectangle { return paint.Rect(r.Min.X+i*(w+gap), r.Min.Y, w, r.Dy()) }
	for i, b := range d.p.Buttons {
		if i < 1 {
			b.Look = Grey
			d.button(at(0), b, 9)
		}
	}
	q := at(1)
	d.body(q, Button{ID: KeyClear, Look: Pale}, 14)
	x, y := mid(q)
	first, second := d.pair(Say("全部消す", "Clear"))
	d.Label(first, x, y-14, w-16, list.Center, palette.Red, d.t.sizes(true, 22, 20, 18, 16)...)
	d.Label(second, x, y+20, w-16, list.Center, palette.Red, d.t.sizes(false, 16, 15, 14)...)
	q = at(2)
	d.body(q, Button{ID: KeyBack, Look: Grey}, 14)
	x, y = mid(q)
	d.Icon(paint.Backspace, x, y, 40, palette.Ink)
	d.button(at(3), d.p.Field.Done, 9)
}
