// Package server is the journal's door: it knows who calls, lets each record and read only its own kinds, and turns
// away what must not be in the log.
//
// It does not store, sign or remember anything. The rule that keeps it small: a route is a check, one call of the
// store, and an answer.
package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/journal/entry"
	"github.com/choba-os/choba/services/journal/guard"
	"github.com/choba-os/choba/services/journal/store"
	"github.com/choba-os/choba/services/link"
)

// Kinds are the prefixes of the kinds that a caller may record and read. table.T.Kinds is one.
type Kinds func(caller string) []string

// New is the handler over a store that is running.
func New(s *store.Store, kinds Kinds, log *logrus.Entry) http.Handler {
	v := &server{store: s, kinds: kinds, log: log}
	m := http.NewServeMux()
	m.HandleFunc("POST /v1/append", v.append)
	m.HandleFunc("GET /v1/key", v.key)
	m.HandleFunc("GET /v1/head", v.head)
	m.HandleFunc("GET /v1/entries", v.entries)
	m.HandleFunc("GET /v1/proof", v.proof)
	return m
}

type server struct {
	store *store.Store
	kinds Kinds
	log   *logrus.Entry
}

func (v *server) append(w http.ResponseWriter, r *http.Request) {
	caller := link.Caller(r)
	if caller == "" {
		link.Refuse(w, link.Denied, "a stranger may not record")
		return
	}
	var given api.Event
	if !link.Read(w, r, &given) {
		return
	}
	e, err := given.Normal()
	if err != nil {
		link.Refuse(w, link.BadRequest, err.Error())
		return
	}
	if !v.own(caller, e.Kind) {
		link.Refuse(w, link.Denied, caller+" may not record "+e.Kind)
		return
	}
	if err := clean(e); err != nil {
		v.log.WithField("caller", caller).WithField("kind", e.Kind).Warn(err.Error())
		link.Refuse(w, link.BadRequest, err.Error())
		return
	}
	v.answer(w, r, caller, e)
}

func (v *server) answer(w http.ResponseWriter, r *http.Request, caller string, e api.Event) {
	// A caller that goes away does not take back what it asked for: the entry may be on disk already.
	recorded, err := v.store.Append(context.WithoutCancel(r.Context()), caller, e)
	switch {
	case err == nil:
		link.Reply(w, proof(recorded))
	case errors.Is(err, store.ErrFull):
		v.log.WithField("caller", caller).Error(err.Error())
		link.Refuse(w, link.Full, "the journal's disk is full: nothing was recorded")
	case errors.Is(err, store.ErrFailed):
		link.Refuse(w, link.Unavailable, "the journal has stopped: nothing was recorded")
	case errors.Is(err, store.ErrLost):
		link.Refuse(w, link.Unknown, "the journal's disk failed: it may have been recorded")
	default:
		v.fail(w, err)
	}
}

// clean turns card numbers away, wherever in an event they are.
func clean(e api.Event) error {
	for _, f := range []struct{ where, text string }{
		{"kind", e.Kind}, {"person", e.Person}, {"approver", e.Approver}, {"device", e.Device},
	} {
		if err := guard.Text(f.where, f.text); err != nil {
			return err
		}
	}
	return guard.JSON("content", e.Content)
}

func (v *server) own(caller, kind string) bool {
	for _, prefix := range v.kinds(caller) {
		if prefix != "" && strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
}

func (v *server) key(w http.ResponseWriter, r *http.Request) {
	if known(w, r) {
		link.Reply(w, api.Key{Key: v.store.Key()})
	}
}

func (v *server) head(w http.ResponseWriter, r *http.Request) {
	if known(w, r) {
		link.Reply(w, api.Head{Checkpoint: v.store.Head()})
	}
}

func (v *server) proof(w http.ResponseWriter, r *http.Request) {
	seq, ok := query(w, r, "seq")
	if !ok {
		return
	}
	recorded, err := v.store.Prove(seq)
	if err != nil && !errors.Is(err, store.ErrNone) {
		v.fail(w, err)
		return
	}
	e, parseErr := entry.Peek(recorded.Entry)
	if err != nil || parseErr != nil || !v.own(link.Caller(r), e.Kind) { // another's entry is not told from none
		link.Refuse(w, link.NotFound, "no such entry of yours")
		return
	}
	link.Reply(w, proof(recorded))
}

func (v *server) entries(w http.ResponseWriter, r *http.Request) {
	from, ok := query(w, r, "from")
	if !ok {
		return
	}
	caller := link.Caller(r)
	send := link.Lines(w)
	err := v.store.Read(from, func(_ uint64, text []byte) error {
		e, err := entry.Peek(text)
		if err != nil {
			return err
		}
		if !v.own(caller, e.Kind) {
			return r.Context().Err()
		}
		return send(json.RawMessage(text))
	})
	if err == nil {
		err = send(api.End{End: true})
	}
	if err != nil && r.Context().Err() == nil { // the answer ends without its last line; the client notices
		v.log.WithError(err).WithField("caller", caller).Error("giving out entries")
	}
}

// query reads the one number that a request carries.
func query(w http.ResponseWriter, r *http.Request, name string) (uint64, bool) {
	if !known(w, r) {
		return 0, false
	}
	n, err := strconv.ParseUint(r.URL.Query().Get(name), 10, 62)
	if err != nil {
		link.Refuse(w, link.BadRequest, "want ?"+name+"= and a number")
		return 0, false
	}
	return n, true
}

func known(w http.ResponseWriter, r *http.Request) bool {
	if link.Caller(r) == "" {
		link.Refuse(w, link.Denied, "a stranger may not ask")
		return false
	}
	return true
}

func (v *server) fail(w http.ResponseWriter, err error) {
	v.log.WithError(err).Error("answering")
	link.RefuseWith(w, err)
}

func proof(r store.Recorded) api.Proof {
	return api.Proof{Entry: r.Entry, Index: r.Index, Size: r.Size, Path: r.Path, Checkpoint: r.Checkpoint}
}
