package guard

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/ports/policy"
)

// The kinds of entry that the guard writes.
const (
	Attached = "port.attached"
	Refused  = "port.refused"
	Detached = "port.detached"
	Failed   = "port.failed"
	// Flood says how many entries were left out because there were too many.
	Flood = "port.flood"
)

// Note is what the journal must know of a device.
type Note struct {
	Kind   string
	Device string
	Fact   Fact
}

// Fact is the content of an entry.
type Fact struct {
	Path       string   `json:"path,omitempty"`
	Vendor     string   `json:"vendor,omitempty"`
	Product    string   `json:"product,omitempty"`
	Serial     string   `json:"serial,omitempty"`
	Maker      string   `json:"maker,omitempty"`
	Name       string   `json:"name,omitempty"`
	Interfaces []string `json:"interfaces,omitempty"`
	Hash       string   `json:"hash,omitempty"`
	Role       string   `json:"role,omitempty"`
	Reason     string   `json:"reason,omitempty"`
	// At is when it happened: the entry may come later than the thing.
	At time.Time `json:"at"`
	// Left is the number of entries left out (Flood only).
	Left int `json:"left,omitempty"`
}

func (d *device) note(kind string) Note {
	return Note{Kind: kind, Device: d.name(), Fact: fact(d.place.Path, d.said, d.row.Role, d.why)}
}

// maxInterfaces bounds what is recorded of a device that has hundreds.
const maxInterfaces = 16

func fact(path string, s policy.Device, role, why string) Fact {
	return Fact{
		Path: path, Vendor: s.Vendor, Product: s.Product, Serial: s.Serial, Maker: s.Maker, Name: s.Name,
		Interfaces: s.Interfaces[:min(len(s.Interfaces), maxInterfaces)], Hash: s.Hash, Role: role, Reason: why,
	}
}

// The most that one minute may add to the journal, so that a device that
// flickers cannot fill the disk. What is left out is counted and said.
const (
	burst  = 60
	refill = time.Second
)

// Notes carries notes to the journal, in order, while the journal is there or
// not. Selling does not wait for it.
type Notes struct {
	append func(context.Context, journalapi.Event) error
	now    func() time.Time
	log    *logrus.Entry

	mu    sync.Mutex // guards all below
	queue []Note
	left  int
	saved float64 // entries that may be written at once
	last  time.Time
	more  chan struct{}
}

// NewNotes returns an empty queue in front of append.
func NewNotes(append func(context.Context, journalapi.Event) error, now func() time.Time, log *logrus.Entry) *Notes {
	return &Notes{append: append, now: now, log: log, saved: burst, last: now(), more: make(chan struct{}, 1)}
}

// Add queues a note; it never waits.
func (n *Notes) Add(note Note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	note.Fact.At = now.UTC()
	n.saved = min(burst, n.saved+now.Sub(n.last).Seconds()/refill.Seconds())
	n.last = now
	if n.saved < 1 || len(n.queue) >= 2*burst {
		n.left++
	} else {
		n.saved--
		n.queue = append(n.queue, note)
	}
	select {
	case n.more <- struct{}{}:
	default:
	}
}

// next is the note to write now.
func (n *Notes) next() (Note, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) > 0 {
		return n.queue[0], true
	}
	now := n.now()
	if n.left > 0 && now.Sub(n.last) >= time.Second {
		note := Note{Kind: Flood, Fact: Fact{Left: n.left, At: now.UTC()}}
		n.queue, n.left = append(n.queue, note), 0
		return note, true
	}
	return Note{}, false
}

func (n *Notes) written() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = n.queue[1:]
}

// Run writes until ctx ends.
func (n *Notes) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.more:
		case <-tick.C:
		}
		for {
			note, ok := n.next()
			if !ok || !n.write(ctx, note) {
				break
			}
			n.written()
		}
	}
}

// write tells whether the note is done with: written, or never to be.
func (n *Notes) write(ctx context.Context, note Note) bool {
	content, err := json.Marshal(note.Fact)
	if err == nil {
		err = n.append(ctx, journalapi.Event{Kind: note.Kind, Device: note.Device, Content: content})
	}
	if err == nil {
		return true
	}
	n.log.WithError(err).WithField("kind", note.Kind).Warn("journal entry not written")
	switch link.KindOf(err) {
	case link.BadRequest, link.Denied:
		return true // it will never be taken
	}
	return false
}
