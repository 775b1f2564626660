package escpos

// Font draws letters as dots.
type Font interface {
	// Glyph draws a letter 24 dots high and 12 dots a column wide; ok is false
	// when the font lacks it. size 2 asks for twice as many dots both ways.
	Glyph(r rune, columns, size int, bold bool) (g Bitmap, ok bool)
}

// Bitmap is a picture in black and white, rows padded to whole bytes, the
// leftmost dot in the highest bit.
type Bitmap struct {
	Width, Height int
	Rows          []byte
}

// NewBitmap is a white one.
func NewBitmap(width, height int) Bitmap {
	return Bitmap{Width: width, Height: height, Rows: make([]byte, stride(width)*height)}
}

func stride(width int) int { return (width + 7) / 8 }

// Black tells whether a dot is black; outside of the picture all is white.
func (b Bitmap) Black(x, y int) bool {
	if x < 0 || y < 0 || x >= b.Width || y >= b.Height {
		return false
	}
	return b.Rows[y*stride(b.Width)+x/8]>>(7-x%8)&1 == 1
}

// Set makes a dot black; outside of the picture it does nothing.
func (b Bitmap) Set(x, y int) {
	if x < 0 || y < 0 || x >= b.Width || y >= b.Height {
		return
	}
	b.Rows[y*stride(b.Width)+x/8] |= 0x80 >> (x % 8)
}

const (
	columnDots = 12
	ruleGap    = 12
	ruleDots   = 2
)

// rule draws a line across the whole paper, with white around it.
func rule() []byte {
	p := NewBitmap(Dots, ruleDots)
	for i := range p.Rows {
		p.Rows[i] = 0xff
	}
	b := []byte{0x1b, 0x4a, ruleGap - leading}
	b = append(b, raster(p)...)
	return append(b, 0x1b, 0x4a, ruleGap)
}

// raster encodes a picture (GS v 0, the form that all makers know). Printers
// look for real-time commands in everything that comes in, pictures too, and
// would act on them; so dots are added where three of them would form one.
func raster(p Bitmap) []byte {
	w := stride(p.Width)
	b := []byte{0x1d, 0x76, 0x30, 0x00, byte(w), byte(w >> 8), byte(p.Height), byte(p.Height >> 8)}
	return append(b, harmless(p.Rows)...)
}

// harmless returns the rows without DLE followed by EOT, ENQ or DC4: the DLE
// gets one more dot (0x10 becomes 0x18).
func harmless(rows []byte) []byte {
	out := append([]byte(nil), rows...)
	for i := 0; i+1 < len(out); i++ {
		if out[i] != 0x10 {
			continue
		}
		switch out[i+1] {
		case 0x04, 0x05, 0x14:
			out[i] = 0x18
		}
	}
	return out
}

// picture draws a row that has letters which the ROM lacks, letter by letter
// in the same columns as print has, so that amounts stay under each other.
func (p Paper) picture(r row, l Line) []byte {
	sx, sy := 1, 1
	if l.Wide {
		sx = 2
	}
	if l.Tall {
		sy = 2
	}
	pic := NewBitmap(Dots, letterHeight*sy+leading)
	x := (Dots - columnsOf(r.letters)*columnDots*sx) * r.align / 2
	for _, c := range r.letters {
		p.glyph(pic, c, x, sx, sy, l.Bold)
		x += c.columns * columnDots * sx
	}
	return raster(pic)
}

// glyph draws one letter, stretched by sx and sy.
func (p Paper) glyph(pic Bitmap, c letter, x, sx, sy int, bold bool) {
	size := max(sx, sy)
	g, ok := p.Font.Glyph(c.r, c.columns, size, bold)
	if !ok {
		m := missing(c.columns)
		if g, ok = p.Font.Glyph(m.r, m.columns, size, bold); !ok {
			return
		}
	}
	for dy := range letterHeight * sy {
		for dx := range c.columns * columnDots * sx {
			if g.Black(dx*size/sx, dy*size/sy) {
				pic.Set(x+dx, dy)
			}
		}
	}
}
