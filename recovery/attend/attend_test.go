package attend

import (
	"context"
	"image"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/input"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/guide"
	"github.com/choba-os/choba/recovery/hands"
)

// glass is a screen that counts.
type glass struct {
	mu    sync.Mutex
	shown int
}

func (g *glass) Size() (w, h int) { return 1024, 768 }
func (g *glass) Show(*paint.Canvas, []image.Rectangle) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shown++
	return nil
}

// room is everything that the loop needs, with what came out of it.
type room struct {
	hands chan hands.Event
	asked chan act.Request
	stop  chan struct{}
	again chan struct{}
	fed   chan struct{}
	said  chan string
	glass glass
}

func run(t *testing.T, f guide.Facts, screens bool) *room {
	r := &room{hands: make(chan hands.Event, 16), asked: make(chan act.Request, 4), stop: make(chan struct{}, 4),
		again: make(chan struct{}, 4), fed: make(chan struct{}, 1000), said: make(chan string, 1000)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{
			Guide: guide.New(f), Hands: r.hands, Say: func(s string) { r.said <- s },
			Screens: func() []Output {
				if !screens {
					return nil
				}
				return []Output{&r.glass}
			},
			Feed:    func() error { r.fed <- struct{}{}; return nil },
			Restart: func() error { r.again <- struct{}{}; return nil },
			Do: func(ctx context.Context, req act.Request, progress func(act.Progress)) act.Report {
				r.asked <- req
				progress(act.Progress{Done: 1, Total: 2})
				<-ctx.Done()
				r.stop <- struct{}{}
				return act.Report{Action: req.Action}
			},
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	return r
}

// failed is a register whose slot a is damaged.
func failed() guide.Facts {
	return guide.Facts{Troubles: []explain.Trouble{explain.InSlot(slot.A, verity.ErrCorrupt)}}
}

func wait[T any](t *testing.T, c chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(5 * time.Second):
		t.Fatal("nothing happened")
	}
	return v
}

// TestByKeys: a keyboard alone starts an action and stops it again.
func TestByKeys(t *testing.T) {
	r := run(t, failed(), true)
	require.Equal(t, "page: This register cannot start", wait(t, r.said))
	r.hands <- hands.Event{Key: hands.Other}
	require.Equal(t, "page: Recovery menu", wait(t, r.said))
	r.hands <- hands.Event{Key: hands.Typed, Rune: '3'}
	require.Equal(t, act.SelfTest, wait(t, r.asked).Action)
	r.hands <- hands.Event{Key: hands.Down}
	r.hands <- hands.Event{Key: hands.Enter}
	wait(t, r.stop)
	wait(t, r.fed)
}

// TestByTouch: the button under the finger is pressed when it is lifted there, and only there.
func TestByTouch(t *testing.T) {
	r := run(t, failed(), true)
	touch := func(p input.Phase, x, y float64) {
		r.hands <- hands.Event{Touch: &input.Touch{Phase: p, X: x / 1024, Y: y / 768}}
	}
	wait(t, r.said)
	touch(input.Down, 800, 610)
	touch(input.Move, 100, 610)
	touch(input.Up, 100, 610) // slid off the button: nothing
	touch(input.Down, 800, 610)
	touch(input.Up, 800, 610)
	require.Equal(t, guide.Automatic(), wait(t, r.asked))
}

// TestWithoutAnything: no screen, no hands; the loop still asks for what the guide wants.
func TestWithoutAnything(t *testing.T) {
	r := run(t, guide.Facts{Asked: true}, false)
	require.Equal(t, "page: Recovery menu", wait(t, r.said))
	wait(t, r.fed)
	r.hands <- hands.Event{Touch: &input.Touch{Phase: input.Down, X: 0.5, Y: 0.5}}
	r.hands <- hands.Event{Key: hands.Typed, Rune: '8'}
	wait(t, r.again)
}
