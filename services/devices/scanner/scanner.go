// Package scanner serves the codes of a barcode scanner to the register.
//
// It does not know what a code means. The rule that keeps it small: each thing
// that the scanner typed becomes exactly one scan, good or bad, with a number.
package scanner

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/choba-os/choba/drivers/input"
	"github.com/choba-os/choba/drivers/wedge"
	"github.com/choba-os/choba/services/devices/api"
	"github.com/choba-os/choba/services/devices/claim"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/link/feed"
	portsapi "github.com/choba-os/choba/services/ports/api"
)

const (
	kept = 4096
	turn = time.Second
)

// Service is one scanner.
type Service struct {
	claim  claim.Func
	layout input.Layout
	now    func() time.Time
	log    *logrus.Entry
	scans  *feed.Ring[api.Scan]
	state  *feed.Value[api.State]
}

// New returns a service that gets its device from ports.
func New(from claim.Func, layout input.Layout, now func() time.Time, log *logrus.Entry) *Service {
	return &Service{
		claim: from, layout: layout, now: now, log: log, scans: feed.NewRing[api.Scan](kept),
		state: feed.NewValue(api.State{Connection: api.Absent, Text: api.TextAbsent, Since: now()}),
	}
}

// Handler answers the register.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/scans", func(w http.ResponseWriter, r *http.Request) {
		after, err := strconv.ParseUint(r.FormValue("after"), 10, 64)
		if err != nil {
			link.Refuse(w, link.BadRequest, "after is not a number")
			return
		}
		send := link.Lines(w)
		_ = s.scans.Follow(r.Context(), after, func(v api.Scan) error { return send(v) }) // the caller left
	})
	mux.HandleFunc("POST /v1/selftest", s.selfTest)
	mux.HandleFunc("GET /v1/state", func(w http.ResponseWriter, r *http.Request) {
		send := link.Lines(w)
		_ = s.state.Follow(r.Context(), func(v api.State) error { return send(v) }) // the caller left
	})
	return mux
}

// selfTest queues a marked scan. It has no code, so that nobody can make a line
// of a sale of it; only callers that the table names come this far.
func (s *Service) selfTest(w http.ResponseWriter, r *http.Request) {
	var t api.SelfTest
	if !link.Read(w, r, &t) {
		return
	}
	if !isWord(t.ID) {
		link.Refuse(w, link.BadRequest, "the id is not a word")
		return
	}
	at := s.now()
	s.scans.Add(func(n uint64) api.Scan { return api.Scan{Seq: n, Test: t.ID, At: at} })
	link.Reply(w, struct{}{})
}

func isWord(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	return s != "" && len(s) <= 64 && strings.Trim(s, letters) == ""
}

// Run claims the scanner, again and again, and reads it, until ctx ends.
func (s *Service) Run(ctx context.Context, alive func()) error {
	claims := make(chan *portsapi.Handed)
	tick := time.NewTicker(turn)
	defer tick.Stop()
	for ctx.Err() == nil {
		go s.claim.Next(ctx, claims)
		var h *portsapi.Handed
		for h == nil && ctx.Err() == nil {
			select {
			case h = <-claims:
			case <-tick.C:
				alive()
			case <-ctx.Done():
			}
		}
		if h == nil {
			return nil
		}
		s.set(api.State{Device: h.Device, Connection: api.Ready})
		err := s.read(ctx, h, alive)
		h.Release()
		s.log.WithError(err).WithField("device", h.Device).Info("scanner left")
		s.set(api.State{Connection: api.Absent, Text: api.TextAbsent})
	}
	return nil
}

func (s *Service) set(st api.State) {
	st.Since = s.now()
	s.state.Set(st)
}

func (s *Service) add(c wedge.Code) {
	at := s.now()
	s.scans.Add(func(n uint64) api.Scan { return api.Scan{Seq: n, Code: c.Text, At: at, Bad: c.Bad} })
}

// read turns events into scans until the device is gone.
func (s *Service) read(ctx context.Context, h *portsapi.Handed, alive func()) error {
	stop := context.AfterFunc(ctx, h.Release)
	defer stop()
	d, err := wedge.New(s.layout)
	if err != nil {
		return err
	}
	r := events{f: h.File}
	var codes []wedge.Code
	for {
		alive()
		wait := turn
		if d.Typing() {
			wait = d.Gap()
		}
		list, err := r.next(wait)
		codes = codes[:0]
		for _, e := range list {
			codes = d.Event(codes, e)
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if d.Typing() {
				codes = d.Idle(codes)
			}
		case err != nil && d.Typing():
			codes = append(codes, wedge.Code{Bad: wedge.Partial}) // pulled while it typed
		}
		for _, c := range codes {
			s.add(c)
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

// events reads a node with a time limit.
type events struct {
	f   *os.File
	buf [64 * input.EventSize]byte
	out []input.Event
}

// next waits for events. It says that the time is over only after it has looked
// once more: on a busy machine the time may be over before anybody had a chance
// to read what lies there.
func (r *events) next(wait time.Duration) ([]input.Event, error) {
	n, err := r.read(wait)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		n, err = r.read(time.Millisecond)
	}
	if err != nil {
		return nil, err
	}
	r.out, err = input.Decode(r.out[:0], r.buf[:n])
	return r.out, err
}

func (r *events) read(wait time.Duration) (int, error) {
	if err := r.f.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, err
	}
	return r.f.Read(r.buf[:])
}
