// Package serve holds one memory stick, reads what is on it, and serves its repository files to update.
//
// It has no right but the file of the one device that ports hands to it, and answers nobody but update, which proves
// what it gets. It never writes. The rule that keeps it small: one stick at a time, from plug to pull; whatever goes
// wrong with it is a state with a sentence, and the next stick starts from nothing.
package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/choba-os/choba/drivers/usbstick"
	"github.com/choba-os/choba/image/fat"
	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/link/feed"
	portsapi "github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/stick/api"
	"github.com/choba-os/choba/services/stick/medium"
)

// The kinds of journal entry.
const (
	Opened     = "stick.opened"
	Unreadable = "stick.unreadable"
)

const (
	turn    = time.Second      // how often the main loop turns at least
	retry   = time.Second      // when ports does not answer or says no
	empty   = 5 * time.Second  // when a card reader without a card is looked at again
	patient = 30 * time.Second // for a reader to take a part of a file
	part    = 256 << 10        // bytes that are sent in one go
)

// Options are what a Service works with.
type Options struct {
	// Claim waits for a stick from ports.
	Claim func(ctx context.Context) (*portsapi.Handed, error)
	// Open starts the stick behind a handed file; nil is usbstick.OpenFD.
	Open func(f *os.File, o usbstick.Options) (*usbstick.Stick, error)
	// Append records an event; it may take its time.
	Append func(ctx context.Context, e journalapi.Event) error
	Log    *logrus.Entry
}

// Service is the stick service.
type Service struct {
	o   Options
	now *feed.Value[offer]
}

// offer is what is plugged in, and what can be read of it; the zero offer is nothing.
type offer struct {
	api.State
	medium *medium.Medium
}

// New returns a service without a stick.
func New(o Options) *Service {
	if o.Open == nil {
		o.Open = usbstick.OpenFD
	}
	return &Service{o: o, now: feed.NewValue(offer{})}
}

// Run takes one stick after the other until ctx ends. The stick itself is read elsewhere, so that one that does not
// answer does not stop the loop; alive is called on every turn.
func (s *Service) Run(ctx context.Context, alive func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			s.one(ctx)
		}
	}()
	tick := time.NewTicker(turn)
	defer tick.Stop()
	for {
		alive()
		select {
		case <-tick.C:
		case <-done:
			return nil
		}
	}
}

// one waits for a stick and keeps it until it is pulled out.
func (s *Service) one(ctx context.Context) {
	h, err := s.o.Claim(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.o.Log.WithError(err).Warn("no stick from ports")
		}
		pause(ctx, retry)
		return
	}
	defer s.now.Set(offer{})
	defer h.Release()
	log := s.o.Log.WithField("device", h.Device)
	s.show(looking(), h.Device, nil)
	stick, err := s.o.Open(h.File, usbstick.Options{})
	var m *medium.Medium
	if err == nil {
		defer func() { _ = stick.Close() }()
		m, err = medium.Open(stick, stick.Size())
	}
	if err != nil {
		log.WithError(err).Warn("stick cannot be read")
		s.show(unreadable(err), h.Device, nil)
		go s.record(ctx, Unreadable, h.Device, fact{Reason: short(err)})
		if errors.Is(err, usbstick.ErrEmpty) {
			select {
			case <-h.Gone:
			case <-ctx.Done():
			case <-time.After(empty):
			}
			return
		}
	} else {
		log.WithFields(logrus.Fields{"name": stick.Name(), "bytes": stick.Size()}).Info("stick can be read")
		s.show(readable(m.Repository), h.Device, m)
		go s.record(ctx, Opened, h.Device, fact{Name: stick.Name(), Bytes: stick.Size(), Repository: m.Repository})
	}
	select {
	case <-h.Gone:
	case <-ctx.Done():
	}
}

func (s *Service) show(st api.State, device string, m *medium.Medium) {
	st.Device = device
	s.now.Set(offer{st, m})
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// fact is the content of an entry.
type fact struct {
	Name       string `json:"name,omitempty"` // what the stick calls itself
	Bytes      int64  `json:"bytes,omitempty"`
	Repository bool   `json:"repository,omitempty"`
	Reason     string `json:"reason,omitempty"`
}

func short(err error) string {
	r := []rune(err.Error())
	return string(r[:min(len(r), 200)])
}

// record tries once: what matters about a stick (that it came and went) is recorded by ports.
func (s *Service) record(ctx context.Context, kind, device string, f fact) {
	text, err := json.Marshal(f)
	if err == nil && s.o.Append != nil {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		err = s.o.Append(ctx, journalapi.Event{Kind: kind, Device: device, Content: text})
	}
	if err != nil {
		s.o.Log.WithError(err).WithField("kind", kind).Warn("journal entry not written")
	}
}

// Handler answers update.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/state", s.follow)
	mux.HandleFunc("GET /v1/file", s.file)
	return mux
}

func (s *Service) follow(w http.ResponseWriter, r *http.Request) {
	send := link.Lines(w)
	_ = s.now.Follow(r.Context(), func(o offer) error { return send(o.State) }) // the caller left
}

func (s *Service) file(w http.ResponseWriter, r *http.Request) {
	from, fromErr := strconv.ParseInt(r.FormValue("from"), 10, 64)
	n, nErr := strconv.ParseInt(r.FormValue("n"), 10, 64)
	path := r.FormValue("path")
	if fromErr != nil || nErr != nil || from < 0 || n < 0 {
		link.Refuse(w, link.BadRequest, "from and n are not two numbers")
		return
	}
	now := s.now.Get()
	if now.medium == nil {
		text := now.TextEn
		if text == "" {
			text = "There is no USB stick."
		}
		link.Refuse(w, link.Unavailable, text)
		return
	}
	f, err := now.medium.File(path)
	if err != nil {
		s.refuse(w, path, err)
		return
	}
	if n == 0 {
		n = max(0, f.Size()-from)
	}
	if from > f.Size() || n > f.Size()-from {
		link.Refuse(w, link.BadRequest, fmt.Sprintf("%d bytes from %d of a file of %d", n, from, f.Size()))
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set(api.SizeHeader, strconv.FormatInt(f.Size(), 10))
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	if err := send(w, io.NewSectionReader(f, from, n)); err != nil {
		s.o.Log.WithError(err).WithField("path", path).Warn("file not sent to its end")
	}
}

func (s *Service) refuse(w http.ResponseWriter, path string, err error) {
	switch {
	case errors.Is(err, medium.ErrPath):
		link.Refuse(w, link.BadRequest, "that is no path of a repository")
	case errors.Is(err, fat.ErrMissing):
		link.Refuse(w, link.NotFound, "the stick has no file of that name")
	default:
		s.o.Log.WithError(err).WithField("path", path).Warn("file cannot be opened")
		link.Refuse(w, link.Unavailable, unreadable(err).TextEn)
	}
}

// send copies a file to the caller. When it ends early, the length that was announced tells the caller so.
func send(w http.ResponseWriter, r io.Reader) error {
	rc := http.NewResponseController(w)
	defer func() { _ = rc.SetWriteDeadline(time.Time{}) }() // the connection may be used again
	buf := make([]byte, part)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			// Not every test's writer knows deadlines; a real connection does.
			_ = rc.SetWriteDeadline(time.Now().Add(patient))
			if _, werr := w.Write(buf[:n]); werr != nil {
				return werr
			}
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
	}
}
