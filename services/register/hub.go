package register

import (
	"sync"

	"github.com/choba-os/choba/services/register/api"
)

// hub holds the newest View. Watchers take it when they can; nobody is waited for.
type hub struct {
	mu      sync.Mutex // guards both
	view    api.View
	changed chan struct{} // closed when a newer View is there
}

func newHub(first api.View) *hub { return &hub{view: first, changed: make(chan struct{})} }

func (h *hub) set(build func(rev uint64) api.View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.view = build(h.view.Rev + 1)
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *hub) get() (api.View, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.view, h.changed
}
