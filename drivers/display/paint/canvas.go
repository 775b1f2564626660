// Package paint puts colour into a picture in memory: rectangles, rounded rectangles, soft shadows, masks and icons.
//
// It knows no text (package text draws through Canvas.Mask), no display (package display copies a canvas out) and no widgets.
// Rule that keeps it small: every shape is a few loops over coverage, clipped to one rectangle, and gives the same pixels whatever
// the clip, because package list repaints parts of a picture and they must join without a seam.
package paint

import (
	"image"
	"image/color"
)

// Color is 0xAARRGGBB, not premultiplied.
type Color uint32

// RGB gives an opaque colour from 0xRRGGBB.
func RGB(v uint32) Color { return Color(0xff000000 | v&0xffffff) }

// Alpha gives the same colour with another opacity.
func (c Color) Alpha(a uint8) Color { return c&0x00ffffff | Color(a)<<24 }

// RGBA implements color.Color.
func (c Color) RGBA() (r, g, b, a uint32) {
	return color.NRGBA{R: uint8(c >> 16), G: uint8(c >> 8), B: uint8(c), A: uint8(c >> 24)}.RGBA()
}

// Rect gives a rectangle by corner and size.
func Rect(x, y, w, h int) image.Rectangle { return image.Rect(x, y, x+w, y+h) }

// Canvas is a picture in ordinary memory, 0x00RRGGBB a pixel (DRM's XR24), rows without padding. One goroutine owns it.
type Canvas struct {
	W, H int
	Pix  []uint32

	clip    image.Rectangle
	corners map[int]*image.Alpha
	shadows map[shadowKey][]uint8
	icons   map[iconKey]*image.Alpha
}

// New makes a black canvas.
func New(w, h int) *Canvas {
	return &Canvas{
		W: w, H: h, Pix: make([]uint32, w*h), clip: image.Rect(0, 0, w, h),
		corners: map[int]*image.Alpha{}, shadows: map[shadowKey][]uint8{}, icons: map[iconKey]*image.Alpha{},
	}
}

// Bounds is the whole picture.
func (c *Canvas) Bounds() image.Rectangle { return image.Rect(0, 0, c.W, c.H) }

// Clip limits all drawing to r until the next call.
func (c *Canvas) Clip(r image.Rectangle) { c.clip = r.Intersect(c.Bounds()) }

// blend mixes s over d with opacity a of 0…256.
func blend(d, s, a uint32) uint32 {
	rb, g := d&0xff00ff, d&0x00ff00
	rb += ((s&0xff00ff - rb) * a) >> 8
	g += ((s&0x00ff00 - g) * a) >> 8
	return rb&0xff00ff | g&0x00ff00
}

// opacity spreads 0…255 to 0…256, so that full is full.
func opacity(a uint32) uint32 { return a + a>>7 }

// Fill paints a rectangle.
func (c *Canvas) Fill(r image.Rectangle, col Color) {
	r = r.Intersect(c.clip)
	if r.Empty() {
		return
	}
	a, s := opacity(uint32(col>>24)), uint32(col)&0xffffff
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := c.Pix[y*c.W+r.Min.X:][:r.Dx()]
		if a == 256 {
			for i := range row {
				row[i] = s
			}
			continue
		}
		for i, d := range row {
			row[i] = blend(d, s, a)
		}
	}
}

// Mask paints col through the coverage m, whose upper left corner goes to (x, y).
func (c *Canvas) Mask(m *image.Alpha, x, y int, col Color) {
	r := Rect(x, y, m.Rect.Dx(), m.Rect.Dy()).Intersect(c.clip)
	if r.Empty() {
		return
	}
	s, ca := uint32(col)&0xffffff, opacity(uint32(col>>24))
	for py := r.Min.Y; py < r.Max.Y; py++ {
		src := m.Pix[(py-y)*m.Stride+r.Min.X-x:][:r.Dx()]
		dst := c.Pix[py*c.W+r.Min.X:][:r.Dx()]
		for i, cov := range src {
			if cov != 0 {
				dst[i] = blend(dst[i], s, opacity(uint32(cov))*ca>>8)
			}
		}
	}
}

// Image gives a copy for tests, pictures and the page of the bench.
func (c *Canvas) Image() *image.RGBA {
	m := image.NewRGBA(c.Bounds())
	for i, p := range c.Pix {
		q := m.Pix[4*i:][:4]
		q[0], q[1], q[2], q[3] = uint8(p>>16), uint8(p>>8), uint8(p), 255
	}
	return m
}
