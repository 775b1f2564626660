package network

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sirupsen/logrus"

	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
)

// Bounds of the way to the journal.
const (
	room  = 64 // events that may wait
	again = time.Second
)

// Notes carries events to the journal in order, without holding up the network. What does not fit is counted in an
// event of its own.
type Notes struct {
	journal *journalapi.Client
	log     *logrus.Entry
	queue   chan journalapi.Event
	lost    chan int // holds one: how many did not fit
}

// NewNotes is an empty queue in front of the journal.
func NewNotes(journal *journalapi.Client, log *logrus.Entry) *Notes {
	n := &Notes{journal: journal, log: log, queue: make(chan journalapi.Event, room), lost: make(chan int, 1)}
	n.lost <- 0
	return n
}

// Add queues an event; it never waits.
func (n *Notes) Add(kind string, content any) {
	body, err := json.Marshal(content)
	if err != nil {
		n.log.WithError(err).WithField("kind", kind).Error("an event cannot be written")
		return
	}
	select {
	case n.queue <- journalapi.Event{Kind: kind, Content: body}:
	default:
		n.lost <- <-n.lost + 1
	}
}

// Run writes until ctx ends.
func (n *Notes) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-n.queue:
			n.write(ctx, e)
		}
		lost := <-n.lost
		n.lost <- 0
		if lost > 0 {
			body, _ := json.Marshal(map[string]int{"lost": lost}) // a map of ints has JSON
			n.write(ctx, journalapi.Event{Kind: "network.lost", Content: body})
		}
	}
}

func (n *Notes) write(ctx context.Context, e journalapi.Event) {
	for ctx.Err() == nil {
		_, err := n.journal.Append(ctx, e)
		if k := link.KindOf(err); k == link.BadRequest || k == link.Denied {
			n.log.WithError(err).WithField("kind", e.Kind).Error("an event was refused")
			return
		}
		if err == nil {
			return
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
		}
	}
}
