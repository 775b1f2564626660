package api

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/choba-os/choba/services/link"
)

const (
	// queueRoom is how many events may wait.
	queueRoom = 256
	// queueRetry is how long to wait for a journal that does not answer.
	queueRetry = time.Second
)

// Recorder records; *Client is one.
type Recorder interface {
	Append(ctx context.Context, v Event) (Proof, error)
}

// Queue carries events to the journal, in order and without holding anybody up. It is not for what must be recorded
// before something may happen: that waits for Append. Its methods may be used by several goroutines at once.
type Queue struct {
	journal Recorder
	lost    string // the kind of the event that counts what was left out
	log     *logrus.Entry
	more    chan struct{}

	mu    sync.Mutex // guards what follows
	queue []Event
	left  int
	taken chan struct{} // closed and replaced when an event is done with
}

// NewQueue is an empty queue; Run writes what is added. What finds no room is counted in an event of the kind lost.
func NewQueue(journal Recorder, lost string, log *logrus.Entry) *Queue {
	return &Queue{journal: journal, lost: lost, log: log, more: make(chan struct{}, 1), taken: make(chan struct{})}
}

// Add queues an event; it never waits. content becomes JSON.
func (q *Queue) Add(kind string, content any) { q.AddOf("", kind, content) }

// AddOf is Add for an event of a device.
func (q *Queue) AddOf(device, kind string, content any) {
	text, err := json.Marshal(content)
	if err != nil {
		q.log.WithError(err).WithField("kind", kind).Error("journal entry not written")
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) >= queueRoom {
		q.left++
		return
	}
	q.queue = append(q.queue, Event{Kind: kind, Device: device, Content: text})
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// Flush waits until all that was added has been written, or ctx ends.
func (q *Queue) Flush(ctx context.Context) {
	for {
		q.mu.Lock()
		done, taken := len(q.queue) == 0 && q.left == 0, q.taken
		q.mu.Unlock()
		if done {
			return
		}
		select {
		case <-taken:
		case <-ctx.Done():
			return
		}
	}
}

func (q *Queue) next() (Event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 && q.left > 0 {
		text, _ := json.Marshal(map[string]int{"left": q.left}) // a map of ints has JSON
		q.queue, q.left = append(q.queue, Event{Kind: q.lost, Content: text}), 0
	}
	if len(q.queue) == 0 {
		return Event{}, false
	}
	return q.queue[0], true
}

func (q *Queue) written() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = q.queue[1:]
	close(q.taken)
	q.taken = make(chan struct{})
}

// Run writes until ctx ends. What the journal refuses holds nothing up.
func (q *Queue) Run(ctx context.Context) {
	for {
		e, ok := q.next()
		if !ok {
			select {
			case <-q.more:
				continue
			case <-ctx.Done():
				return
			}
		}
		_, err := q.journal.Append(ctx, e)
		kind := link.KindOf(err)
		if err == nil || kind == link.BadRequest || kind == link.Denied {
			if err != nil {
				q.log.WithError(err).WithField("kind", e.Kind).Error("journal entry refused")
			}
			q.written()
			continue
		}
		select {
		case <-time.After(queueRetry):
		case <-ctx.Done():
			return
		}
	}
}
