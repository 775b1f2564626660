package update

import (
	"context"
	"time"

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
	kindLost    = "update.lost" // events left out
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

// postTime is how long a restart waits for the journal.
const postTime = 3 * time.Second

// record puts an event into the log and, without waiting, on its way to the journal.
func (s *Service) record(kind string, content any) {
	s.Log.WithField("kind", kind).WithField("content", content).Info("event")
	s.post.Add(kind, content)
}

// flush waits a moment for what was recorded to be written.
func (s *Service) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	s.post.Flush(ctx)
}
