// Package record carries what a device did to the journal, in order and without
// holding up the device.
//
// It is not for what must be recorded before something may happen: that waits
// for the journal itself. The rule that keeps it small: a queue, its bound, and
// an honest count of what did not fit.
package record

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
)

const (
	// room is how many entries may wait.
	room = 256
	// retry is how long to wait for a journal that does not answer.
	retry = time.Second
)

// Queue is a queue of entries in front of a journal.
type Queue struct {
	journal *journalapi.Client
	kind    string // of the entry that counts what was left out
	log     *logrus.Entry

	mu    sync.Mutex // guards all below
	queue []journalapi.Event
	left  int
	more  chan struct{}
}

// New returns an empty queue. What does not fit is counted in an entry of kind
// lostKind.
func New(journal *journalapi.Client, lostKind string, log *logrus.Entry) *Queue {
	return &Queue{journal: journal, kind: lostKind, log: log, more: make(chan struct{}, 1)}
}

// Add queues an entry; it never waits. content becomes JSON.
func (q *Queue) Add(kind, device string, content any) {
	text, err := json.Marshal(content)
	if err != nil {
		q.log.WithError(err).WithField("kind", kind).Error("journal entry not written")
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) >= room {
		q.left++
		return
	}
	q.queue = append(q.queue, journalapi.Event{Kind: kind, Device: device, Content: text})
	select {
	case q.more <- struct{}{}:
	default:
	}
}

func (q *Queue) next() (journalapi.Event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 && q.left > 0 {
		text, _ := json.Marshal(map[string]int{"left": q.left}) // a map of ints has JSON
		q.queue, q.left = append(q.queue, journalapi.Event{Kind: q.kind, Content: text}), 0
	}
	if len(q.queue) == 0 {
		return journalapi.Event{}, false
	}
	return q.queue[0], true
}

func (q *Queue) written() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = q.queue[1:]
}

// Run writes until ctx ends.
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
		case <-time.After(retry):
		case <-ctx.Done():
			return
		}
	}
}
