package register

import (
	"context"
	"net/http"

	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/register/api"
)

// touch is an Act on its way to the main loop.
type touch struct {
	act    api.Act
	answer chan error
}

// Do hands an Act to the main loop and waits for what became of it.
func (r *Register) Do(ctx context.Context, a api.Act) (api.View, error) {
	t := touch{a, make(chan error, 1)}
	select {
	case r.touches <- t:
	case <-ctx.Done():
		return api.View{}, &link.Error{Kind: link.Unavailable, Text: "the register is busy; nothing was done"}
	}
	select {
	case err := <-t.answer:
		v, _ := r.hub.get()
		return v, err
	case <-ctx.Done():
		return api.View{}, &link.Error{Kind: link.Unknown, Text: "it took too long; send the same act again"}
	}
}

// Handler serves the register's calls; who may call is the caller's business.
func (r *Register) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/view", r.serveView)
	mux.HandleFunc("POST /v1/do", func(w http.ResponseWriter, q *http.Request) {
		var a api.Act
		if !link.Read(w, q, &a) {
			return
		}
		v, err := r.Do(q.Context(), a)
		if err != nil {
			link.RefuseWith(w, err)
			return
		}
		link.Reply(w, v)
	})
	return mux
}

func (r *Register) serveView(w http.ResponseWriter, q *http.Request) {
	send := link.Lines(w)
	for {
		v, changed := r.hub.get()
		if err := send(v); err != nil {
			return // the screen has left
		}
		select {
		case <-changed:
		case <-q.Context().Done():
			return
		}
	}
}
