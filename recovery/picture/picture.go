// Package picture sets recovery's page in type: one picture that stands still.
//
// It is not the register's screen: no touch, no list of damage, one typeface.
//
// The rule that keeps it small: everything on the page is always visible; when it
// does not fit, the type gets smaller, and nothing is cut.
package picture

import (
	"errors"
	"fmt"

	"github.com/choba-os/choba/drivers/display"
	"github.com/choba-os/choba/drivers/display/fonts/message"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/display/text"
	"github.com/choba-os/choba/recovery/explain"
)

var (
	paper = paint.RGB(0xfbf7ef)
	ink   = paint.RGB(0x20242a)
	grey  = paint.RGB(0x676d76)
	alarm = paint.RGB(0xb3261e)
)

// smallest is the least height of a line in pixels that can still be read.
const smallest = 10

// Paint fills the canvas with the lines.
func Paint(c *paint.Canvas, font *text.Font, lines []explain.Line) {
	margin := c.H / 16
	bar := c.H / 40
	size := c.H / 22
	for size > smallest && height(font, lines, size, c.W-2*margin) > c.H-2*margin-bar {
		size--
	}
	c.Fill(c.Bounds(), paper)
	c.Fill(paint.Rect(0, 0, c.W, bar), alarm)
	y := bar + margin
	for _, p := range set(font, lines, size, c.W-2*margin) {
		y += p.above
		p.face.Draw(c, p.line, margin, y+p.face.Ascent(), p.colour)
		y += p.face.Ascent() + p.face.Descent()
	}
}

// printed is one line of type.
type printed struct {
	line   string
	face   *text.Face
	colour paint.Color
	above  int // pixels between this line and the one before
}

func height(font *text.Font, lines []explain.Line, size, width int) (h int) {
	for _, p := range set(font, lines, size, width) {
		h += p.above + p.face.Ascent() + p.face.Descent()
	}
	return h
}

func set(font *text.Font, lines []explain.Line, size, width int) (out []printed) {
	body := text.NewFace(font, size, text.Style{})
	style := map[explain.Kind]printed{
		explain.Title:  {face: text.NewFace(font, size*3/2, text.Style{}), colour: alarm},
		explain.Body:   {face: body, colour: ink, above: size / 8},
		explain.Lead:   {face: body, colour: ink, above: size * 3 / 4},
		explain.Detail: {face: text.NewFace(font, max(size*2/3, smallest), text.Style{}), colour: grey, above: size / 8},
	}
	for _, l := range lines {
		p := style[l.Kind]
		for _, p.line = range p.face.Wrap(l.Text, width) {
			out = append(out, p)
			p.above = 0
		}
	}
	return out
}

// Screens are the lit screens; the picture goes away with them.
type Screens struct{ lit []*display.Output }

// Show lights every screen of every card with the lines.
func (s *Screens) Show(lines []explain.Line) error {
	font, err := message.Font()
	if err != nil {
		return err
	}
	cards, err := display.Cards()
	if err != nil {
		return err
	}
	if len(cards) == 0 {
		return fmt.Errorf("showing the page: %w", display.ErrNoScreen)
	}
	var problems []error
	for _, card := range cards {
		outs, err := display.Open(card)
		problems = append(problems, err)
		for _, o := range outs {
			w, h := o.Size()
			c := paint.New(w, h)
			Paint(c, font, lines)
			problems = append(problems, o.Show(c, nil))
			s.lit = append(s.lit, o)
		}
	}
	return errors.Join(problems...)
}
