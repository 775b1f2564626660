package screen_test

import (
	"context"
	"errors"
	"image"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/input"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen"
	"github.com/choba-os/choba/services/screen/state"
	"github.com/choba-os/choba/services/screen/view"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

// register is a fake behind the real wire.
type register struct {
	mu    sync.Mutex // guards what follows
	v     api.View
	acts  []api.Act
	seen  map[string]bool
	lose  int // answers to drop
	watch map[chan api.View]bool
}

func (r *register) set(change func(v *api.View)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.v)
	r.v.Rev++
	for c := range r.watch {
		c <- r.v
	}
}

func (r *register) views(w http.ResponseWriter, q *http.Request) {
	send := link.Lines(w)
	c := make(chan api.View, 16)
	r.mu.Lock()
	r.watch[c] = true
	c <- r.v
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.watch, c)
		r.mu.Unlock()
	}()
	for {
		select {
		case v := <-c:
			if send(v) != nil {
				return
			}
		case <-q.Context().Done():
			return
		}
	}
}

func (r *register) do(w http.ResponseWriter, q *http.Request) {
	var a api.Act
	if !link.Read(w, q, &a) {
		return
	}
	r.mu.Lock()
	again := r.seen[a.ID]
	r.seen[a.ID] = true
	r.mu.Unlock()
	if !again {
		r.set(func(v *api.View) {
			r.acts = append(r.acts, a)
			switch a.Op {
			case api.OpTender:
				v.Phase = api.PhaseTender
			case api.OpCash:
				v.Phase, v.Paid, v.Change = api.PhaseDone, a.Amount, a.Amount-v.Total
			}
		})
	}
	r.mu.Lock()
	lose, v := r.lose > 0, r.v
	r.lose--
	r.mu.Unlock()
	if lose {
		panic(http.ErrAbortHandler)
	}
	link.Reply(w, v)
}

// serve runs the fake at socket until the test stops it.
func (r *register) serve(t *testing.T, socket string) (stop func()) {
	t.Helper()
	ln, err := net.Listen("unix", socket)
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/view", r.views)
	mux.HandleFunc("POST /v1/do", r.do)
	s := &http.Server{Handler: mux}
	go s.Serve(ln)
	return func() { s.Close() }
}

func (r *register) asked() []api.Act {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]api.Act(nil), r.acts...)
}

// output is a screen in memory.
type output struct {
	mu    sync.Mutex // guards what follows
	last  *image.RGBA
	shows int
}

func (o *output) Size() (w, h int) { return 1280, 800 }

func (o *output) Show(c *paint.Canvas, _ []image.Rectangle) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = c.Image()
	o.shows++
	return nil
}

func (o *output) is(t *testing.T, v api.View, ui view.UI) bool {
	want, err := view.Render(v, ui, 1280, 800)
	require.NoError(t, err)
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last != nil && string(o.last.Pix) == string(want.Pix)
}

type life struct {
	mu           sync.Mutex // guards what follows
	ready, alive int
}

func (l *life) Ready() { l.mu.Lock(); l.ready++; l.mu.Unlock() }
func (l *life) Alive() { l.mu.Lock(); l.alive++; l.mu.Unlock() }

// bench is a running screen with everything around it.
type bench struct {
	t       *testing.T
	reg     *register
	out     *output
	second  *output
	touches chan input.Touch
	life    *life
	painted chan struct{}
	socket  string
	stop    func()
}

func start(t *testing.T) *bench {
	t.Helper()
	b := &bench{
		t: t, reg: &register{v: sale(), seen: map[string]bool{}, watch: map[chan api.View]bool{}}, out: &output{}, second: &output{},
		touches: make(chan input.Touch), life: &life{}, painted: make(chan struct{}), socket: filepath.Join(t.TempDir(), "r.sock"),
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error)
	go func() {
		end <- screen.Run(ctx, screen.Config{
			Register: api.New(b.socket), Outputs: []screen.Output{b.out, b.second}, Touches: b.touches, Life: b.life, Session: "test",
			Painted: func() { close(b.painted) }, Log: log.WithField("service", "screen"),
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-end)
	})
	return b
}

func (b *bench) shows(v api.View, ui view.UI, why string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return b.out.is(b.t, v, ui) }, 10*time.Second, 20*time.Millisecond, why)
}

// tap touches the place id of the picture.
func (b *bench) tap(v api.View, ui view.UI, id string) {
	b.t.Helper()
	theme, err := view.NewTheme(1280, 800)
	require.NoError(b.t, err)
	for _, h := range view.Draw(theme, v, ui, 1280, 800).Hits {
		if h.ID == id {
			mid := h.Area.Min.Add(h.Area.Max).Div(2)
			x, y := float64(mid.X)/1280, float64(mid.Y)/800
			b.touches <- input.Touch{Phase: input.Down, X: x, Y: y}
			b.touches <- input.Touch{Phase: input.Up, X: x, Y: y}
			return
		}
	}
	b.t.Fatalf("nothing is called %s", id)
}

func sale() api.View {
	return api.View{
		Rev: 5, Phase: api.PhaseSale, Shop: "駅前商店", Register: "02", Receipt: "000482", TaxInside: true, Total: 378, Count: 2,
		Lines: []api.Line{
			{ID: 1, Name: "緑茶", Code: "4901234567894", Qty: 1, Unit: 138, Amount: 138, Reduced: true},
			{ID: 2, Name: "電池", Code: "4902345678905", Qty: 1, Unit: 240, Amount: 240, Last: true},
		},
		Rates:   []api.RateSum{{Percent: 10, Base: 240, Tax: 21}, {Percent: 8, Reduced: true, Base: 138, Tax: 10}},
		Tenders: []api.Tender{{ID: "cash", Name: "現金", NameEn: "Cash", Kind: "cash", Enabled: true}, {ID: "qr", Name: "QR決済", NameEn: "QR", Kind: "qr"}},
		Quick:   []int64{500, 1000}, Now: time.Date(2026, 11, 21, 14, 32, 0, 0, time.FixedZone("JST", 9*3600)),
	}
}

func TestSellsByTouch(t *testing.T) {
	b := start(t)
	b.shows(api.View{}, view.UI{Away: true}, "the screen says that it waits before there is a register")
	require.Eventually(t, func() bool { b.life.mu.Lock(); defer b.life.mu.Unlock(); return b.life.alive > 1 }, 5*time.Second, 10*time.Millisecond)
	b.life.mu.Lock()
	require.Zero(t, b.life.ready, "a screen without a register's view is not ready")
	b.life.mu.Unlock()
	defer b.reg.serve(t, b.socket)()
	b.shows(sale(), view.UI{}, "the register's sale")
	<-b.painted
	b.tap(sale(), view.UI{}, state.TenderKey+"cash")
	v := sale()
	v.Phase = api.PhaseTender
	b.shows(v, view.UI{}, "the payment dialog")
	b.tap(v, view.UI{}, state.Quick+"500")
	v.Phase, v.Paid, v.Change = api.PhaseDone, 500, 122
	b.shows(v, view.UI{}, "the change")
	require.Equal(t, []api.Act{
		{ID: "test-1", Op: api.OpTender, Lang: "ja"}, {ID: "test-2", Op: api.OpCash, Amount: 500, Lang: "ja"},
	}, b.reg.asked())
	b.life.mu.Lock()
	defer b.life.mu.Unlock()
	require.Positive(t, b.life.ready)
	require.Positive(t, b.life.alive)
}

func TestAnActIsDoneOnceThoughItsAnswerIsLost(t *testing.T) {
	b := start(t)
	b.reg.lose = 1
	defer b.reg.serve(t, b.socket)()
	b.shows(sale(), view.UI{}, "the register's sale")
	b.tap(sale(), view.UI{}, state.Quick+"1000")
	v := sale()
	v.Phase, v.Paid, v.Change = api.PhaseDone, 1000, 622
	b.shows(v, view.UI{}, "the change")
	require.Len(t, b.reg.asked(), 1)
}

func TestRegisterGoesAndComesBack(t *testing.T) {
	b := start(t)
	stop := b.reg.serve(t, b.socket)
	b.shows(sale(), view.UI{}, "the register's sale")
	stop()
	b.shows(sale(), view.UI{Away: true}, "the screen says that the register is away")
	b.reg.v.Rev, b.reg.v.Total = 1, 500 // a register that was started again counts from 1
	defer b.reg.serve(t, b.socket)()
	v := sale()
	v.Total = 500
	b.shows(v, view.UI{}, "the register's sale again")
}

func TestTypingWorksWhenTheFingerComesDown(t *testing.T) {
	b := start(t)
	defer b.reg.serve(t, b.socket)()
	b.shows(sale(), view.UI{}, "the register's sale")
	b.tap(sale(), view.UI{}, "key:3")
	b.shows(sale(), view.UI{Entry: "3"}, "the digit")
	b.tap(sale(), view.UI{}, "key:quantity")
	require.Eventually(t, func() bool { return len(b.reg.asked()) == 1 }, 5*time.Second, 10*time.Millisecond)
	require.Equal(t, api.Act{ID: "test-1", Op: api.OpQuantity, Line: 2, Qty: 3, Lang: "ja"}, b.reg.asked()[0])
	b.tap(sale(), view.UI{}, state.TenderKey+"qr")
	b.shows(sale(), view.UI{Notice: state.Notice{Ja: "「QR決済」は、このレジではまだ使えません。", En: "QR cannot be used at this register yet."}}, "why not")
}

func TestDraggingMovesTheList(t *testing.T) {
	b := start(t)
	v := sale()
	for i := range 60 {
		v.Lines = append(v.Lines, api.Line{ID: 100 + i, Name: "商品", Code: "4901234567894", Qty: 1, Unit: 10, Amount: 10})
	}
	b.reg.v = v
	defer b.reg.serve(t, b.socket)()
	b.shows(v, view.UI{}, "the line that was touched last")
	first, _ := view.UI{}.Window(v, view.Rows(1280, 800, v))
	x, y, row := 0.2, 0.5, view.RowHeight(1280, 800)/800
	b.touches <- input.Touch{Phase: input.Down, X: x, Y: y}
	b.touches <- input.Touch{Phase: input.Move, X: x, Y: y - 5*row}
	b.touches <- input.Touch{Phase: input.Up, X: x, Y: y - 5*row}
	b.shows(v, view.UI{Pinned: true, Top: first + 5}, "five lines further")
	require.Empty(t, b.reg.asked(), "dragging asks for nothing")
	// a finger that leaves its place, or is cancelled, does nothing
	b.touches <- input.Touch{Phase: input.Down, X: 0.95, Y: 0.95}
	b.touches <- input.Touch{Phase: input.Move, X: 0.95, Y: 0.1}
	b.touches <- input.Touch{Phase: input.Up, X: 0.95, Y: 0.1}
	b.touches <- input.Touch{Phase: input.Down, X: 0.95, Y: 0.95}
	b.touches <- input.Touch{Phase: input.Cancel}
	b.shows(v, view.UI{Pinned: true, Top: first + 5}, "as before")
	require.Empty(t, b.reg.asked())
}

// A24: the customer's display shows the goods and the total, and nothing that is the shop's alone.
func TestSecondScreenIsTheCustomers(t *testing.T) {
	b := start(t)
	v := sale()
	v.Message = &api.Message{Kind: "error", Code: "journal", Text: "店内の知らせ", TextEn: "for the shop", At: v.Now}
	b.reg.v = v
	defer b.reg.serve(t, b.socket)()
	theme, err := view.NewTheme(1280, 800)
	require.NoError(t, err)
	pic := view.Customer(theme, v, view.UI{}, 1280, 800)
	p := list.NewPainter(1280, 800)
	p.Paint(pic)
	want := p.Canvas().Image()
	require.Eventually(t, func() bool {
		b.second.mu.Lock()
		defer b.second.mu.Unlock()
		return b.second.last != nil && string(b.second.last.Pix) == string(want.Pix)
	}, 10*time.Second, 20*time.Millisecond)
	for _, o := range pic.Ops {
		require.NotContains(t, o.Text, "店内")
		require.NotContains(t, o.Text, v.Lines[0].Code)
	}
	require.Empty(t, pic.Hits)
}

// dead is a screen that takes no picture.
type dead struct{ output }

func (d *dead) Show(*paint.Canvas, []image.Rectangle) error { return errors.New("no such device") }

// A frame that the kernel refuses is no sign of readiness, and says which screen it was.
func TestDeadScreen(t *testing.T) {
	var l life
	log := logrus.New()
	log.SetOutput(io.Discard)
	err := screen.Run(t.Context(), screen.Config{Register: api.New(filepath.Join(t.TempDir(), "r")), Outputs: []screen.Output{&output{}, &dead{}},
		Touches: make(chan input.Touch), Life: &l, Session: "x", Log: logrus.NewEntry(log)})
	require.ErrorIs(t, err, screen.ErrOutput)
	require.ErrorContains(t, err, "painting screen 2: no such device")
	require.Zero(t, l.ready)
}
