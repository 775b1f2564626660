package vm

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/journal/journaltest"
	"github.com/choba-os/choba/services/link"
	core "github.com/choba-os/choba/services/register"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
	"github.com/choba-os/choba/services/screen/view"
	"github.com/choba-os/choba/tests/bench"
	"github.com/choba-os/choba/tests/bench/shelf"
)

// Size of the screen under test, and the height of its top bar: the bar has
// the clock in it, so pictures are compared below it.
const (
	width, height = 1280, 800
	bar           = 56
)

// mirror is a second register, in the test's own process, that is told the same
// as the one in the machine. What it would show is what the screen must show.
type mirror struct {
	t   *testing.T
	reg *core.Register
	n   int
	now api.View
	ui  state.UI
}

func newMirror(t *testing.T) *mirror {
	p, err := shelf.Open(filepath.Join(out, "shop.pack"), filepath.Join(out, "keys/trust.txt"))
	require.NoError(t, err)
	log := logrus.New()
	log.SetOutput(io.Discard)
	started := make(chan struct{})
	reg, err := core.New(core.Config{Pack: p, Journal: journaltest.Start(t).Socket("register"), Scanner: "/nowhere/scanner", Printer: "/nowhere/printer",
		Now: time.Now, Log: logrus.NewEntry(log), Ready: func() { close(started) }, Alive: func() {},
		Unproven: time.Millisecond})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- reg.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	select {
	case <-started:
	case <-time.After(20 * time.Second):
		t.Fatal("the mirror register did not start")
	}
	m := &mirror{t: t, reg: reg}
	m.first(ctx)
	return m
}

// first learns what the mirror shows before anything was done.
func (m *mirror) first(ctx context.Context) {
	ln, err := net.Listen("unix", filepath.Join(short(m.t), "s"))
	require.NoError(m.t, err)
	go link.Serve(ctx, ln, func(uint32) string { return "screen" }, m.reg.Handler())
	err = api.New(ln.Addr().String()).Watch(ctx, func(v api.View) error {
		m.now = v
		return errSeen
	})
	require.ErrorIs(m.t, err, errSeen)
}

var errSeen = errors.New("seen")

// do tells the mirror what a person does.
func (m *mirror) do(a api.Act) api.View {
	m.t.Helper()
	m.n++
	a.ID = fmt.Sprintf("mirror-%d", m.n)
	v, err := m.reg.Do(context.Background(), a)
	require.NoError(m.t, err)
	m.now = v
	return v
}

// place is the middle of a button as the screen under test shows it now.
func (m *mirror) place(id string) (x, y int) {
	m.t.Helper()
	theme, err := view.NewTheme(width, height)
	require.NoError(m.t, err)
	for _, h := range view.Draw(theme, m.now, m.ui, width, height).Hits {
		if h.ID == id {
			c := h.Area.Min.Add(h.Area.Max).Div(2)
			return c.X, c.Y
		}
	}
	m.t.Fatalf("no button %q in phase %s", id, m.now.Phase)
	return 0, 0
}

// touch presses a button of the register in the machine.
func (m *mirror) touch(r *bench.Register, id string) {
	m.t.Helper()
	x, y := m.place(id)
	require.NoError(m.t, r.Tap(x, y))
}

// shows waits until the machine's screen is, below the bar, the picture that
// the mirror's view gives; part names a smaller region.
func (m *mirror) shows(r *bench.Register, name string, part image.Rectangle) {
	m.t.Helper()
	want, err := view.Render(m.now, m.ui, width, height)
	require.NoError(m.t, err)
	var got image.Image
	var differ int
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		got, err = r.Picture()
		require.NoError(m.t, err)
		if differ = differences(want, got, part); differ == 0 {
			save(m.t, got, name)
			return
		}
	}
	save(m.t, want, name+"-wanted")
	save(m.t, got, name+"-seen")
	m.t.Fatalf("%s: %d pixels differ, see out/pictures/%s-*.png", name, differ, name)
}

// differences counts pixels that are not the same in both pictures.
func differences(a, b image.Image, part image.Rectangle) int {
	if a.Bounds() != b.Bounds() {
		return part.Dx() * part.Dy()
	}
	n := 0
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			r1, g1, b1, _ := a.At(x, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			if r1>>8 != r2>>8 || g1>>8 != g2>>8 || b1>>8 != b2>>8 {
				n++
			}
		}
	}
	return n
}

// below is everything under the top bar.
var below = image.Rect(0, bar, width, height)
