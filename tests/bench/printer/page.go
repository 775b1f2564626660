package printer

import (
	"image"
	"image/color"
	"strings"
	"time"

	"golang.org/x/text/encoding/japanese"

	"github.com/choba-os/choba/drivers/escpos"
)

// Paper is a piece of paper.
type Paper struct {
	// Number counts the cut pieces from 1; 0 is the one that hangs.
	Number int
	At     time.Time
	// Text has a line for each row of print; a picture is [w×h].
	Text string
	// Image is 576 dots wide, black on white.
	Image *image.Gray
}

// headGap is the white that the next piece begins with: the knife is above the
// head. (A real printer's gap is larger; nobody wants to look at it.)
const headGap = 16

const (
	paperWidth  = 576
	paperStride = paperWidth / 8
	letterHigh  = 24
	columnWide  = 12
)

// mode is how the next letters look.
type mode struct {
	bold       bool
	wide, tall int // 1 to 8
}

// placed is a letter in the line that is being filled.
type placed struct {
	r       rune
	columns int
	mode    mode
}

// page is the paper between two cuts, and the print buffer of one line.
type page struct {
	font    escpos.Font
	rows    []byte
	text    strings.Builder
	line    []placed
	mode    mode
	align   int
	spacing int
	japan   bool
}

func newPage(font escpos.Font) page {
	g := page{font: font, rows: make([]byte, paperStride*headGap)}
	g.reset()
	return g
}

// reset is ESC @.
func (g *page) reset() {
	g.line, g.mode, g.align, g.spacing, g.japan = nil, mode{wide: 1, tall: 1}, 0, 30, false
}

func (g *page) forget() { g.reset() }

// do carries out a token that is about paper; it returns the dots fed.
func (g *page) do(t Token) (fed int) {
	d := t.Data
	switch t.Name {
	case "text":
		return g.letter(d)
	case "LF":
		return g.flush(g.spacing)
	case "ESC @":
		g.reset()
	case "ESC R":
		g.japan = d[0] == 8
	case "ESC a":
		g.align = int(d[0]) % 48 % 3
	case "ESC E", "ESC G":
		g.mode.bold = d[0]&1 == 1
	case "GS !":
		g.mode.wide, g.mode.tall = int(d[0]>>4&7)+1, int(d[0]&7)+1
	case "ESC 2":
		g.spacing = 30
	case "ESC 3":
		g.spacing = int(d[0])
	case "ESC J":
		return g.flush(0) + g.feed(int(d[0]))
	case "ESC d":
		return g.flush(0) + g.feed(int(d[0])*g.spacing)
	case "GS v 0":
		return g.picture(d)
	}
	return 0
}

// letter puts one into the line; a full line is printed first.
func (g *page) letter(b []byte) (fed int) {
	x := placed{columns: len(b), mode: g.mode}
	switch {
	case len(b) == 2:
		s, err := japanese.ShiftJIS.NewDecoder().Bytes(b)
		if x.r = '□'; err == nil {
			x.r = []rune(string(s))[0]
		}
	case b[0] == 0x5c && g.japan:
		x.r = '¥'
	case b[0] == 0x7e && g.japan:
		x.r = '‾'
	case b[0] >= 0xa1:
		x.r = '｡' + rune(b[0]-0xa1)
	default:
		x.r = rune(b[0])
	}
	if g.width()+x.width() > paperWidth {
		fed = g.flush(g.spacing)
	}
	g.line = append(g.line, x)
	return fed
}

func (x placed) width() int { return x.columns * columnWide * x.mode.wide }

func (g *page) width() int {
	w := 0
	for _, x := range g.line {
		w += x.width()
	}
	return w
}

// flush prints the line and feeds to at least spacing.
func (g *page) flush(spacing int) (fed int) {
	high := 0
	for _, x := range g.line {
		high = max(high, letterHigh*x.mode.tall)
	}
	pic := escpos.NewBitmap(paperWidth, high)
	left := (paperWidth - g.width()) * g.align / 2
	var text strings.Builder
	for _, x := range g.line {
		g.draw(pic, x, left, high)
		left += x.width()
		text.WriteRune(x.r)
	}
	if len(g.line) > 0 || spacing > 0 {
		g.text.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
	g.line = nil
	g.rows = append(g.rows, pic.Rows...)
	return high + g.feed(max(0, spacing-high))
}

func (g *page) draw(pic escpos.Bitmap, x placed, left, high int) {
	if g.font == nil {
		return
	}
	size := min(2, max(x.mode.wide, x.mode.tall))
	b, ok := g.font.Glyph(x.r, x.columns, size, x.mode.bold)
	if !ok {
		return
	}
	top := high - letterHigh*x.mode.tall
	for dy := range letterHigh * x.mode.tall {
		for dx := range x.width() {
			if b.Black(dx*size/x.mode.wide, dy*size/x.mode.tall) {
				pic.Set(left+dx, top+dy)
			}
		}
	}
}

// feed moves white paper.
func (g *page) feed(dots int) int {
	g.rows = append(g.rows, make([]byte, paperStride*dots)...)
	return dots
}

// picture prints GS v 0.
func (g *page) picture(d []byte) int {
	if len(d) < 5 {
		return 0
	}
	w, h := int(d[1])+int(d[2])<<8, int(d[3])+int(d[4])<<8
	d = d[5:]
	if w == 0 || h == 0 || len(d) < w*h {
		return 0
	}
	fed := g.flush(0)
	black := true
	for y := range h {
		row := d[y*w : (y+1)*w]
		for _, b := range row {
			black = black && b == 0xff
		}
		line := make([]byte, paperStride)
		copy(line, row)
		g.rows = append(g.rows, line...)
	}
	if black && w == paperStride && h <= 4 {
		g.text.WriteString(strings.Repeat("-", 48) + "\n")
	} else {
		g.text.WriteString("[picture]\n")
	}
	return fed + h
}

// paper is what is printed so far.
func (g *page) paper() Paper {
	h := len(g.rows) / paperStride
	img := image.NewGray(image.Rect(0, 0, paperWidth, h))
	pic := escpos.Bitmap{Width: paperWidth, Height: h, Rows: g.rows}
	for y := range h {
		for x := range paperWidth {
			img.SetGray(x, y, color.Gray{Y: 0xff})
			if pic.Black(x, y) {
				img.SetGray(x, y, color.Gray{})
			}
		}
	}
	return Paper{At: time.Now(), Text: g.text.String(), Image: img}
}

// tear takes the paper off.
func (g *page) tear(number int) Paper {
	p := g.paper()
	p.Number = number
	g.rows = make([]byte, paperStride*headGap)
	g.text.Reset()
	return p
}
