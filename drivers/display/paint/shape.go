package paint

import (
	"image"
	"math"

	"golang.org/x/image/vector"
)

// arc is the control point distance that makes a cubic curve a quarter of a circle.
const arc = 0.5522847

// corner gives the coverage of the upper left quarter of a disc.
func (c *Canvas) corner(rad int) *image.Alpha {
	if m, ok := c.corners[rad]; ok {
		return m
	}
	ras, f := vector.NewRasterizer(rad, rad), float32(rad)
	ras.MoveTo(f, f)
	ras.LineTo(0, f)
	ras.CubeTo(0, f-arc*f, f-arc*f, 0, f, 0)
	ras.ClosePath()
	m := image.NewAlpha(image.Rect(0, 0, rad, rad))
	ras.Draw(m, m.Rect, image.Opaque, image.Point{})
	c.corners[rad] = m
	return m
}

// Round paints a rectangle with round corners; a radius too large for it is made to fit.
func (c *Canvas) Round(r image.Rectangle, rad int, col Color) {
	rad = min(rad, r.Dx()/2, r.Dy()/2)
	if rad <= 0 {
		c.Fill(r, col)
		return
	}
	c.Fill(image.Rect(r.Min.X+rad, r.Min.Y, r.Max.X-rad, r.Min.Y+rad), col)
	c.Fill(image.Rect(r.Min.X, r.Min.Y+rad, r.Max.X, r.Max.Y-rad), col)
	c.Fill(image.Rect(r.Min.X+rad, r.Max.Y-rad, r.Max.X-rad, r.Max.Y), col)
	m := c.corner(rad)
	for _, flip := range [4][2]bool{{false, false}, {true, false}, {false, true}, {true, true}} {
		at := r.Min
		if flip[0] {
			at.X = r.Max.X - rad
		}
		if flip[1] {
			at.Y = r.Max.Y - rad
		}
		c.quarter(m, at, flip[0], flip[1], col)
	}
}

func (c *Canvas) quarter(m *image.Alpha, at image.Point, flipX, flipY bool, col Color) {
	rad := m.Rect.Dx()
	r := Rect(at.X, at.Y, rad, rad).Intersect(c.clip)
	s, ca := uint32(col)&0xffffff, opacity(uint32(col>>24))
	for y := r.Min.Y; y < r.Max.Y; y++ {
		my := y - at.Y
		if flipY {
			my = rad - 1 - my
		}
		row := c.Pix[y*c.W:][:c.W]
		for x := r.Min.X; x < r.Max.X; x++ {
			mx := x - at.X
			if flipX {
				mx = rad - 1 - mx
			}
			if a := uint32(m.Pix[my*m.Stride+mx]); a != 0 {
				row[x] = blend(row[x], s, opacity(a)*ca>>8)
			}
		}
	}
}

type shadowKey struct{ rad, blur int }

// tile gives the upper left corner of a blurred round rectangle, n × n: a distance field smoothed over 2·blur.
func (c *Canvas) tile(rad, blur int) (t []uint8, n int) {
	n = rad + 2*blur
	k := shadowKey{rad, blur}
	if t, ok := c.shadows[k]; ok {
		return t, n
	}
	t = make([]uint8, n*n)
	for y := range n {
		for x := range n {
			d := math.Hypot(float64(n-x)-0.5, float64(n-y)-0.5) - float64(rad+blur)
			v := min(max(0.5-d/float64(2*blur), 0), 1)
			t[y*n+x] = uint8(v*v*(3-2*v)*255 + .5)
		}
	}
	c.shadows[k] = t
	return t, n
}

// ShadowBounds is the part of the picture that Shadow may touch.
func ShadowBounds(r image.Rectangle, blur, dy int) image.Rectangle {
	return r.Inset(-blur).Add(image.Pt(0, dy))
}

// Shadow paints the soft shadow of a round rectangle, dy lower than it. The shape itself is painted over it by the caller; what
// it will cover for certain is left out.
func (c *Canvas) Shadow(r image.Rectangle, rad, blur, dy int, col Color) {
	if blur <= 0 || r.Empty() {
		return
	}
	t, n := c.tile(rad, blur)
	o := ShadowBounds(r, blur, dy)
	clip := o.Intersect(c.clip)
	covered := r.Inset(rad)
	s, ca := uint32(col)&0xffffff, opacity(uint32(col>>24))
	for y := clip.Min.Y; y < clip.Max.Y; y++ {
		ty := min(y-o.Min.Y, o.Max.Y-1-y, n-1)
		row := c.Pix[y*c.W:][:c.W]
		skip := y >= covered.Min.Y && y < covered.Max.Y
		for x := clip.Min.X; x < clip.Max.X; x++ {
			if skip && x >= covered.Min.X && x < covered.Max.X {
				x = covered.Max.X - 1
				continue
			}
			tx := min(x-o.Min.X, o.Max.X-1-x, n-1)
			if a := uint32(t[ty*n+tx]); a != 0 {
				row[x] = blend(row[x], s, opacity(a)*ca>>8)
			}
		}
	}
}
