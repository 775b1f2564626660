// Package printer serves a receipt printer, and the cash drawer behind it, to
// the register.
//
// It knows no receipts: lines come from the register, bytes are the driver's.
// The rule that keeps it small: a job or a command happens at most once, and
// what is said of it is what the device said.
package printer

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/choba-os/choba/drivers/escpos"
	"github.com/choba-os/choba/services/devices/api"
	"github.com/choba-os/choba/services/devices/claim"
	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/link/feed"
	portsapi "github.com/choba-os/choba/services/ports/api"
)

const (
	retry = 500 * time.Millisecond
	turn  = time.Second
)

// The kinds of entry that the printer writes.
const (
	kindStarted    = "print.started" // this service began; commands from before it are void
	kindBegun      = "print.begun"   // before the first byte of a job
	kindEnded      = "print.ended"
	kindLost       = "print.lost" // entries left out
	kindOpened     = "drawer.opened"
	kindFailed     = "drawer.failed"
	kindRefused    = "drawer.refused"
	kindUnexpected = "drawer.unexpected"
	kindClosed     = "drawer.closed"
)

// Options are what the service is made of.
type Options struct {
	Claim   claim.Func
	Journal *journalapi.Client
	Font    escpos.Font
	// OpenIsLow turns the drawer's sensor round.
	OpenIsLow bool
	// Now is the wall clock, Mono nanoseconds since boot, as the journal has them.
	Now  func() time.Time
	Mono func() (int64, error)
	Log  *logrus.Entry
}

// Service is one printer.
type Service struct {
	o      Options
	state  *feed.Value[api.State]
	record *journalapi.Queue
	jobs   *jobs
	guard  *drawerGuard
	ready  chan struct{} // closed when the journal was read

	mu       sync.Mutex // guards all below
	driver   *escpos.Printer
	device   string
	expected bool // the drawer is open by a command, and has not been seen shut since
}

// New returns a service that has no printer yet.
func New(o Options) *Service {
	s := &Service{
		o: o, state: feed.NewValue(api.State{Connection: api.Absent, Text: api.TextAbsent, Since: o.Now()}),
		record: journalapi.NewQueue(o.Journal, kindLost, o.Log), ready: make(chan struct{}),
	}
	s.jobs = newJobs(s)
	s.guard = newDrawerGuard(o.Journal, o.Mono, o.Now)
	return s
}

// Handler answers the register.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/print", s.begun(s.print))
	mux.HandleFunc("POST /v1/open", s.begun(s.open))
	mux.HandleFunc("GET /v1/state", func(w http.ResponseWriter, r *http.Request) {
		send := link.Lines(w)
		_ = s.state.Follow(r.Context(), func(v api.State) error { return send(v) }) // the caller left
	})
	return mux
}

// Run claims the printer, again and again, and drives it, until ctx ends.
func (s *Service) Run(ctx context.Context, alive func()) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.record.Run(ctx) })
	wg.Go(func() { s.begin(ctx) })
	wg.Go(func() { s.jobs.run(ctx) })
	claims := make(chan *portsapi.Handed)
	gone := make(chan error, 1)
	tick := time.NewTicker(turn)
	defer tick.Stop()
	wg.Go(func() { s.o.Claim.Next(ctx, claims) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			alive()
		case h := <-claims:
			wg.Go(func() { gone <- s.drive(ctx, h) })
		case err := <-gone:
			s.o.Log.WithError(err).Info("printer left")
			wg.Go(func() { s.o.Claim.Next(ctx, claims) })
		}
	}
}

// beginIn is how long a caller waits for a service that has just started.
const beginIn = 10 * time.Second

// begun lets callers through when the journal was read.
func (s *Service) begun(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-s.ready:
			next(w, r)
		case <-r.Context().Done():
		case <-time.After(beginIn):
			link.Refuse(w, link.Unavailable, "the journal does not answer the printer service")
		}
	}
}

// begin learns from the journal what this service did before, and where in the
// journal its present life begins. Until then it does nothing.
func (s *Service) begin(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.recall(ctx)
		if err == nil {
			err = s.guard.begin(ctx)
		}
		if err == nil {
			close(s.ready)
			return
		}
		s.o.Log.WithError(err).Warn("the journal does not answer yet")
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

// drive talks to one printer until it is gone.
func (s *Service) drive(ctx context.Context, h *portsapi.Handed) error {
	defer h.Release()
	var first [4]byte
	if _, err := rand.Read(first[:]); err != nil {
		return fmt.Errorf("choosing process ids: %w", err)
	}
	var p *escpos.Printer
	p = escpos.New(h.File, escpos.Options{
		Paper: escpos.Paper{Font: s.o.Font}, OpenIsLow: s.o.OpenIsLow, FirstMark: binary.LittleEndian.Uint32(first[:]),
		Changed: func(st escpos.State) { s.show(p, st) }, Moved: func(d escpos.Drawer) { s.moved(h.Device, d) },
	})
	s.mu.Lock()
	s.driver, s.device = p, h.Device
	s.mu.Unlock()
	s.show(p, escpos.State{})
	err := p.Run(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.driver, s.device = nil, ""
	s.state.Set(api.State{Connection: api.Absent, Text: api.TextAbsent, Since: s.o.Now()})
	return err
}

func (s *Service) printer() *escpos.Printer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.driver
}

// show turns what the driver knows into what the register is told. A driver
// that is no longer ours has nothing to say.
func (s *Service) show(from *escpos.Printer, st escpos.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.driver != from {
		return
	}
	out := api.State{Device: s.device, Connection: api.Ready, Text: textOf(st), DrawerOpen: st.DrawerOpen, CoverOpen: st.Status.Cover}
	switch {
	case !st.Known || st.Silent:
		out.Connection = api.Error
	case st.Status.PaperEnd:
		out.Paper = api.PaperOut
	case st.Status.NearEnd:
		out.Paper = api.PaperNearEnd
	default:
		out.Paper = api.PaperOK
	}
	before := s.state.Get()
	out.Since = before.Since
	if out != before {
		out.Since = s.o.Now()
		s.state.Set(out)
	}
}

// textOf names what matters most.
func textOf(st escpos.State) string {
	f := st.Status
	for _, c := range []struct {
		is   bool
		text string
	}{
		{!st.Known || st.Silent, api.TextSilent},
		{f.Cover, api.TextCoverOpen},
		{f.PaperEnd, api.TextPaperOut},
		{f.Cutter, api.TextCutter},
		{f.Dead || f.Hot, api.TextFault},
		{f.Offline, api.TextOffline},
		{st.Waiting, api.TextWaiting},
		{st.Printing, api.TextPrinting},
		{f.NearEnd, api.TextNearEnd},
		{st.DrawerOpen, api.TextDrawerOpen},
	} {
		if c.is {
			return c.text
		}
	}
	return ""
}

// moved records what the drawer did. A drawer that opens without our pulse is
// an alarm; so is one that is found open, unless we had left it so.
func (s *Service) moved(device string, d escpos.Drawer) {
	s.mu.Lock()
	known := s.expected
	s.expected = d.Open && (d.Own || d.First && known)
	s.mu.Unlock()
	switch {
	case !d.Open:
		s.record.AddOf(device, kindClosed, struct{}{})
	case !d.Own && !(d.First && known):
		s.record.AddOf(device, kindUnexpected, map[string]bool{"foundOpen": d.First})
	}
}
