// Package attend is the loop behind recovery's screens: it takes what people do, lets
// time pass, starts what the guide wants done, paints, and feeds the watchdog.
//
// It decides nothing and needs nothing: without a screen it paints nowhere, without
// hands it only lets time pass. It is not a service and never ends by itself.
//
// The rule that keeps it small: one goroutine owns the guide and the pictures; an
// action runs in one other and speaks through a channel.
package attend

import (
	"context"
	"image"
	"sync/atomic"
	"time"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/input"
	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/face"
	"github.com/choba-os/choba/recovery/guide"
	"github.com/choba-os/choba/recovery/hands"
)

// Output is a lit screen; *display.Output is one.
type Output interface {
	Size() (w, h int)
	Show(c *paint.Canvas, damage []image.Rectangle) error
}

// Config is what the loop works with.
type Config struct {
	Guide *guide.Guide
	// Screens looks for screens that were not there before; it is asked until it has found one.
	Screens func() []Output
	Hands   <-chan hands.Event
	// Do does an action; progress is told by the goroutine that runs it.
	Do      func(ctx context.Context, r act.Request, progress func(act.Progress)) act.Report
	Feed    func() error // the watchdog, once
	Restart func() error // the machine; returns only with an error
	Say     func(string)
}

const (
	beat = 100 * time.Millisecond
	// stuck is how long an action may go on without any progress before the watchdog is
	// left alone: it then resets the machine, and recovery begins anew.
	stuck = 2 * time.Minute
	// lookAgain is the time between two looks for a screen.
	lookAgain = 2 * time.Second
	// feedEvery keeps the dog fed well within its timeout.
	feedEvery = 2 * time.Second
)

// loop owns everything that is on show.
type loop struct {
	c       Config
	screens []screen
	state   face.State
	hits    *list.List
	down    string // the button that the finger went down on

	latest  atomic.Pointer[act.Progress]
	moved   atomic.Int64 // UnixNano of the last progress
	done    chan act.Report
	cancel  context.CancelFunc
	looked  time.Time
	fed     time.Time
	painted string // the title on the console
}

type screen struct {
	out     Output
	theme   *face.Theme
	painter *list.Painter
	w, h    int
}

// Run goes on until ctx ends.
func Run(ctx context.Context, c Config) error {
	l := &loop{c: c, done: make(chan act.Report, 1)}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	last := time.Now()
	for {
		l.look()
		l.paint()
		select {
		case e := <-c.Hands:
			l.hand(ctx, e)
		case r := <-l.done:
			l.cancel()
			l.effect(ctx, c.Guide.Finished(r))
		case <-tick.C:
			now := time.Now()
			l.feed(now)
			if p := l.latest.Swap(nil); p != nil {
				c.Guide.Progress(*p)
			}
			l.effect(ctx, c.Guide.Tick(now.Sub(last)))
			last = now
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look lights screens that have come, until there is one.
func (l *loop) look() {
	if len(l.screens) > 0 || time.Since(l.looked) < lookAgain {
		return
	}
	l.looked = time.Now()
	for _, o := range l.c.Screens() {
		w, h := o.Size()
		t, err := face.NewTheme(w, h)
		if err != nil {
			l.c.Say("note: " + err.Error())
			continue
		}
		l.screens = append(l.screens, screen{o, t, list.NewPainter(w, h), w, h})
	}
}

// paint shows the page on every screen. One that fails is given up.
func (l *loop) paint() {
	page := l.c.Guide.Page()
	if t := page.Title.English; t != l.painted && t != "" {
		l.painted = t
		l.c.Say("page: " + t)
	}
	for i := 0; i < len(l.screens); i++ {
		s := l.screens[i]
		pic := face.Draw(s.theme, page, l.state)
		if i == 0 {
			l.hits = pic
		}
		damage := s.painter.Paint(pic)
		if len(damage) == 0 {
			continue
		}
		if err := s.out.Show(s.painter.Canvas(), damage); err != nil {
			l.c.Say("note: a screen is lost: " + err.Error())
			l.screens = append(l.screens[:i], l.screens[i+1:]...)
			i--
		}
	}
}

// feed keeps the watchdog quiet while the register is well.
func (l *loop) feed(now time.Time) {
	if now.Sub(l.fed) < feedEvery {
		return
	}
	if l.c.Guide.Busy() && now.Sub(time.Unix(0, l.moved.Load())) > stuck {
		return
	}
	l.fed = now
	if err := l.c.Feed(); err != nil {
		l.c.Say("note: the watchdog is not fed: " + err.Error())
	}
}

func (l *loop) hand(ctx context.Context, e hands.Event) {
	if e.Touch != nil {
		l.touch(ctx, *e.Touch)
		return
	}
	key := ""
	if e.Key == hands.Typed {
		key = string(e.Rune)
	}
	l.c.Guide.Sensed(nil, key)
	var id string
	l.state, id = face.Press(l.c.Guide.Page(), l.state, e)
	if id == "" {
		l.effect(ctx, l.c.Guide.Wake())
		return
	}
	l.press(ctx, id)
}

// touch follows the finger: a button counts when it is lifted over the place that it
// went down on, keys of a keypad at once.
func (l *loop) touch(ctx context.Context, t input.Touch) {
	l.state.Focus = ""
	if t.Phase == input.Down || t.Phase == input.Move {
		l.c.Guide.Sensed(&face.Dot{X: t.X, Y: t.Y}, "")
	}
	under := ""
	if len(l.screens) > 0 && l.hits != nil {
		s := l.screens[0]
		under = l.hits.At(image.Pt(min(int(t.X*float64(s.w)), s.w-1), min(int(t.Y*float64(s.h)), s.h-1)))
	}
	switch t.Phase {
	case input.Down:
		l.down, l.state.Pressed = under, under
	case input.Move:
		l.state.Pressed = ""
		if under == l.down {
			l.state.Pressed = under
		}
	case input.Up:
		was := l.down
		l.down, l.state.Pressed = "", ""
		if was == under {
			l.press(ctx, under)
		}
	default:
		l.down, l.state.Pressed = "", ""
	}
}

func (l *loop) press(ctx context.Context, id string) {
	if id == face.Language {
		l.state.English = !l.state.English
		return
	}
	l.effect(ctx, l.c.Guide.Touch(id))
}

func (l *loop) effect(ctx context.Context, e guide.Effect) {
	switch {
	case e.Start != nil:
		l.start(ctx, *e.Start)
	case e.Stop && l.cancel != nil:
		l.cancel()
	case e.Restart:
		l.c.Say("restart")
		if err := l.c.Restart(); err != nil {
			l.c.Say("note: " + err.Error())
		}
	}
}

func (l *loop) start(ctx context.Context, r act.Request) {
	l.c.Say("begin: " + string(r.Action))
	ctx, l.cancel = context.WithCancel(ctx)
	l.moved.Store(time.Now().UnixNano())
	progress := func(p act.Progress) {
		l.moved.Store(time.Now().UnixNano())
		l.latest.Store(&p)
	}
	go func() {
		report := l.c.Do(ctx, r, progress)
		l.c.Say("end: " + string(r.Action) + ": " + report.Title.English)
		l.done <- report
	}()
}
