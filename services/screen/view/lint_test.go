package view_test

import (
	"fmt"
	"image"
	"math"
	"testing"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/services/screen/state"
	"github.com/choba-os/choba/services/screen/view"
	"github.com/stretchr/testify/require"
)

// everyPicture calls fn for every sample in both languages at the three sizes, cashier's and customer's.
func everyPicture(t *testing.T, fn func(t *testing.T, l *list.List, w, h int)) {
	for _, size := range sizes() {
		w, h := size[0], size[1]
		theme, err := view.NewTheme(w, h)
		require.NoError(t, err)
		for _, s := range samples() {
			for _, lang := range []state.Lang{state.Japanese, state.English} {
				s.ui.Lang = lang
				t.Run(fmt.Sprintf("%s-%s-%d", s.name, lang, w), func(t *testing.T) { fn(t, view.Draw(theme, s.v, s.ui, w, h), w, h) })
				t.Run(fmt.Sprintf("customer-%s-%s-%d", s.name, lang, w), func(t *testing.T) { fn(t, view.Customer(theme, s.v, s.ui, w, h), w, h) })
			}
		}
	}
}

// onTop drops what lies under the last dialog's shade.
func onTop(l *list.List, w, h int) []list.Op {
	from := 0
	for i, o := range l.Ops {
		if o.Kind == list.Fill && o.Shape == image.Rect(0, 0, w, h) {
			from = i
		}
	}
	return l.Ops[from:]
}

// A23: the screen renders all states. No label of our own is cut, no text leaves the screen or runs into another.
func TestNothingIsCut(t *testing.T) {
	everyPicture(t, func(t *testing.T, l *list.List, w, h int) {
		require.Empty(t, l.Cuts)
		var texts []list.Op
		for _, o := range onTop(l, w, h) {
			if o.Kind != list.Text || o.Text == "" {
				continue
			}
			require.True(t, o.Shape.In(image.Rect(0, 0, w, h)), "%q leaves the screen: %v", o.Text, o.Shape)
			for _, p := range texts {
				require.False(t, o.Shape.Overlaps(p.Shape) && !covered(l, p, o), "%q runs into %q", o.Text, p.Text)
			}
			texts = append(texts, o)
		}
	})
}

// covered tells whether an opaque shape was painted over all of p before o came.
func covered(l *list.List, p, o list.Op) bool {
	after := false
	for _, q := range l.Ops {
		switch {
		case q == p:
			after = true
		case q == o:
			return false
		case after && (q.Kind == list.Fill || q.Kind == list.Round) && q.Color>>24 == 255 && p.Shape.In(q.Shape.Inset(q.Radius/4)):
			return true
		}
	}
	return false
}

// Every text stands on its ground with a contrast of at least 4.5 (WCAG 2.2, 1.4.3).
func TestContrast(t *testing.T) {
	everyPicture(t, func(t *testing.T, l *list.List, w, h int) {
		ops := onTop(l, w, h)
		for i, o := range ops {
			if o.Kind != list.Text || o.Text == "" || o.Text == "¥" { // the pale ¥ of an empty field says nothing by itself
				continue
			}
			under := paint.Color(0)
			for _, q := range ops[:i] {
				if (q.Kind == list.Fill || q.Kind == list.Round) && q.Color>>24 == 255 && o.Shape.Inset(1).In(q.Shape) {
					under = q.Color
				}
			}
			require.NotZero(t, under, "%q stands on no single ground", o.Text)
			c := contrast(o.Color, under)
			require.GreaterOrEqual(t, c, 4.5, "%q: %06x on %06x", o.Text, o.Color, under)
		}
	})
}

func contrast(a, b paint.Color) float64 {
	x, y := luminance(a), luminance(b)
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}

func luminance(c paint.Color) float64 {
	part := func(shift int) float64 {
		v := float64(c>>shift&0xff) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}

// Fingers need room: every place is at least 40 pixels high and wide, and none lies outside the screen.
func TestTargetsAreLarge(t *testing.T) {
	everyPicture(t, func(t *testing.T, l *list.List, w, h int) {
		for _, hit := range l.Hits {
			require.GreaterOrEqual(t, min(hit.Area.Dx(), hit.Area.Dy()), 40, hit.ID)
			require.False(t, hit.Area.Intersect(image.Rect(0, 0, w, h)).Empty(), hit.ID)
		}
	})
}
