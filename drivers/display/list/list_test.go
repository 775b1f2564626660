package list

import (
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/choba-os/choba/drivers/display/fonts/screen"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/display/text"
	"github.com/stretchr/testify/require"
)

// anything makes an Op of a random kind.
func anything(rng *rand.Rand, l *List, faces []*text.Face) {
	r := paint.Rect(rng.IntN(300)-20, rng.IntN(200)-20, rng.IntN(120), rng.IntN(90))
	c := paint.Color(rng.Uint32())
	switch rng.IntN(5) {
	case 0:
		l.Fill(r, c)
	case 1:
		l.Round(r, rng.IntN(30), c)
	case 2:
		l.Shadow(r, rng.IntN(20), rng.IntN(12), rng.IntN(6), c)
	case 3:
		l.Line(faces[rng.IntN(len(faces))], fmt.Sprint("合計¥", rng.IntN(10000), " fjÅ"), r.Min.X, r.Min.Y, Align(rng.IntN(3)), c)
	case 4:
		l.Icon(paint.Icon(rng.IntN(int(paint.Icons))), r.Min.X, r.Min.Y, rng.IntN(50), c)
	}
}

// Whatever is added, removed, changed or put into another order: repainting the difference gives the pixels of a full painting.
func TestDifferenceEqualsFull(t *testing.T) {
	f, _, err := screen.Fonts()
	require.NoError(t, err)
	faces := []*text.Face{text.NewFace(f, 13, text.Style{}), text.NewFace(f, 40, text.Style{Tabular: true})}
	rng := rand.New(rand.NewPCG(2, 3))
	l := New(1.2)
	inc, full := NewPainter(320, 240), NewPainter(320, 240)
	for step := range 600 {
		next := New(1.2)
		next.Fill(paint.Rect(0, 0, 320, 240), paint.RGB(0xffffff))
		if len(l.Ops) > 1 {
			next.Ops = append(next.Ops, l.Ops[1:]...)
		}
		n := len(next.Ops)
		switch {
		case n < 4 || rng.IntN(3) == 0:
			anything(rng, next, faces)
		case rng.IntN(2) == 0:
			next.Ops = slices.Delete(next.Ops, n-2, n-1)
		case rng.IntN(2) == 0:
			i, j := 1+rng.IntN(n-1), 1+rng.IntN(n-1)
			next.Ops[i], next.Ops[j] = next.Ops[j], next.Ops[i]
		default:
			next.Ops[1+rng.IntN(n-1)].Color = paint.Color(rng.Uint32())
		}
		l = next
		inc.Paint(l)
		full.Forget()
		full.Paint(l)
		require.True(t, slices.Equal(inc.Canvas().Pix, full.Canvas().Pix), "step %d", step)
	}
}

func TestNothingChangedPaintsNothing(t *testing.T) {
	p := NewPainter(50, 50)
	l := New(1)
	l.Fill(paint.Rect(0, 0, 50, 50), paint.RGB(1))
	require.Equal(t, []image.Rectangle{image.Rect(0, 0, 50, 50)}, p.Paint(l))
	require.Empty(t, p.Paint(l))
}

func TestMergeCoversEverything(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 5))
	all := image.Rect(0, 0, 2000, 2000)
	for range 300 {
		var in []image.Rectangle
		for range rng.IntN(80) {
			in = append(in, paint.Rect(rng.IntN(2100)-50, rng.IntN(2100)-50, rng.IntN(60), rng.IntN(60)))
		}
		out := merge(slices.Clone(in), all)
		require.LessOrEqual(t, len(out), maxRects)
		for _, r := range in {
			r = r.Intersect(all)
			require.True(t, r.Empty() || slices.ContainsFunc(out, func(o image.Rectangle) bool { return r.In(o) }), "%v in %v", r, out)
		}
		for _, o := range out {
			require.True(t, o.In(all))
		}
	}
}

func TestHits(t *testing.T) {
	l := New(2)
	l.Hit(paint.Rect(0, 0, 10, 10), "under")
	l.Hit(paint.Rect(5, 5, 10, 10), "over")
	require.Equal(t, "under", l.At(image.Pt(9, 9)))
	require.Equal(t, "over", l.At(image.Pt(10, 10)))
	require.Equal(t, "over", l.At(image.Pt(29, 29)))
	require.Empty(t, l.At(image.Pt(30, 29)))
}

func TestHairlinesSurviveScaling(t *testing.T) {
	l := New(0.3)
	l.Fill(paint.Rect(1, 1, 100, 1), paint.RGB(0))
	require.Equal(t, 1, l.Ops[0].Shape.Dy())
}

func TestLabelsShrinkThenSaySo(t *testing.T) {
	f, _, err := screen.Fonts()
	require.NoError(t, err)
	large, small := text.NewFace(f, 30, text.Style{}), text.NewFace(f, 15, text.Style{})
	l := New(1)
	l.Label("取引中止", 0, 0, 130, Left, 0, large, small)
	l.Label("取引中止", 0, 0, 70, Left, 0, large, small)
	require.Empty(t, l.Cuts)
	require.Equal(t, []*text.Face{large, small}, []*text.Face{l.Ops[0].Face, l.Ops[1].Face})
	l.Label("取引中止", 0, 0, 40, Left, 0, large, small)
	require.Equal(t, []string{"取引中止"}, l.Cuts)
	l.Name(small, "長い名前の商品", 0, 0, 40, Right, 0)
	require.Len(t, l.Cuts, 1, "names may be cut")
}
