package view

import (
	"fmt"
	"image"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
)

// banner says over everything, dialogs included, that this register lacks protection. It is never put away.
func (d *drawing) banner() {
	if d.v.Insecure == nil {
		return
	}
	r := d.at.banner
	d.Fill(r, amber)
	cy := (r.Min.Y + r.Max.Y) / 2
	first, second := words{d.v.Insecure.Text, d.v.Insecure.TextEn}.pair(d.en)
	d.Icon(paint.Warning, gap+11, cy, 22, white)
	x0, room := gap+32, r.Dx()-2*gap-32
	for size := 18; size >= 14; size-- {
		if d.Width(d.b(size), first)+24+d.Width(d.r(min(size, 15)-1), second) <= room {
			d.Line(d.b(size), first, x0, cy, list.Left, white)
			d.Line(d.r(min(size, 15)-1), second, r.Max.X-gap, cy, list.Right, white)
			return
		}
	}
	d.Label(first, x0, cy, room, list.Left, white, d.sizes(bold, 18, 17, 16, 15, 14)...)
}

// card is a notice on updates before it is drawn.
type card struct {
	icon         paint.Icon
	ground, sign paint.Color
	title        string
	text, small  []string
	bar          bool
	keys         []button
	share        int // the first key's part of the width in percent, when there are two
}

// Heights of a card's parts.
const (
	cardPad   = 16
	cardTitle = 26
	cardGap   = 4
	cardLine  = 24
	cardSmall = 20
	cardBar   = 22
	cardKey   = 56
	cardMax   = 4 // lines of text; no notice of the register's own has more
)

// updateCard draws what there is to say about updates at the foot of r, and gives the height that is left above it.
func (d *drawing) updateCard(r image.Rectangle) int {
	n, ok := d.ui.Update(d.v)
	if !ok {
		return r.Max.Y
	}
	box := image.Rect(r.Min.X+16, r.Min.Y, r.Max.X-16, r.Max.Y-14)
	c := d.cardOf(n, box.Dx()-2*cardPad-34)
	h := 2*cardPad + cardTitle + cardGap + cardLine*len(c.text) + cardSmall*len(c.small)
	if c.bar {
		h += cardBar
	}
	if len(c.keys) > 0 {
		h += cardKey + 12
	}
	box.Min.Y = box.Max.Y - h
	d.Round(box, 14, c.ground)
	x0, x1, y := box.Min.X+cardPad, box.Max.X-cardPad, box.Min.Y+cardPad+cardTitle/2
	d.Icon(c.icon, x0+12, y, 24, c.sign)
	room := x1 - x0 - 34
	if c.bar {
		percent := fmt.Sprintf("%d%%", n.Percent)
		d.Line(d.n(20), percent, x1, y, list.Right, ink)
		room -= d.Width(d.n(20), "100%") + 12
	}
	d.Label(c.title, x0+34, y, room, list.Left, ink, d.sizes(bold, 20, 18, 17, 16)...)
	y = d.cardText(c, x0+34, box.Min.Y+cardPad+cardTitle+cardGap)
	if c.bar {
		d.progress(image.Rect(x0+34, y+8, x1, y+16), n.Percent)
	}
	d.cardKeys(c, image.Rect(x0, box.Max.Y-cardPad-cardKey, x1, box.Max.Y-cardPad))
	return box.Min.Y
}

func (d *drawing) cardText(c card, x, y int) int {
	for _, s := range c.text {
		d.Line(d.r(17), s, x, y+cardLine/2, list.Left, ink2)
		y += cardLine
	}
	for _, s := range c.small {
		d.Line(d.r(14), s, x, y+cardSmall/2, list.Left, ink2)
		y += cardSmall
	}
	return y
}

func (d *drawing) progress(r image.Rectangle, percent int) {
	d.Round(r, r.Dy()/2, greyDown)
	if w := r.Dx() * min(max(percent, 0), 100) / 100; w >= r.Dy() {
		d.Round(paint.Rect(r.Min.X, r.Min.Y, w, r.Dy()), r.Dy()/2, blue)
	}
}

func (d *drawing) cardKeys(c card, r image.Rectangle) {
	x := r.Min.X
	for i, k := range c.keys {
		w := r.Max.X - x
		if i+1 < len(c.keys) {
			w = r.Dx() * c.share / 100
		}
		d.labelled(paint.Rect(x, r.Min.Y, w, r.Dy()), k.id, k.w, k.c, 18)
		x += w + small
	}
}

// cardOf turns a notice into a card with room for lines w wide.
func (d *drawing) cardOf(n api.UpdateNotice, w int) card {
	c := card{icon: paint.Warning, ground: amberPale, sign: amber, share: 50}
	c.title = words{n.Title, n.TitleEn}.in(d.en)
	c.text = d.clipped(words{n.Text, n.TextEn}.in(d.en), w)
	read := button{state.UpdateRead, wOK, plainKey}
	again := button{state.UpdateAgain, wUpdateAgain, plainKey}
	switch n.Phase {
	case api.UpdateLoading:
		c.icon, c.ground, c.sign, c.bar = paint.DownArrow, bluePale, blue, true
	case api.UpdateRestarting:
		c.icon, c.ground, c.sign = paint.Hourglass, bluePale, blue
	case api.UpdateReady:
		c.icon, c.ground, c.sign, c.share = paint.Check, bluePale, blue, 62
		if n.CanNow {
			c.keys = append(c.keys, button{state.UpdateAsk, wUpdateNow, blueKey})
		}
		if n.CanPostpone {
			c.keys = append(c.keys, button{state.UpdateLater, wUpdateLater, greyKey})
		}
	case api.UpdateNone:
		c.title, c.keys = wUpdateWarn.in(d.en), []button{read}
	default:
		if n.CanAgain {
			c.keys = append(c.keys, again)
		}
		c.keys = append(c.keys, read)
		if s := (words{n.Small, n.SmallEn}).in(d.en); s != "" {
			c.small = d.paragraph(d.r(14), s, w)
			c.small = c.small[:min(len(c.small), 2)]
		}
	}
	return c
}

// clipped is a text in at most cardMax lines; what is longer ends in an ellipsis.
func (d *drawing) clipped(s string, w int) []string {
	lines := d.paragraph(d.r(17), s, w)
	if len(lines) <= cardMax {
		return lines
	}
	lines = lines[:cardMax]
	last := []rune(lines[cardMax-1])
	for len(last) > 0 && d.Width(d.r(17), string(last)+"…") > w {
		last = last[:len(last)-1]
	}
	lines[cardMax-1] = string(last) + "…"
	return lines
}

// updatePanel asks before it restarts: a touch that went astray must not stop the shop for a minute.
func (d *drawing) updatePanel() {
	d.ask(paint.Note, bluePale, blue, wUpdateAsk.in(d.en), wUpdateText.in(d.en),
		button{state.Close, wUpdateNo, greyKey}, button{state.UpdateNow, wUpdateYes, blueKey})
}
