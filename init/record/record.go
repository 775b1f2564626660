// Package record brings init's events into the journal without ever making init wait.
//
// PID 1 calls nobody but the journal, and the journal may be down, slow or full: events wait in a bounded queue, are
// tried again, and what does not fit is counted and said in an event of its own. The queue is lost with the power; what
// must not be lost is on the console too.
//
// The one request it makes is written by hand (post.go): the services' own client would bring all of net/http and TLS
// into PID 1. A test holds it against the journal's api and the services' server.
//
// The rule that keeps it small: one queue, one goroutine, no meaning of events.
package record

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// Appender is the journal, as far as it is needed here. Journal is one.
type Appender interface {
	// Append returns when the event is recorded. An error that wraps ErrRefused is for good.
	Append(context.Context, Event) error
}

// Event is what init has recorded. The journal's Event has more fields, all for persons and devices.
type Event struct {
	Kind    string          `json:"kind"`
	Content json.RawMessage `json:"content"` // a JSON object

	bare bool   // its content was refused and left out
	then func() // called once, when the journal has taken the event or will never take it; nil: nobody waits
}

const (
	room      = 256 // events that wait
	callTime  = 10 * time.Second
	firstWait = 200 * time.Millisecond
	lastWait  = 5 * time.Second
)

// Queue is events on their way to the journal.
type Queue struct {
	to      Appender
	say     func(string)
	wake    chan struct{}
	sending chan struct{} // full while somebody delivers the first event: Run, or Drain beside it
	mu      sync.Mutex    // guards what follows
	waiting []Event       // oldest first
	lost    int           // events that did not fit since the last was delivered
}

// New is an empty queue. say is for the console.
func New(to Appender, say func(string)) *Queue {
	return &Queue{to: to, say: say, wake: make(chan struct{}, 1), sending: make(chan struct{}, 1)}
}

// Add queues an event; content is marshalled as JSON. It never blocks.
func (q *Queue) Add(kind string, content any) { q.AddThen(kind, content, nil) }

// AddThen is Add for an event that is kept elsewhere until the journal has it: then is called, on the queue's own
// goroutine, when that is so. It is never called for an event that did not fit.
func (q *Queue) AddThen(kind string, content any, then func()) {
	text, err := json.Marshal(content)
	if err != nil {
		q.say("event " + kind + ": " + err.Error())
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= room {
		q.lost++ // the first ones tell the most about what began
		return
	}
	q.waiting = append(q.waiting, Event{Kind: kind, Content: text, then: then})
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends.
func (q *Queue) Run(ctx context.Context) {
	wait := firstWait
	for ctx.Err() == nil {
		some, ok := q.next(ctx)
		if !some {
			select {
			case <-ctx.Done():
			case <-q.wake:
			}
			continue
		}
		if ok {
			wait = firstWait
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, lastWait)
	}
}

// Drain delivers what waits, until it is all gone or ctx ends.
func (q *Queue) Drain(ctx context.Context) {
	for ctx.Err() == nil {
		if some, ok := q.next(ctx); !some || !ok {
			return
		}
	}
}

// next delivers the first event, when there is one. While somebody else does, it waits, but not beyond ctx.
func (q *Queue) next(ctx context.Context) (some, ok bool) {
	select {
	case q.sending <- struct{}{}:
	case <-ctx.Done():
		return false, false
	}
	defer func() { <-q.sending }()
	e, some := q.first()
	return some, some && q.deliver(ctx, e)
}

func (q *Queue) first() (Event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return Event{}, false
	}
	return q.waiting[0], true
}

// deliver tries once and says whether to go on with the first event at once: e is recorded, or it was refused and its
// kind alone is tried next, or that was refused too. An answer that was lost is tried
// again: an event twice is better than none.
func (q *Queue) deliver(ctx context.Context, e Event) bool {
	call, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	err := q.to.Append(call, e)
	switch {
	case errors.Is(err, ErrRefused):
		q.say("event " + e.Kind + ": " + err.Error())
	case err != nil:
		return false
	}
	if q.settle(e, err) && e.then != nil {
		e.then()
	}
	return true
}

// settle takes the first event, e, out of the queue, or leaves its kind alone there when its content was refused; done
// says which.
func (q *Queue) settle(e Event, refused error) (done bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if refused != nil && !e.bare {
		// The journal takes no card numbers. Whoever names a file like one must not be able to hide what he did with it.
		q.waiting[0] = Event{Kind: e.Kind, Content: json.RawMessage(`{"withheld":"the journal refused the content"}`), bare: true, then: e.then}
		return false
	}
	q.waiting = q.waiting[1:]
	if q.lost > 0 && len(q.waiting) < room {
		text, _ := json.Marshal(map[string]int{"events": q.lost})
		q.waiting = append(q.waiting, Event{Kind: "boot.lost", Content: text})
		q.lost = 0
	}
	return true
}
