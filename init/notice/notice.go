// Package notice puts a few sentences on the register's screens when init cannot go on: what happened and what to do,
// in Japanese and English, standing still.
//
// It is not the register's screen and not recovery's page; it is used only when no service runs. The rule that keeps it
// small: one page, no colours to choose, everything always fits.
package notice

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/choba-os/choba/drivers/display"
	"github.com/choba-os/choba/drivers/display/fonts/message"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/display/text"
)

// Page is what is shown.
type Page struct {
	Title  string
	Lines  []string
	Detail string // for a technician, in smaller type
}

// Stopped is the page for a register whose boot ended before it could sell.
func Stopped(why error) Page {
	return Page{
		Title: "停止しました",
		Lines: []string{
			"このレジは起動できません。",
			"売上データは変更されていません。",
			"電源を切らずに、サポートに連絡してください。",
			"This register cannot start.",
			"Its sales data was not changed. Leave it on and call support.",
		},
		Detail: "choba-init: stop: " + why.Error(),
	}
}

// Paint fills the canvas with the page; the type shrinks until all of it fits.
func Paint(c *paint.Canvas, font *text.Font, p Page) {
	paper, ink, grey, alarm := paint.RGB(0xfbf7ef), paint.RGB(0x20242a), paint.RGB(0x676d76), paint.RGB(0xb3261e)
	const smallest = 10
	margin, bar := c.H/16, c.H/40
	size := c.H / 18
	for size > smallest && height(font, p, size, c.W-2*margin) > c.H-2*margin-bar {
		size--
	}
	c.Fill(c.Bounds(), paper)
	c.Fill(paint.Rect(0, 0, c.W, bar), alarm)
	y := bar + margin
	draw := func(s string, size int, col paint.Color) {
		face := text.NewFace(font, size, text.Style{})
		for _, l := range face.Wrap(s, c.W-2*margin) {
			face.Draw(c, l, margin, y+face.Ascent(), col)
			y += face.Ascent() + face.Descent()
		}
		y += size / 4
	}
	draw(p.Title, size*3/2, alarm)
	for _, l := range p.Lines {
		draw(l, size, ink)
	}
	draw(p.Detail, max(size*2/3, smallest), grey)
}

func height(font *text.Font, p Page, size, width int) (h int) {
	add := func(s string, size int) {
		face := text.NewFace(font, size, text.Style{})
		h += len(face.Wrap(s, width))*(face.Ascent()+face.Descent()) + size/4
	}
	add(p.Title, size*3/2)
	for _, l := range p.Lines {
		add(l, size)
	}
	add(p.Detail, size*2/3)
	return h
}

// Shown keeps the page on the screens until it is closed: the picture goes away with the card's file.
type Shown struct{ outputs []*display.Output }

// Close lets the page go.
func (s *Shown) Close() { runtime.KeepAlive(s) }

// Show lights every screen of every card with the page.
func Show(p Page) (*Shown, error) {
	s := &Shown{}
	font, err := message.Font()
	if err != nil {
		return s, fmt.Errorf("reading the typeface: %w", err)
	}
	cards, err := display.Cards()
	if err != nil {
		return s, err
	}
	var errs []error
	for _, card := range cards {
		outs, err := display.Open(card)
		errs = append(errs, err)
		for _, o := range outs {
			w, h := o.Size()
			c := paint.New(w, h)
			Paint(c, font, p)
			errs = append(errs, o.Show(c, nil))
			s.outputs = append(s.outputs, o)
		}
	}
	if len(s.outputs) == 0 {
		errs = append(errs, display.ErrNoScreen)
		return s, errors.Join(errs...)
	}
	return s, nil
}
