// Package store keeps the log on disk: it takes events, gives them numbers and time, writes them with a signed
// checkpoint into a segment, and answers when the disk has them. It starts the log, recovers it after a power cut,
// and begins a session with a new key every time it is opened.
//
// In its folder lie device.key (never exported), spare (the next segment, already zeros), and log/: the segments and
// the list of hashes, which are what an export is. docs/formats/journal.md has the promises and their reasons.
//
// It does not know who may write what, and looks into no event: that is the server's. It repairs nothing: the remains
// of a write that was never acknowledged are cut and the cut is recorded; anything else that is wrong is an error.
// The rule that keeps it small: one goroutine (Run) writes, everybody else waits or reads.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/choba-os/choba/services/journal/chain"
	"github.com/choba-os/choba/services/journal/checkpoint"
	"github.com/choba-os/choba/services/journal/entry"
	"github.com/choba-os/choba/services/journal/segment"
	"github.com/choba-os/choba/services/journal/tree"
)

// SegmentBytes is the size of a segment on a register: some three thousand entries, and little enough that a start
// can read all of the newest one.
const SegmentBytes = 4 << 20

// Bounds of one commit, and what is kept free for the journal's own entries when the disk is full.
const (
	maxBatch      = 256
	maxBatchBytes = 1 << 20
	reserveBytes  = 256 << 10 // some hundred sessions; a quarter of a segment at most
)

// Clock tells the time. Boot names the boot in which Now counts.
type Clock struct {
	Boot string
	Now  func() (wall time.Time, mono int64) // mono: nanoseconds since the boot, standby included
}

// Options are what a store needs from outside.
type Options struct {
	Disk         Disk
	Clock        Clock
	Random       io.Reader // keys and the log's name are made from it
	SegmentBytes int64     // SegmentBytes when 0
	Log          *logrus.Entry
}

// Errors that callers act on.
var (
	ErrFull   = errors.New("no room on the disk")
	ErrFailed = errors.New("the journal has stopped: its disk failed")
	ErrLost   = errors.New("waiting for the disk was given up: it may be recorded")
	ErrNone   = errors.New("no such entry")
)

// Recorded is where an entry stands and under which head.
type Recorded struct {
	Entry      []byte
	Index      uint64
	Size       uint64
	Path       [][]byte
	Checkpoint string
}

// Store is an open journal.
type Store struct {
	opt    Options
	device *checkpoint.Signer
	key    *checkpoint.Signer // of the session
	list   *tree.List
	hashes File
	spare  *spare
	queue  chan *request
	ended  chan struct{} // closed when Run has returned

	file File // the segment being written; of the writer

	mu       sync.RWMutex // guards what follows; only the writer changes it
	chain    chain.Chain
	segments []place
	pos      int64 // end of the last commit in the last segment
}

// place is one segment: the number of its first entry.
type place struct{ first uint64 }

func (p place) name() string { return logDir + "/" + segment.FileName(p.first) }

// Names in the folder.
const (
	logDir     = "log"
	hashesName = logDir + "/hashes"
	keyName    = "device.key"
	spareName  = "spare"
	cutName    = "cut"
	newSuffix  = ".new"
)

type request struct {
	service string
	event   entry.Event
	done    chan result // holds one
}

type result struct {
	recorded Recorded
	err      error
}

// Append records an event, which must have come from Event.Normal, for the named service. Run must be running. The
// errors are ErrFull, ErrFailed, ErrLost and those of an entry that is too large.
func (s *Store) Append(ctx context.Context, service string, v entry.Event) (Recorded, error) {
	r := &request{service: service, event: v, done: make(chan result, 1)}
	select {
	case s.queue <- r:
	case <-s.ended:
		return Recorded{}, ErrFailed
	case <-ctx.Done():
		return Recorded{}, ctx.Err()
	}
	select {
	case got := <-r.done:
		return got.recorded, got.err
	case <-s.ended:
		select {
		case got := <-r.done: // answered just before the end
			return got.recorded, got.err
		default: // Run answers all that it takes, so it did not take this
			return Recorded{}, ErrFailed
		}
	case <-ctx.Done():
		return Recorded{}, ErrLost
	}
}

// Run writes until ctx ends or the disk fails, and calls alive after every commit and at least once a second. What
// was queued when ctx ended is still written.
func (s *Store) Run(ctx context.Context, alive func()) error {
	defer close(s.ended)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		alive()
		select {
		case r := <-s.queue:
			if err := s.serve(r); err != nil {
				return err
			}
		case <-tick.C:
			s.spare.retry()
		case <-ctx.Done():
			for {
				select {
				case r := <-s.queue:
					if err := s.serve(r); err != nil {
						return err
					}
				default:
					return nil
				}
			}
		}
	}
}

// serve commits r together with what waits behind it.
func (s *Store) serve(r *request) error {
	batch := []*request{r}
	for bytes := len(r.event.Content); len(batch) < maxBatch && bytes < maxBatchBytes; {
		select {
		case next := <-s.queue:
			batch = append(batch, next)
			bytes += len(next.event.Content)
			continue
		default:
		}
		break
	}
	return s.commitAll(batch)
}

// commitAll commits the batch, in halves where a whole does not fit into what is left of a full disk. Only a failed
// disk is an error.
func (s *Store) commitAll(batch []*request) error {
	err := s.commit(batch, false)
	if errors.Is(err, ErrFull) && len(batch) > 1 {
		if err := s.commitAll(batch[:len(batch)/2]); err != nil {
			return err
		}
		return s.commitAll(batch[len(batch)/2:])
	}
	if errors.Is(err, ErrFull) {
		batch[0].done <- result{err: err}
		return nil
	}
	if err != nil {
		for _, r := range batch {
			r.done <- result{err: ErrLost}
		}
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// Key is the note verifier key of the running session.
func (s *Store) Key() string { return s.key.Public }

// Head is the newest signed checkpoint.
func (s *Store) Head() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.chain.Checkpoint
}

// Size is the number of entries.
func (s *Store) Size() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.chain.Covered
}

// Origin is the log's name.
func (s *Store) Origin() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.chain.Origin
}

// Close gives up the files. Run must have returned.
func (s *Store) Close() error {
	s.spare.close()
	return errors.Join(s.hashes.Close(), s.file.Close())
}
