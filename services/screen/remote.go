package screen

import (
	"context"
	"time"

	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/register/api"
)

// remote speaks with the register for the loop.
type remote struct {
	c      Config
	events chan event
	acts   chan api.Act // holds one, so that the loop never waits
}

// event is what came from the register.
type event struct {
	view     *api.View
	first    bool // of a new stream: its Rev may be smaller than what was seen before
	lost     bool // the stream ended
	answered bool // the Act under way was answered, or given up
	failed   bool // … and was not done
}

// Bounds of asking for an Act.
const (
	actTime  = 5 * time.Second
	actTries = 3
)

func newRemote(c Config) *remote {
	return &remote{c: c, events: make(chan event, 4), acts: make(chan api.Act, 1)}
}

func (r *remote) send(ctx context.Context, e event) error {
	select {
	case r.events <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch follows the register's views, again and again.
func (r *remote) watch(ctx context.Context) {
	for ctx.Err() == nil {
		first := true
		err := r.c.Register.Watch(ctx, func(v api.View) error {
			e := event{view: &v, first: first}
			first = false
			return r.send(ctx, e)
		})
		if err != nil && ctx.Err() == nil {
			r.c.Log.WithError(err).Info("the register's views ended")
		}
		if !first {
			_ = r.send(ctx, event{lost: true}) // fails only when ctx ended
		}
		pause(ctx, retryTime)
	}
}

// work asks for one Act after the other.
func (r *remote) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-r.acts:
			_ = r.send(ctx, r.do(ctx, a))
		}
	}
}

// do asks for an Act. When the answer was lost, or the journal behind the register did not answer, the same Act is asked for again:
// the register knows it by its ID and does it once.
func (r *remote) do(ctx context.Context, a api.Act) event {
	for try := 1; ; try++ {
		call, stop := context.WithTimeout(ctx, actTime)
		v, err := r.c.Register.Do(call, a)
		stop()
		kind := link.KindOf(err)
		switch {
		case err == nil:
			return event{view: &v, answered: true}
		case (kind == link.Unknown || kind == link.Unavailable) && try < actTries && ctx.Err() == nil:
			pause(ctx, retryTime)
			continue
		}
		r.c.Log.WithError(err).WithField("op", a.Op).Info("an act was refused")
		// what the register refused it explains itself, in its next view
		refused := kind == link.BadRequest || kind == link.Conflict || kind == link.NotFound
		return event{answered: true, failed: !refused}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
