// Package screen is the loop behind a register's screens: it takes the register's views and a finger's touches, and paints.
//
// It sells nothing, opens no device by itself and keeps nothing that matters: killed at any instant and started again, it shows the
// sale as the register has it. Rule that keeps it small: one goroutine owns the state and the pictures; whatever waits (the register,
// the touch panel) has a goroutine of its own and speaks to it through a channel.
package screen

import (
	"context"
	"errors"
	"fmt"
	"image"
	"time"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/input"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
	"github.com/choba-os/choba/services/screen/view"
	"github.com/sirupsen/logrus"
)

// Register is the part of the register that a screen uses; *api.Client is one.
type Register interface {
	Watch(ctx context.Context, fn func(api.View) error) error
	Do(ctx context.Context, a api.Act) (api.View, error)
}

// Output is a lit screen; *display.Output is one.
type Output interface {
	Size() (w, h int)
	Show(c *paint.Canvas, damage []image.Rectangle) error
}

// Life tells the supervisor how the loop is doing; *link.Life is one.
type Life interface {
	Ready()
	Alive()
}

// Config is what the loop works with.
type Config struct {
	Register Register
	Outputs  []Output // the first is the cashier's, the others the customer's
	Touches  <-chan input.Touch
	Life     Life
	Session  string // begins the identity of every Act: unique for each start of the service
	Painted  func() // called once, after the first picture of a sale screen is on show
	Log      *logrus.Entry
}

// How long things last.
const (
	beat       = time.Second            // between signs of life when nothing happens
	grace      = time.Second            // for the register to come back before the screen says that it is away
	noticeTime = 5 * time.Second        // a sentence of the screen's own, or an information, stays that long
	retryTime  = 200 * time.Millisecond // before the register is called again
)

// ErrOutput is a screen that does not take a picture any more.
var ErrOutput = errors.New("painting screen")

// Run works until ctx ends or a screen fails, which is an ErrOutput. It says ready when a view of the register's is on
// show on every screen.
func Run(ctx context.Context, c Config) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	l, err := newLoop(c)
	if err != nil {
		return err
	}
	r := newRemote(c)
	go r.watch(ctx)
	go r.work(ctx)
	return l.run(ctx, r)
}

// loop owns everything that is on show.
type loop struct {
	c       Config
	screens []screen
	v       api.View
	ui      state.UI
	finger  finger
	hits    *list.List
	busy    bool // an Act is under way
	acts    uint64
	painted bool
	away    *time.Timer
	notice  *time.Timer
}

// screen is one output with its picture.
type screen struct {
	out     Output
	theme   *view.Theme
	painter *list.Painter
	w, h    int
}

func newLoop(c Config) (*loop, error) {
	l := &loop{c: c, ui: state.UI{Away: true}, away: time.NewTimer(grace), notice: time.NewTimer(noticeTime)}
	for _, o := range c.Outputs {
		w, h := o.Size()
		t, err := view.NewTheme(w, h)
		if err != nil {
			return nil, err
		}
		l.screens = append(l.screens, screen{o, t, list.NewPainter(w, h), w, h})
	}
	if len(l.screens) == 0 {
		return nil, fmt.Errorf("starting the screen: there is none")
	}
	return l, nil
}

func (l *loop) run(ctx context.Context, r *remote) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		if err := l.paint(); err != nil {
			return err
		}
		if !l.ui.Away && l.v.Phase != "" { // a view of the register's is on show, and the kernel took every frame of it
			l.c.Life.Ready()
		}
		l.c.Life.Alive()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case e := <-r.events:
			l.event(e)
		case t := <-l.c.Touches:
			l.touch(t, r)
		case <-l.away.C:
			l.ui.Away, l.finger = true, finger{}
			l.ui.Pressed = ""
		case <-l.notice.C:
			l.forget()
		}
	}
}

// event takes what came from the register.
func (l *loop) event(e event) {
	switch {
	case e.view != nil && (e.first || e.view.Rev > l.v.Rev):
		l.away.Stop()
		prev := l.v
		l.v = *e.view
		l.ui = l.ui.Follow(prev, l.v)
		if l.v.Message != nil && (prev.Message == nil || *prev.Message != *l.v.Message) {
			l.notice.Reset(noticeTime)
		}
	case e.lost:
		l.away.Reset(grace)
	}
	if e.answered {
		l.busy = false
	}
	if e.failed && (l.v.Message == nil || l.v.Message.Kind != "error") { // else the register says itself what is the matter
		l.ui.Notice = state.Notice{Ja: "レジに伝わりませんでした。もう一度触れてください。", En: "The register did not get that. Please touch again."}
		l.notice.Reset(noticeTime)
	}
}

// forget drops sentences that were long enough on show.
func (l *loop) forget() {
	l.ui.Notice = state.Notice{}
	if m := l.v.Message; m != nil && m.Kind == "info" {
		l.ui.Seen = m.At
	}
}

// ask sends an Act to the register. While one is under way others are dropped: what a person touches twice is meant once.
func (l *loop) ask(a *api.Act, r *remote) {
	if a == nil || l.busy {
		return
	}
	l.acts++
	a.ID, a.Lang = fmt.Sprintf("%s-%d", l.c.Session, l.acts), "ja"
	if l.ui.English() {
		a.Lang = "en"
	}
	l.busy = true
	r.acts <- *a
}

// paint shows what changed on every screen.
func (l *loop) paint() error {
	for i, s := range l.screens {
		var pic *list.List
		if i == 0 {
			pic = view.Draw(s.theme, l.v, l.ui, s.w, s.h)
			l.hits = pic
		} else {
			pic = view.Customer(s.theme, l.v, l.ui, s.w, s.h)
		}
		if damage := s.painter.Paint(pic); len(damage) > 0 {
			if err := s.out.Show(s.painter.Canvas(), damage); err != nil {
				return fmt.Errorf("%w %d: %w", ErrOutput, i+1, err)
			}
		}
	}
	if !l.painted && view.Selling(l.v, l.ui) {
		l.painted = true
		if l.c.Painted != nil {
			l.c.Painted()
		}
	}
	return nil
}
