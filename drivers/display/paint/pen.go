package paint

import (
	"math"

	"golang.org/x/image/vector"
)

// pen adds paths in icon units. Filled paths wind clockwise, holes the other way (non-zero winding).
type pen struct {
	r *vector.Rasterizer
	k float32
}

func (p *pen) round(x, y, w, h, rad float32) {
	k := p.k
	x, y, w, h, rad = x*k, y*k, w*k, h*k, rad*k
	c := rad * (1 - arc)
	p.r.MoveTo(x+rad, y)
	p.r.LineTo(x+w-rad, y)
	p.r.CubeTo(x+w-c, y, x+w, y+c, x+w, y+rad)
	p.r.LineTo(x+w, y+h-rad)
	p.r.CubeTo(x+w, y+h-c, x+w-c, y+h, x+w-rad, y+h)
	p.r.LineTo(x+rad, y+h)
	p.r.CubeTo(x+c, y+h, x, y+h-c, x, y+h-rad)
	p.r.LineTo(x, y+rad)
	p.r.CubeTo(x, y+c, x+c, y, x+rad, y)
	p.r.ClosePath()
}

// hole cuts a round rectangle out of what lies under it.
func (p *pen) hole(x, y, w, h, rad float32) {
	k := p.k
	x, y, w, h, rad = x*k, y*k, w*k, h*k, rad*k
	c := rad * (1 - arc)
	p.r.MoveTo(x+rad, y)
	p.r.CubeTo(x+c, y, x, y+c, x, y+rad)
	p.r.LineTo(x, y+h-rad)
	p.r.CubeTo(x, y+h-c, x+c, y+h, x+rad, y+h)
	p.r.LineTo(x+w-rad, y+h)
	p.r.CubeTo(x+w-c, y+h, x+w, y+h-c, x+w, y+h-rad)
	p.r.LineTo(x+w, y+rad)
	p.r.CubeTo(x+w, y+c, x+w-c, y, x+w-rad, y)
	p.r.ClosePath()
}

// frame is a round rectangle with a line t thick.
func (p *pen) frame(x, y, w, h, rad, t float32) {
	p.round(x, y, w, h, rad)
	p.hole(x+t, y+t, w-2*t, h-2*t, max(0, rad-t))
}

func (p *pen) box(x, y, w, h float32) { p.round(x, y, w, h, 0) }

func (p *pen) disc(x, y, rad float32) { p.round(x-rad, y-rad, 2*rad, 2*rad, rad) }

func (p *pen) ring(x, y, rad, t float32) {
	p.disc(x, y, rad)
	p.hole(x-rad+t, y-rad+t, 2*(rad-t), 2*(rad-t), rad-t)
}

// arc is a stroke t thick around (cx, cy) from angle a0 to a1.
func (p *pen) arc(cx, cy, rad, t, a0, a1 float64) {
	const n = 24
	at := func(rad, a float64) (x, y float32) {
		return float32(cx+rad*math.Cos(a)) * p.k, float32(cy+rad*math.Sin(a)) * p.k
	}
	x, y := at(rad+t/2, a0)
	p.r.MoveTo(x, y)
	for i := 1; i <= n; i++ {
		x, y = at(rad+t/2, a0+(a1-a0)*float64(i)/n)
		p.r.LineTo(x, y)
	}
	for i := n; i >= 0; i-- {
		x, y = at(rad-t/2, a0+(a1-a0)*float64(i)/n)
		p.r.LineTo(x, y)
	}
	p.r.ClosePath()
}

// poly is a closed polygon of x, y, x, y, …
func (p *pen) poly(xy ...float32) {
	p.r.MoveTo(xy[0]*p.k, xy[1]*p.k)
	for i := 2; i < len(xy); i += 2 {
		p.r.LineTo(xy[i]*p.k, xy[i+1]*p.k)
	}
	p.r.ClosePath()
}
