package view_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
	"github.com/choba-os/choba/services/screen/view"
	"github.com/stretchr/testify/require"
)

// mutate changes one thing that a screen shows.
func mutate(rng *rand.Rand, i int, v *api.View, ui *state.UI) {
	places := []string{"", "key:1", "key:5", "key:enter", "tender:cash", "exact", "cancel", "up", "pay", "next"}
	switch rng.IntN(13) {
	case 0:
		ui.Pressed = places[rng.IntN(len(places))]
	case 1:
		ui.Entry = fmt.Sprint(rng.IntN(1e7))
	case 2:
		ui.Entry = ""
	case 3:
		for j := range v.Lines {
			v.Lines[j].Last = false
		}
		ln := article(1000+i, fmt.Sprint("商品 ", i), fmt.Sprint("Item ", i), "4901234567894", 1+rng.IntN(9), int64(rng.IntN(9999)), i%2 == 0)
		ln.Last = true
		v.Lines = append(v.Lines, ln)
		*v = sum(*v)
	case 4:
		ui.Line = v.Lines[rng.IntN(len(v.Lines))].ID
	case 5:
		ui.Lang = []state.Lang{state.Japanese, state.English}[rng.IntN(2)]
	case 6:
		v.Now = at(fmt.Sprintf("1%d:%02d", i%10, i%60))
	case 7:
		v.Phase = []api.Phase{api.PhaseSale, api.PhaseTender, api.PhaseDone, api.PhaseStarting}[rng.IntN(4)]
	case 8:
		ui.Panel = []state.Panel{state.NoPanel, state.CancelPanel, state.DevicesPanel}[rng.IntN(3)]
	case 9:
		v.Devices[rng.IntN(4)].State = []string{"ready", "absent", "error"}[rng.IntN(3)]
	case 10:
		ui.Pinned, ui.Top = !ui.Pinned, rng.IntN(20)
	case 11:
		v.Message = nil
		if rng.IntN(2) == 0 {
			*v = message(*v, []string{"info", "error", "warning"}[rng.IntN(3)], "limit", "これ以上は登録できません。", "No more can be registered.")
		}
	case 12:
		ui.Notice = state.Notice{}
		if rng.IntN(2) == 0 {
			ui.Notice = state.Notice{Ja: "先に商品を登録してください。", En: "Register an item first."}
		}
	}
}

// Painting only what changed gives the very pixels of painting everything.
func TestDamageEqualsFull(t *testing.T) {
	steps := 300
	if testing.Short() {
		steps = 60
	}
	for _, size := range [][2]int{{896, 640}, {1024, 768}, {1280, 800}, {1512, 1080}} {
		w, h := size[0], size[1]
		t.Run(fmt.Sprint(w), func(t *testing.T) {
			t.Parallel()
			theme, err := view.NewTheme(w, h)
			require.NoError(t, err)
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			v, ui := sale(), state.UI{}
			inc, full := list.NewPainter(w, h), list.NewPainter(w, h)
			repainted := 0
			for i := range steps {
				mutate(rng, i, &v, &ui)
				for _, r := range inc.Paint(view.Draw(theme, v, ui, w, h)) {
					repainted += r.Dx() * r.Dy()
				}
				full.Forget()
				full.Paint(view.Draw(theme, v, ui, w, h))
				same(t, i, inc, full)
			}
			require.Less(t, repainted, steps*w*h*6/10, "most steps change a small part")
		})
	}
}

func same(t *testing.T, step int, a, b *list.Painter) {
	t.Helper()
	p, q := a.Canvas(), b.Canvas()
	if slices.Equal(p.Pix, q.Pix) {
		return
	}
	for i := range p.Pix {
		if p.Pix[i] != q.Pix[i] {
			t.Fatalf("%d × %d, step %d: pixel %d, %d is %06x, want %06x", p.W, p.H, step, i%p.W, i/p.W, p.Pix[i], q.Pix[i])
		}
	}
}

func BenchmarkKeyPress(b *testing.B) {
	theme, err := view.NewTheme(1280, 800)
	require.NoError(b, err)
	p, v := list.NewPainter(1280, 800), sale()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ui := state.UI{}
		if i&1 == 0 {
			ui.Pressed = "key:5"
		}
		p.Paint(view.Draw(theme, v, ui, 1280, 800))
	}
}

func BenchmarkScan(b *testing.B) {
	theme, err := view.NewTheme(1280, 800)
	require.NoError(b, err)
	p, v := list.NewPainter(1280, 800), sale()
	for i := 0; b.Loop(); i++ {
		v.Lines = append(v.Lines[:6:6], article(100+i, fmt.Sprint("商品", i%10), "", "4901234567894", 1, int64(i%1000), true))
		v.Total = int64(i % 100000)
		p.Paint(view.Draw(theme, v, state.UI{}, 1280, 800))
	}
}

func BenchmarkFull(b *testing.B) {
	theme, err := view.NewTheme(1280, 800)
	require.NoError(b, err)
	p, v := list.NewPainter(1280, 800), sale()
	for b.Loop() {
		p.Forget()
		p.Paint(view.Draw(theme, v, state.UI{}, 1280, 800))
	}
}
