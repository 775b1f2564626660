package printer

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/choba-os/choba/services/devices/api"
	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
)

const (
	// fresh is how old a command may be.
	fresh = 30 * time.Second
	// The most commands in a minute and in an hour.
	perMinute = 20
	perHour   = 300
	// commander is the one service whose entries open the drawer.
	commander = "register"
	// keyEvery bounds how often the journal is asked for its key.
	keyEvery = time.Second
)

// drawerGuard decides whether the drawer may be opened. What it lets through is
// recorded already: the proof of it is the permission. All that it needs to
// remember it remembers since the entry that it wrote when it began; commands
// from before that entry are void.
type drawerGuard struct {
	journal *journalapi.Client
	mono    func() (int64, error)
	now     func() time.Time

	mu      sync.Mutex // guards all below
	boot    string
	first   uint64 // commands are recorded after this entry
	key     string
	keyAt   time.Time
	entries map[uint64]bool
	ids     map[string]bool
	opened  []time.Time // commands let through within the last hour
}

func newDrawerGuard(journal *journalapi.Client, mono func() (int64, error), now func() time.Time) *drawerGuard {
	return &drawerGuard{journal: journal, mono: mono, now: now, entries: map[uint64]bool{}, ids: map[string]bool{}}
}

// begin writes the entry that voids all commands before it.
func (g *drawerGuard) begin(ctx context.Context) error {
	proof, err := g.journal.Append(ctx, journalapi.Event{Kind: kindStarted})
	if err != nil {
		return fmt.Errorf("recording the start: %w", err)
	}
	key, err := g.journal.Key(ctx)
	if err != nil {
		return fmt.Errorf("asking for the journal's key: %w", err)
	}
	e, err := journalapi.Check(key, proof)
	if err != nil {
		return fmt.Errorf("checking the start: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.boot, g.first, g.key, g.keyAt = e.Boot, e.Seq, key, g.now()
	return nil
}

func denied(format string, args ...any) error {
	return &link.Error{Kind: link.Denied, Text: fmt.Sprintf(format, args...)}
}

// permit judges a command. When it returns no error the command is used up.
func (g *drawerGuard) permit(ctx context.Context, p journalapi.Proof) (api.DrawerOpen, journalapi.Entry, error) {
	e, err := g.check(ctx, p)
	if err != nil {
		return api.DrawerOpen{}, e, err
	}
	var c api.DrawerOpen
	if err := g.about(e, &c); err != nil {
		return c, e, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.entries[e.Seq] || g.ids[c.Command]:
		return c, e, denied("this command was used before")
	case e.Seq <= g.first:
		return c, e, denied("this command is from before the printer service began")
	}
	if err := g.limit(); err != nil {
		return c, e, err
	}
	g.entries[e.Seq], g.ids[c.Command] = true, true
	return c, e, nil
}

// check verifies the proof. The journal has a new key whenever it starts, so an
// unknown signature asks for the key once more.
func (g *drawerGuard) check(ctx context.Context, p journalapi.Proof) (journalapi.Entry, error) {
	g.mu.Lock()
	key, due := g.key, g.now().Sub(g.keyAt) >= keyEvery
	g.mu.Unlock()
	e, err := journalapi.Check(key, p)
	if err != nil && due {
		if key, err = g.journal.Key(ctx); err != nil {
			return e, &link.Error{Kind: link.Unavailable, Text: "the journal does not tell its key"}
		}
		g.mu.Lock()
		g.key, g.keyAt = key, g.now()
		g.mu.Unlock()
		e, err = journalapi.Check(key, p)
	}
	if err != nil {
		return journalapi.Entry{}, denied("the proof is not good: %v", err)
	}
	return e, nil
}

// about checks that the entry is a command, of now, by who may give one.
func (g *drawerGuard) about(e journalapi.Entry, c *api.DrawerOpen) error {
	now, err := g.mono()
	if err != nil {
		return &link.Error{Kind: link.Unavailable, Text: "the clock cannot be read"}
	}
	g.mu.Lock()
	boot := g.boot
	g.mu.Unlock()
	age := time.Duration(now - e.Mono)
	switch {
	case e.Kind != api.KindDrawerOpen:
		return denied("the entry is a %s, not a command to the drawer", e.Kind)
	case e.Service != commander:
		return denied("%s may not open the drawer", e.Service)
	case e.Boot != boot:
		return denied("the command is from another boot")
	case age > fresh || age < 0:
		return denied("the command is not fresh: recorded %s ago", age.Round(time.Second))
	}
	if err := link.Decode(e.Content, c); err != nil {
		return denied("the command cannot be read: %v", err)
	}
	if !goodID(c.Command) {
		return denied("the command has no good id")
	}
	return nil
}

// limit counts the command. Call with mu held.
func (g *drawerGuard) limit() error {
	now := g.now()
	kept, minute := g.opened[:0], 0
	for _, at := range g.opened {
		if now.Sub(at) < time.Hour {
			kept = append(kept, at)
			if now.Sub(at) < time.Minute {
				minute++
			}
		}
	}
	g.opened = kept
	if minute >= perMinute || len(kept) >= perHour {
		return denied("the drawer was opened %d times within a minute and %d times within an hour", minute, len(kept))
	}
	g.opened = append(g.opened, now)
	return nil
}

// commanded is the content of what is recorded about a command.
type commanded struct {
	Command string  `json:"command,omitempty"`
	Sale    string  `json:"sale,omitempty"`
	Entry   *uint64 `json:"entry,omitempty"` // of the command
	State   string  `json:"state,omitempty"`
	Reason  string  `json:"reason,omitempty"`
}

// open answers POST /v1/open.
func (s *Service) open(w http.ResponseWriter, r *http.Request) {
	var cmd api.Command
	if !link.Read(w, r, &cmd) {
		return
	}
	c, e, err := s.guard.permit(r.Context(), cmd.Proof)
	fact := commanded{Command: c.Command, Sale: c.Sale}
	if e.Service != "" {
		fact.Entry = &e.Seq
	}
	if err != nil {
		s.o.Log.WithError(err).Warn("drawer command refused")
		fact.Reason = cut(err.Error())
		s.record.Add(kindRefused, fact)
		link.RefuseWith(w, err)
		return
	}
	result := api.Result{ID: c.Command, State: api.NotDone, Reason: "there is no printer"}
	if p := s.printer(); p != nil {
		// A caller that hangs up does not stop a pulse half-way.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 10*time.Second)
		defer cancel()
		out, reason := p.Pulse(ctx)
		result.State, result.Reason = stateOf(out), reason
	}
	fact.State, fact.Reason = result.State, result.Reason
	kind := kindFailed
	if result.State == api.Done {
		kind = kindOpened
	}
	s.mu.Lock()
	device := s.device
	s.mu.Unlock()
	s.record.AddOf(device, kind, fact)
	link.Reply(w, result)
}

// cut keeps a reason short enough for the journal.
func cut(s string) string {
	r := []rune(s)
	return string(r[:min(len(r), 300)])
}
