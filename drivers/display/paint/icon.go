package paint

import (
	"image"
	"math"

	"golang.org/x/image/vector"
)

// Icon is a small picture made of paths on a 24 × 24 grid.
type Icon uint8

// The icons there are. None draws nothing.
const (
	None Icon = iota
	Register
	Person
	Printer
	Barcode
	Drawer
	Lock
	Cash
	Card
	Wave
	Code2D
	Ticket
	Check
	Cross
	Warning
	Note
	Backspace
	Bin
	Minus
	Plus
	Up
	DownArrow
	Hourglass
	Icons // how many there are
)

type iconKey struct {
	icon Icon
	size int
}

// Icon paints an icon size pixels square with its upper left corner at (x, y).
func (c *Canvas) Icon(i Icon, x, y, size int, col Color) {
	if i == None || i >= Icons || size <= 0 {
		return
	}
	k := iconKey{i, size}
	m, ok := c.icons[k]
	if !ok {
		m = image.NewAlpha(image.Rect(0, 0, size, size))
		p := &pen{r: vector.NewRasterizer(size, size), k: float32(size) / 24}
		iconPaths(i)(p)
		p.r.Draw(m, m.Rect, image.Opaque, image.Point{})
		c.icons[k] = m
	}
	c.Mask(m, x, y, col)
}

func iconPaths(i Icon) func(p *pen) {
	return [...]func(p *pen){
		Register: drawRegister, Person: drawPerson, Printer: drawPrinter, Barcode: drawBarcode, Drawer: drawDrawer, Lock: drawLock,
		Cash: drawCash, Card: drawCard, Wave: drawWave, Code2D: drawCode2D, Ticket: drawTicket, Check: drawCheck, Cross: drawCross,
		Warning: drawWarning, Note: drawNote, Backspace: drawBackspace, Bin: drawBin, Minus: drawMinus, Plus: drawPlus,
		Up: drawUp, DownArrow: drawDown, Hourglass: drawHourglass,
	}[i]
}

func drawRegister(p *pen) {
	p.frame(7, 1.5, 13, 6.5, 1.2, 1.8)
	p.box(12.6, 7, 1.8, 3)
	p.poly(4.5, 9.5, 19.5, 9.5, 21.5, 16.5, 2.5, 16.5)
	p.round(2, 17.8, 20, 4.7, 1.2)
}

func drawPerson(p *pen) {
	p.disc(12, 8, 4.3)
	p.arc(12, 21.5, 5.2, 5.2, -math.Pi, 0)
}

func drawPrinter(p *pen) {
	p.frame(2, 8, 20, 9.5, 1.8, 1.8)
	p.frame(6, 2.2, 12, 7.4, 1, 1.8)
	p.round(6, 13, 12, 9, 1)
}

func drawBarcode(p *pen) {
	for _, b := range [][2]float32{{2, 2}, {5.5, 1}, {8, 2.6}, {12, 1}, {14.4, 2}, {18, 1}, {20.4, 1.8}} {
		p.box(b[0], 4, b[1], 16)
	}
}

func drawDrawer(p *pen) {
	p.frame(2, 4.5, 20, 6.5, 1.4, 1.8)
	p.poly(3.2, 12.6, 20.8, 12.6, 22.6, 19.6, 1.4, 19.6)
	p.hole(9, 14.6, 6, 2.2, 1.1)
}

func drawLock(p *pen) {
	p.round(4.5, 10.5, 15, 11, 2)
	p.arc(12, 10.5, 4.6, 2, -math.Pi, 0)
}

func drawCash(p *pen) {
	p.frame(1.5, 5.5, 21, 13, 2, 1.8)
	p.ring(12, 12, 3.3, 1.7)
	p.disc(5.8, 12, 1.1)
	p.disc(18.2, 12, 1.1)
}

func drawCard(p *pen) {
	p.frame(1.5, 4.5, 21, 15, 2.4, 1.8)
	p.box(2.5, 8, 19, 3.2)
	p.round(5.5, 14.4, 5, 1.8, .9)
}

func drawWave(p *pen) {
	p.disc(5.2, 12, 2)
	for i := range 3 {
		p.arc(4, 12, 7+float64(i)*4.4, 1.9, -0.72, 0.72)
	}
}

func drawCode2D(p *pen) {
	for _, q := range [][2]float32{{2, 2}, {14, 2}, {2, 14}} {
		p.frame(q[0], q[1], 8, 8, 1, 1.7)
		p.box(q[0]+3, q[1]+3, 2, 2)
	}
	for _, q := range [][2]float32{{14, 14}, {19.4, 14}, {16.7, 16.7}, {14, 19.4}, {19.4, 19.4}} {
		p.box(q[0], q[1], 2.6, 2.6)
	}
}

func drawTicket(p *pen) {
	p.frame(1.5, 6, 21, 12, 1.6, 1.8)
	for _, y := range []float32{8.6, 11.1, 13.6} {
		p.box(14.6, y, 1.6, 1.6)
	}
	p.round(5, 11, 6.6, 2, 1)
}

func drawCheck(p *pen) { p.poly(4, 12.4, 6.2, 10.2, 10, 14, 18.2, 5.8, 20.4, 8, 10, 18.4) }

func drawCross(p *pen) {
	p.poly(6.2, 4, 12, 9.8, 17.8, 4, 20, 6.2, 14.2, 12, 20, 17.8, 17.8, 20, 12, 14.2, 6.2, 20, 4, 17.8, 9.8, 12, 4, 6.2)
}

func drawWarning(p *pen) {
	p.poly(12, 1.8, 23.2, 21.6, 0.8, 21.6)
	p.hole(10.9, 8.6, 2.2, 7, 1.1)
	p.hole(10.8, 17, 2.4, 2.4, 1.2)
}

func drawNote(p *pen) {
	p.disc(12, 12, 10.4)
	p.hole(10.9, 10.4, 2.2, 7.2, 1.1)
	p.hole(10.8, 6.4, 2.4, 2.4, 1.2)
}

func drawBackspace(p *pen) {
	p.poly(8, 5, 22.5, 5, 22.5, 19, 8, 19, 1.5, 12)
	// the cross winds the other way, which makes it a hole
	p.poly(12.2, 8.6, 11.1, 9.7, 13.4, 12, 11.1, 14.3, 12.2, 15.4, 14.5, 13.1, 16.8, 15.4, 17.9, 14.3, 15.6, 12, 17.9, 9.7, 16.8, 8.6, 14.5, 10.9)
}

func drawBin(p *pen) {
	p.round(3.5, 5, 17, 2, 1)
	p.frame(8.5, 2.2, 7, 4, 1, 1.7)
	p.poly(5.2, 8.4, 18.8, 8.4, 17.8, 21.8, 6.2, 21.8)
	p.hole(9, 11, 1.6, 8, .8)
	p.hole(13.4, 11, 1.6, 8, .8)
}

func drawMinus(p *pen) { p.round(4, 10.6, 16, 2.8, 1.4) }

func drawPlus(p *pen) {
	p.poly(10.6, 4.4, 13.4, 4.4, 13.4, 10.6, 19.6, 10.6, 19.6, 13.4, 13.4, 13.4, 13.4, 19.6, 10.6, 19.6, 10.6, 13.4, 4.4, 13.4, 4.4, 10.6, 10.6, 10.6)
}

func drawUp(p *pen) { p.poly(12, 6, 21, 15.4, 18.8, 17.6, 12, 10.4, 5.2, 17.6, 3, 15.4) }

func drawDown(p *pen) { p.poly(12, 18, 3, 8.6, 5.2, 6.4, 12, 13.6, 18.8, 6.4, 21, 8.6) }

func drawHourglass(p *pen) {
	p.round(4, 1.5, 16, 2.4, 1.2)
	p.round(4, 20.1, 16, 2.4, 1.2)
	p.poly(6, 4.6, 18, 4.6, 13.2, 12, 18, 19.4, 6, 19.4, 10.8, 12)
}
