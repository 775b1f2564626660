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

var (
	paper = paint.RGB(0xfbf7ef)
	ink   = paint.RGB(0x20242a)
	grey  = paint.RGB(0x676d76)
	alarm = paint.RGB(0xb3261e)
)

// smallest is the least height of a line in pixels that can still be read.
const smallest = 10

// Paint fills the canvas with the page.
func Paint(c *paint.Canvas, font *text.Font, page Page) {
	margin := c.H / 16
	bar := c.H / 40
	size := c.H / 20
	for size > smallest && height(font, page, size, c.W-2*margin) > c.H-2*margin-bar {
		size--
	}
	c.Fill(c.Bounds(), paper)
	c.Fill(paint.Rect(0, 0, c.W, bar), alarm)
	y := bar + margin
	for _, p := range set(font, page, size, c.W-2*margin) {
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

func height(font *text.Font, page Page, size, width int) (h int) {
	for _, p := range set(font, page, size, width) {
		h += p.above + p.face.Ascent() + p.face.Descent()
	}
	return h
}

func set(font *text.Font, page Page, size, width int) (out []printed) {
	body := text.NewFace(font, size, text.Style{})
	style := map[Kind]printed{
		Title:  {face: text.NewFace(font, size*3/2, text.Style{}), colour: alarm},
		Body:   {face: body, colour: ink, above: size / 8},
		Lead:   {face: body, colour: ink, above: size * 3 / 4},
		Detail: {face: text.NewFace(font, max(size*2/3, smallest), text.Style{}), colour: grey, above: size / 8},
	}
	for _, l := range page {
		p := style[l.Kind]
		for _, p.line = range p.face.Wrap(l.Text, width) {
			out = append(out, p)
			p.above = 0
		}
	}
	return out
}

// Screens are the lit screens. The picture goes away with them: keep them until Close.
type Screens struct{ lit []*display.Output }

// Close lets the page go.
func (s *Screens) Close() { runtime.KeepAlive(s) }

// Show lights every screen of every card with the page. A screen that stays dark is
// an error and no reason to leave the others dark.
func (s *Screens) Show(page Page) error {
	font, err := message.Font()
	if err != nil {
		return fmt.Errorf("showing the page: %w", err)
	}
	cards, err := display.Cards()
	if err != nil {
		return fmt.Errorf("showing the page: %w", err)
	}
	var problems []error
	for _, card := range cards {
		outs, err := display.Open(card)
		problems = append(problems, err)
		for _, o := range outs {
			w, h := o.Size()
			c := paint.New(w, h)
			Paint(c, font, page)
			problems = append(problems, o.Show(c, nil))
			s.lit = append(s.lit, o)
		}
	}
	if len(cards) == 0 {
		problems = append(problems, display.ErrNoScreen)
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("showing the page: %w", err)
	}
	return nil
}
