package update

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/update/api"
)

// Handler answers the register.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/view", func(w http.ResponseWriter, r *http.Request) {
		send := link.Lines(w)
		if err := s.view.Follow(r.Context(), func(v api.View) error { return send(v) }); err != nil {
			s.Log.WithError(err).Debug("a reader of the view has left")
		}
	})
	mux.Handle("POST /v1/busy", on(s, s.isBusy))
	mux.Handle("POST /v1/now", on(s, s.wishNow))
	mux.Handle("POST /v1/postpone", on(s, s.putOff))
	mux.Handle("POST /v1/check", on(s, func(api.Check) error { s.check(); return nil }))
	mux.Handle("POST /v1/again", on(s, s.tryAgain))
	return mux
}

// on has f carried out by Run's goroutine and answers with what it says.
func on[T any](s *Service, f func(T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		if !link.Read(w, r, &in) {
			return
		}
		done := make(chan error, 1)
		select {
		case s.do <- func() { done <- f(in) }:
		case <-r.Context().Done():
			return
		}
		if err := <-done; err != nil {
			link.RefuseWith(w, err)
			return
		}
		link.Reply(w, struct{}{})
	}
}

func (s *Service) isBusy(b api.Busy) error {
	s.st.said, s.st.lease = b.Busy, s.Mono()+api.BusyLease
	return nil
}

func (s *Service) wishNow(api.Now) error {
	if s.st.now.phase != api.PhaseReady {
		return &link.Error{Kind: link.Conflict, Text: "no newer version is in place"}
	}
	s.st.wish, s.st.postponed, s.st.notBefore = true, 0, 0
	return nil
}

func (s *Service) putOff(p api.Postpone) error {
	if p.Hours < 0 || p.Hours > api.MaxPostpone {
		return &link.Error{Kind: link.BadRequest, Text: fmt.Sprintf("a restart can be put off by 1 to %d hours, 0 takes it back", api.MaxPostpone)}
	}
	if s.st.leaving {
		return &link.Error{Kind: link.Conflict, Text: "the register is restarting already"}
	}
	s.st.wish, s.st.postponed = false, 0
	if p.Hours > 0 {
		s.st.postponed = s.Mono() + time.Duration(p.Hours)*time.Hour
	}
	return nil
}

func (s *Service) tryAgain(a api.Again) error {
	if !slices.Contains(s.st.now.retry, a.Version) {
		return &link.Error{Kind: link.Conflict, Text: fmt.Sprintf("version %d did not fail here, or is not newer than the running one", a.Version)}
	}
	s.st.again = a.Version
	s.check()
	return nil
}
