package update

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/update/api"
)

// The kinds of event that the service records, each when something changed and at no other time.
const (
	kindFound   = "update.found"
	kindStaged  = "update.staged"
	kindOffered = "update.offered"
	kindRefused = "update.refused"
	kindRestart = "update.restart"
	kindWarning = "update.warning"
)

// release is how an event names one.
type release struct {
	Version uint64 `json:"version"`
	Name    string `json:"name"`
}

func releaseOf(r api.Release) release { return release{r.Version, r.Name} }

type foundEvent struct {
	release
	Manifest string `json:"manifest"`
	Source   string `json:"source"`
}

type stagedEvent struct {
	release
	Source  string `json:"source"`
	Bytes   int64  `json:"bytes"`   // fetched
	Saved   int64  `json:"saved"`   // not fetched, being on the disk already
	Written int64  `json:"written"` // to the slot
}

type offeredEvent struct {
	release
	Manifest string `json:"manifest"`
	Anew     bool   `json:"anew"` // a person's wish
}

type refusedEvent struct {
	release
	Why string `json:"why"`
}

type restartEvent struct{ release }

type warningEvent struct {
	Text   string `json:"text"`
	TextEn string `json:"textEn"`
}

const (
	postRoom  = 64              // events that may wait for the journal
	postRetry = 2 * time.Second // for a journal that does not answer
	postTime  = 3 * time.Second // that a restart waits for it
)

// post carries events to the journal, in order, without holding anything up.
type post struct {
	journal Journal
	wait    func(context.Context, time.Duration) error
	log     *logrus.Entry
	more    chan struct{}

	mu    sync.Mutex // guards queue
	queue []journalapi.Event
}

func newPost(j Journal, wait func(context.Context, time.Duration) error, log *logrus.Entry) *post {
	return &post{journal: j, wait: wait, log: log, more: make(chan struct{}, 1)}
}

// add takes an event; it never waits. One that finds no room is in the log alone.
func (p *post) add(kind string, content any) {
	text, err := json.Marshal(content)
	if err != nil {
		p.log.WithError(err).WithField("kind", kind).Error("an event has no JSON")
		return
	}
	p.log.WithField("kind", kind).WithField("content", string(text)).Info("event")
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) >= postRoom {
		p.log.WithField("kind", kind).Error("the journal takes no events: one is lost")
		return
	}
	p.queue = append(p.queue, journalapi.Event{Kind: kind, Content: text})
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// now takes an event and waits a moment for all of them to be written.
func (p *post) now(ctx context.Context, kind string, content any) {
	p.add(kind, content)
	ctx, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	for ctx.Err() == nil {
		if _, waiting := p.first(); !waiting {
			return
		}
		if p.wait(ctx, 20*time.Millisecond) != nil {
			return
		}
	}
}

func (p *post) first() (journalapi.Event, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return journalapi.Event{}, false
	}
	return p.queue[0], true
}

func (p *post) written() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = p.queue[1:]
}

func (p *post) run(ctx context.Context) {
	for {
		e, ok := p.first()
		if !ok {
			select {
			case <-p.more:
				continue
			case <-ctx.Done():
				return
			}
		}
		_, err := p.journal.Append(ctx, e)
		switch kind := link.KindOf(err); {
		case err == nil:
			p.written()
		case kind == link.BadRequest || kind == link.Denied:
			p.log.WithError(err).WithField("kind", e.Kind).Error("the journal refuses an event")
			p.written()
		case p.wait(ctx, postRetry) != nil:
			return
		}
	}
}
