package list

import (
	"hash/maphash"
	"image"
	"math"
	"slices"

	"github.com/choba-os/choba/drivers/display/paint"
)

// maxRects is how many rectangles a repaint is split into at most.
const maxRects = 16

// slack is the pixels that may be painted needlessly to have one rectangle less.
const slack = 4096

// Painter keeps a picture up to date with a list. One goroutine owns it.
type Painter struct {
	canvas *paint.Canvas
	seed   maphash.Seed
	fresh  bool // nothing was painted yet
	ops    []Op
	prev   []uint64
	next   []uint64
	count  map[uint64]int
}

// NewPainter makes a painter with a canvas of its own.
func NewPainter(w, h int) *Painter {
	return &Painter{canvas: paint.New(w, h), seed: maphash.MakeSeed(), fresh: true, count: map[uint64]int{}}
}

// Canvas is the picture.
func (p *Painter) Canvas() *paint.Canvas { return p.canvas }

// Forget makes the next Paint repaint everything.
func (p *Painter) Forget() { p.fresh = true }

// Paint makes the canvas show l and returns the rectangles that changed.
func (p *Painter) Paint(l *List) []image.Rectangle {
	p.next = p.next[:0]
	for i := range l.Ops {
		p.next = append(p.next, maphash.Comparable(p.seed, l.Ops[i]))
	}
	damage := []image.Rectangle{p.canvas.Bounds()}
	if !p.fresh {
		damage = p.diff(l.Ops)
	}
	for _, r := range damage {
		p.canvas.Clip(r)
		for i := range l.Ops {
			if o := &l.Ops[i]; o.Bounds.Overlaps(r) {
				o.paint(p.canvas)
			}
		}
	}
	p.fresh = false
	p.ops = append(p.ops[:0], l.Ops...)
	p.prev, p.next = p.next, p.prev
	return damage
}

func (o *Op) paint(c *paint.Canvas) {
	switch o.Kind {
	case Fill:
		c.Fill(o.Shape, o.Color)
	case Round:
		c.Round(o.Shape, o.Radius, o.Color)
	case Shadow:
		c.Shadow(o.Shape, o.Radius, o.Blur, o.Origin.Y, o.Color)
	case Text:
		o.Face.Draw(c, o.Text, o.Origin.X, o.Origin.Y, o.Color)
	case Icon:
		c.Icon(o.Icon, o.Origin.X, o.Origin.Y, o.Shape.Dx(), o.Color)
	}
}

// diff gives the bounds of every Op that is only in one of the lists. When the Ops that are in both changed their order, which no
// screen does in practice, everything is damaged.
func (p *Painter) diff(ops []Op) []image.Rectangle {
	var damage []image.Rectangle
	kept := func(hashes []uint64, other []uint64, ops []Op) []uint64 {
		clear(p.count)
		for _, h := range other {
			p.count[h]++
		}
		var both []uint64
		for i, h := range hashes {
			if p.count[h] > 0 {
				p.count[h]--
				both = append(both, h)
			} else {
				damage = append(damage, ops[i].Bounds)
			}
		}
		return both
	}
	if !slices.Equal(kept(p.next, p.prev, ops), kept(p.prev, p.next, p.ops)) {
		return []image.Rectangle{p.canvas.Bounds()}
	}
	return merge(damage, p.canvas.Bounds())
}

func area(r image.Rectangle) int { return r.Dx() * r.Dy() }

// merge joins rectangles that overlap or lie close, until few are left.
func merge(in []image.Rectangle, all image.Rectangle) []image.Rectangle {
	var out []image.Rectangle
	slices.SortFunc(in, func(a, b image.Rectangle) int { return a.Min.Y - b.Min.Y })
	for _, r := range in {
		if r = r.Intersect(all); !r.Empty() {
			out = join(out, r)
		}
	}
	for len(out) > maxRects {
		i, j := cheapest(out)
		u := out[i].Union(out[j])
		out = slices.Delete(out, j, j+1)
		out = join(slices.Delete(out, i, i+1), u)
	}
	return out
}

// join adds r, swallowing every rectangle whose union with it wastes little.
func join(out []image.Rectangle, r image.Rectangle) []image.Rectangle {
	for i := 0; i < len(out); {
		u := out[i].Union(r)
		if area(u) > area(out[i])+area(r)+slack {
			i++
			continue
		}
		r, i = u, 0
		out = slices.DeleteFunc(out, func(o image.Rectangle) bool { return o.In(r) })
	}
	return append(out, r)
}

func cheapest(rs []image.Rectangle) (bi, bj int) {
	best := math.MaxInt
	for i := range rs {
		for j := i + 1; j < len(rs); j++ {
			if w := area(rs[i].Union(rs[j])) - area(rs[i]) - area(rs[j]); w < best {
				bi, bj, best = i, j, w
			}
		}
	}
	return bi, bj
}
