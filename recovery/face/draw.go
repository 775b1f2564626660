package face

import (
	"image"
	"strconv"
	"strings"
	"unicode"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/display/palette"
	"github.com/choba-os/choba/drivers/display/text"
)

// Sizes in logical units.
const (
	gap  = 16
	barH = 56
	keyH = 92
)

type drawing struct {
	*list.List
	t *Theme
	p Page
	s State
}

// Draw describes the page for a screen of the theme's size.
func Draw(t *Theme, p Page, s State) *list.List {
	d := &drawing{list.New(t.scale), t, p, s}
	all := image.Rect(0, 0, t.lw, t.lh)
	if p.Fill != nil {
		d.Fill(all, *p.Fill)
		d.Hit(all, Anywhere)
		return d.List
	}
	d.Fill(all, palette.Ground)
	d.Hit(all, Anywhere)
	d.bar()
	body := image.Rect(gap, barH+gap, t.lw-gap, t.lh-gap)
	switch {
	case p.Field != nil:
		d.keypad(body)
	case p.Count != nil:
		d.split(body)
	case p.Menu:
		d.menu(body)
	default:
		d.card(d.withButtons(body))
	}
	for _, dot := range p.Dots {
		d.Round(paint.Rect(int(dot.X*float64(t.lw))-14, int(dot.Y*float64(t.lh))-14, 28, 28), 14, palette.Blue)
	}
	return d.List
}

// pair gives the working tongue first.
func (d *drawing) pair(w Words) (first, second string) {
	if d.s.English {
		return w.English, w.Japanese
	}
	return w.Japanese, w.English
}

func (d *drawing) bar() {
	d.Fill(image.Rect(0, 0, d.t.lw, barH), palette.Navy)
	d.Round(paint.Rect(gap, 12, 32, 32), 8, palette.Teal)
	d.Icon(paint.Register, gap+16, 28, 22, palette.White)
	x := d.Line(d.t.face(true, 22), "Choba", gap+44, 28, list.Left, palette.White)
	a, b := d.pair(Say("復旧", "Recovery"))
	x = d.Line(d.t.face(false, 20), a, x+16, 28, list.Left, palette.White)
	d.Line(d.t.face(false, 17), b, x+10, 28, list.Left, palette.Mist)
	word := "English"
	if d.s.English {
		word = "日本語"
	}
	r := image.Rect(d.t.lw-gap-112, 8, d.t.lw-gap, 48)
	d.Round(r, 20, palette.Pill)
	cx, cy := mid(r)
	d.Line(d.t.face(true, 17), word, cx, cy, list.Center, palette.White)
	d.Hit(image.Rect(r.Min.X-8, 0, d.t.lw, barH), Language)
}

// withButtons draws the buttons at the foot and returns the room above them.
func (d *drawing) withButtons(r image.Rectangle) image.Rectangle {
	if len(d.p.Buttons) == 0 {
		return r
	}
	row := image.Rect(r.Min.X, r.Max.Y-keyH, r.Max.X, r.Max.Y)
	n := len(d.p.Buttons)
	w := min((row.Dx()-gap*(n-1))/n, 440)
	x := row.Max.X - n*(w+gap) + gap
	for i, b := range d.p.Buttons {
		d.button(paint.Rect(x+i*(w+gap), row.Min.Y, w, row.Dy()), b, i)
	}
	return image.Rect(r.Min.X, r.Min.Y, r.Max.X, row.Min.Y-gap)
}

// body draws a button without its words.
func (d *drawing) body(r image.Rectangle, b Button, radius int) paintwork {
	c := b.Look.paintwork()
	if d.s.Focus == b.ID && !b.Off {
		d.Round(r.Inset(-5), radius+5, palette.Blue)
		d.Round(r.Inset(-2), radius+2, palette.White)
	}
	switch {
	case b.Off:
		c = paintwork{palette.Off, palette.Off, palette.OffInk, palette.OffInk, palette.Off, palette.OffInk}
		d.Round(r, radius, c.face)
		return c
	case d.s.Pressed == b.ID:
		d.Round(r, radius, c.down)
	default:
		d.Shadow(r, radius, 4, 2, palette.Shade)
		d.Round(r, radius, c.face)
	}
	d.Hit(r, b.ID)
	return c
}

// button is a key at the foot: words in both tongues, an icon when there is room.
func (d *drawing) button(r image.Rectangle, b Button, number int) {
	c := d.body(r, b, 14)
	x, y := mid(r)
	room := r.Dx() - 24
	first, second := d.pair(b.Words)
	large, small := d.t.sizes(true, 24, 22, 20, 18, 16, 15), d.t.sizes(false, 17, 16, 15, 14, 13)
	if b.Icon != paint.None && r.Dx() > 220 {
		room -= 48
		x += 24
		w := max(min(d.Width(large[0], first), room), min(d.Width(small[0], second), room))
		d.Icon(b.Icon, x-w/2-32, y, 32, c.text)
	}
	d.Label(first, x, y-14, room, list.Center, c.text, large...)
	d.Label(second, x, y+20, room, list.Center, c.sub, small...)
	if d.s.Focus != "" && !b.Off && number < 9 {
		d.Line(d.t.face(true, 15), strconv.Itoa(number+1), r.Max.X-16, r.Min.Y+16, list.Center, c.sub)
	}
}

// heading draws the page's icon, title and lead and returns the y below them.
func (d *drawing) heading(r image.Rectangle) int {
	strong, pale := d.p.Tone.colours()
	x := r.Min.X + 32
	d.Round(paint.Rect(x, r.Min.Y+28, 64, 64), 32, pale)
	d.Icon(d.p.Icon, x+32, r.Min.Y+60, 36, strong)
	first, second := d.pair(d.p.Title)
	room := r.Dx() - 32 - 64 - 20 - 24
	d.Label(first, x+84, r.Min.Y+48, room, list.Left, palette.Ink, d.t.sizes(true, 32, 30, 28, 26, 24, 22, 20)...)
	d.Label(second, x+84, r.Min.Y+80, room, list.Left, palette.Ink3, d.t.sizes(false, 19, 18, 17, 16, 15)...)
	return r.Min.Y + 112
}

// card is one sheet: heading, lead, bar, facts, notes, foot.
func (d *drawing) card(r image.Rectangle) {
	d.Shadow(r, 18, 10, 4, palette.Shade)
	d.Round(r, 18, palette.Panel)
	y := d.heading(r)
	in := image.Rect(r.Min.X+32, y, r.Max.X-32, r.Max.Y-16)
	if d.p.Lead != (Words{}) {
		in.Min.Y = d.flow(in, []Note{{Tone: Quiet, Words: d.p.Lead}}, 20, 14) + 8
	}
	if d.p.Bar != nil {
		in.Min.Y = d.progress(in)
	}
	in.Min.Y = d.facts(in)
	if d.p.Foot != nil {
		in.Max.Y = d.footer(image.Rect(r.Min.X, in.Min.Y, r.Max.X, r.Max.Y))
	}
	d.columns(in, d.p.Notes)
	if d.p.Keys != "" {
		d.Name(d.t.face(true, 40), d.p.Keys, (in.Min.X+in.Max.X)/2, in.Max.Y-60, in.Dx(), list.Center, palette.Ink)
	}
}

// footer is the line at the foot of a sheet; it returns where the room above ends.
func (d *drawing) footer(r image.Rectangle) int {
	const h = 76
	f := image.Rect(r.Min.X, r.Max.Y-h, r.Max.X, r.Max.Y)
	d.Round(f, 18, palette.Foot)
	d.Fill(image.Rect(f.Min.X, f.Min.Y, f.Max.X, f.Min.Y+20), palette.Foot)
	d.Fill(image.Rect(f.Min.X, f.Min.Y, f.Max.X, f.Min.Y+1), palette.Hair)
	strong, _ := d.p.Foot.Tone.colours()
	d.Icon(d.p.Foot.Icon, f.Min.X+52, f.Min.Y+h/2, 30, strong)
	first, second := d.pair(d.p.Foot.Words)
	room := f.Dx() - 84 - 24
	d.Label(first, f.Min.X+84, f.Min.Y+28, room, list.Left, palette.Ink, d.t.sizes(true, 20, 19, 18, 17, 16)...)
	d.Label(second, f.Min.X+84, f.Min.Y+54, room, list.Left, palette.Ink3, d.t.sizes(false, 16, 15, 14, 13)...)
	return f.Min.Y - 8
}

// columns sets notes; many of them in two columns, which keeps the type large.
func (d *drawing) columns(r image.Rectangle, notes []Note) {
	if len(notes) < 6 || r.Dx() < 700 {
		d.flow(r, notes, 21, 11)
		return
	}
	half := (len(notes) + 1) / 2
	left := image.Rect(r.Min.X, r.Min.Y, r.Min.X+(r.Dx()-32)/2, r.Max.Y)
	right := image.Rect(left.Max.X+32, r.Min.Y, r.Max.X, r.Max.Y)
	size := 19
	for size > 11 && max(d.set(left, notes[:half], size, false), d.set(right, notes[half:], size, false)) > r.Max.Y {
		size--
	}
	d.set(left, notes[:half], size, true)
	d.set(right, notes[half:], size, true)
}

// flow sets notes one below the other, in the largest type in which they have room,
// and returns the y below them.
func (d *drawing) flow(r image.Rectangle, notes []Note, size, least int) int {
	for size > least && d.set(r, notes, size, false) > r.Max.Y {
		size--
	}
	return d.set(r, notes, size, true)
}

func (d *drawing) set(r image.Rectangle, notes []Note, size int, draw bool) int {
	y := r.Min.Y
	for _, n := range notes {
		x := r.Min.X
		if n.Icon != paint.None {
			strong, _ := n.Tone.colours()
			if draw {
				d.Icon(n.Icon, x+size*6/10, y+size*7/10, size*12/10, strong)
			}
			x += size * 18 / 10
		}
		first, second := d.pair(n.Words)
		y = d.lines(d.t.face(false, size), first, x, y, r.Max.X-x, size*14/10, palette.Ink, draw)
		y = d.lines(d.t.face(false, size*8/10), second, x, y, r.Max.X-x, size*11/10, palette.Ink3, draw)
		if n.Detail != "" {
			f := d.t.face(false, max(size*7/10, 11))
			for _, l := range d.detail(f, n.Detail, r.Max.X-x, len(notes)) {
				if draw {
					d.Line(f, l, x, y+size/2, list.Left, palette.Ink3)
				}
				y += size
			}
		}
		y += size / 2
	}
	return y
}

// detail sets what a technician wants to know in one line, or in some more where there are few notes: the end of a
// cause says most.
func (d *drawing) detail(f *text.Face, s string, w, notes int) []string {
	const few, most = 2, 4
	s, room := oneLine(s), d.Room(w)
	lines := f.Wrap(s, room)
	if notes > few || len(lines) > most {
		return []string{f.Fit(s, room)}
	}
	return lines
}

// oneLine makes what a cause has inside fit for a screen.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ReplaceAll(s, "\n", "; "))
}

// lines sets a text in as many lines as it needs and returns the y below.
func (d *drawing) lines(f *text.Face, s string, x, y, w, h int, c paint.Color, draw bool) int {
	if s == "" {
		return y
	}
	for _, l := range d.paragraph(f, s, w) {
		if draw {
			d.Line(f, l, x, y+h/2, list.Left, c)
		}
		y += h
	}
	return y
}

// paragraph breaks a text into lines: sentences that fit stay whole when that costs
// no line, else lines of about the same length.
func (d *drawing) paragraph(f *text.Face, s string, w int) []string {
	room := d.Room(w)
	lines := f.Wrap(s, room)
	if len(lines) < 2 {
		return lines
	}
	if by := f.Wrap(strings.TrimSuffix(strings.NewReplacer("。", "。\n", ". ", ".\n").Replace(s), "\n"), room); len(by) <= len(lines) {
		return by
	}
	for narrow := room * 95 / 100; narrow > room/2; narrow = narrow * 95 / 100 {
		next := f.Wrap(s, narrow)
		if len(next) > len(lines) {
			break
		}
		lines = next
	}
	return lines
}
