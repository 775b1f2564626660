package vm

import (
	"image"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/view"
	"github.com/choba-os/choba/tests/bench"
	"github.com/choba-os/choba/tests/bench/printer"
)

// The list of goods and the total: what a person must find again after a cut.
// The toasts that tell of the cut lie elsewhere.
var goods = image.Rect(16, 120, 576, 560)

// The plug is pulled in the middle of a sale, and again right after one was
// completed: the open sale is on the screen again, the completed one is on
// record with its number spent, and nothing is printed twice in silence.
func TestPowerCut(t *testing.T) {
	r := register(t, nil)
	on(t, r, ready)
	wait(t, r, `screen: painted`)
	m := newMirror(t)
	for _, code := range []string{tea, cable} {
		require.NoError(t, r.Scan(code))
		m.do(api.Act{Op: api.OpCode, Code: code})
	}
	m.shows(r, "cut-before", below)
	r.Cut()

	on(t, r, ready)
	wait(t, r, `screen: painted`)
	m.shows(r, "cut-open-sale-again", goods)
	dismiss(t, r, m)

	m.touch(r, "tender:cash")
	m.do(api.Act{Op: api.OpTender})
	m.shows(r, "cut-tender", below)
	m.touch(r, "exact")
	m.do(api.Act{Op: api.OpCash})
	m.shows(r, "cut-change", changeOnly(m))
	r.Cut() // the receipt may or may not be on its way
	before := printed(r.Printer.Hanging().Text, r.Printer.Papers())

	on(t, r, ready)
	wait(t, r, `screen: painted`)
	time.Sleep(5 * time.Second)
	keep(t, r, "cut-after-completed")
	after := printed(r.Printer.Hanging().Text, r.Printer.Papers())
	require.LessOrEqual(t, after, max(before, 1), "a receipt came out again without being asked for")
	require.LessOrEqual(t, len(r.Printer.Kicks()), 1, "the drawer opened again by itself")

	// The next sale has the next number: the completed one was not forgotten.
	r.CloseDrawer()
	require.NoError(t, r.Scan(tea))
	m.do(api.Act{Op: api.OpNext})
	m.do(api.Act{Op: api.OpCode, Code: tea})
	time.Sleep(2 * time.Second)
	keep(t, r, "cut-next-sale")
	m.shows(r, "cut-next-sale-list", goods)
}

// dismiss closes the message that tells of the interruption, if there is one:
// a touch beside every button does no harm otherwise.
func dismiss(t *testing.T, r *bench.Register, m *mirror) {
	t.Helper()
	want := m.ui
	theme, err := view.NewTheme(width, height)
	require.NoError(t, err)
	v := m.now
	v.Message = &api.Message{Kind: "info", Code: "interrupted", Text: "…", TextEn: "…", At: v.Now}
	for _, h := range view.Draw(theme, v, want, width, height).Hits {
		if h.ID == "ack" {
			c := h.Area.Min.Add(h.Area.Max).Div(2)
			require.NoError(t, r.Tap(c.X, c.Y))
			time.Sleep(2 * time.Second)
			return
		}
	}
}

// printed counts total lines on all paper: one a receipt.
func printed(hanging string, papers []printer.Paper) int {
	n := strings.Count(hanging, "合計")
	for _, p := range papers {
		n += strings.Count(p.Text, "合計")
	}
	return n
}

// A pulled disk shows nothing of the shop's sales (B13): the data partition
// holds no text that was sold, printed or recorded.
func TestPulledDiskIsUnreadable(t *testing.T) {
	r := register(t, nil)
	on(t, r, ready)
	wait(t, r, `screen: painted`)
	m := newMirror(t)
	require.NoError(t, r.Scan(tea))
	m.do(api.Act{Op: api.OpCode, Code: tea})
	m.shows(r, "pulled-sale", below)
	r.Cut()
	d := open(t, pulled(t, r))
	data := d.parts["choba-data"]
	for _, word := range []string{tea, "sale.", "駅前商店", "宇治抹茶", `"kind"`, "choba/"} {
		require.False(t, contains(t, d.file, data.Start, data.Size, word), "%q stands readable on the data partition", word)
	}
	state := d.parts["choba-state"]
	require.True(t, contains(t, d.file, state.Start, state.Size, "choba slots 2"), "the search finds what is there")
}

// contains searches a part of a file for text.
func contains(t *testing.T, f *os.File, start, size int64, word string) bool {
	const step = 4 << 20
	buf := make([]byte, step+len(word))
	for at := int64(0); at < size; at += step {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-at)], start+at)
		if n == 0 {
			require.NoError(t, err)
		}
		if strings.Contains(string(buf[:n]), word) {
			return true
		}
	}
	return false
}
