// Package journaltest runs a real journal inside a test, so that the services that record can be tested against the
// journal itself and not against an idea of it.
//
// It is for tests only. The rule that keeps it small: it starts, stops and crashes a journal; what is in it is
// read through the api like anywhere else.
package journaltest

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/journal/server"
	"github.com/choba-os/choba/services/journal/store"
	"github.com/choba-os/choba/services/link"
)

// segmentBytes is small, so that tests are quick and meet more than one segment.
const segmentBytes = 1 << 20

// Journal is a journal that runs in the test's process. Each caller has a socket of its own: all processes of a
// test have the same user, so the socket says who calls.
type Journal struct {
	t       testing.TB
	data    string
	sockets string
	kinds   server.Kinds

	mu      sync.Mutex // guards what follows
	run     *running
	callers map[string]bool
}

type running struct {
	stop  context.CancelFunc
	ended chan struct{}
	store *store.Store
	dir   *store.Dir
	ctx   context.Context
	wait  *sync.WaitGroup
}

// Start begins a journal in a new folder, in which every caller may record every kind. It stops with the test.
func Start(t testing.TB) *Journal {
	return StartWith(t, func(string) []string {
		return []string{"boot.", "exec.", "service.", "port.", "scanner.", "print.", "drawer.", "sale.", "cash.", "day.", "test."}
	})
}

// StartWith is Start with rights of each caller; table.T.Kinds is one.
func StartWith(t testing.TB, kinds server.Kinds) *Journal {
	sockets, err := os.MkdirTemp("", "jt") // t.TempDir's names may be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(sockets) })
	j := &Journal{t: t, data: t.TempDir(), sockets: sockets, kinds: kinds, callers: map[string]bool{}}
	j.start()
	t.Cleanup(j.Stop)
	return j
}

// Socket is the path at which the journal takes whoever connects for the named caller.
func (j *Journal) Socket(caller string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.callers[caller] {
		j.callers[caller] = true
		j.listen(caller)
	}
	return j.path(caller)
}

func (j *Journal) path(caller string) string { return filepath.Join(j.sockets, caller+".sock") }

// Client is a client that the journal takes for the named caller.
func (j *Journal) Client(caller string) *api.Client { return api.New(j.Socket(caller)) }

// Folder is where the log lies, as an export has it; choba verify reads it after Stop.
func (j *Journal) Folder() string { return filepath.Join(j.data, "log") }

// Stop ends the journal; Restart begins it again.
func (j *Journal) Stop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.run == nil {
		return
	}
	j.run.stop()
	j.run.wait.Wait()
	require.NoError(j.t, j.run.store.Close())
	require.NoError(j.t, j.run.dir.Close())
	j.run = nil
}

// Restart ends the journal and begins it again: a new session, with a new key, on the same log and sockets.
func (j *Journal) Restart() {
	j.Stop()
	j.start()
}

func (j *Journal) start() {
	j.mu.Lock()
	defer j.mu.Unlock()
	dir, err := store.OpenDir(j.data)
	require.NoError(j.t, err)
	clock, _ := store.SystemClock()
	s, err := store.Open(store.Options{Disk: dir, Clock: clock, Random: rand.Reader, SegmentBytes: segmentBytes, Log: silent()})
	require.NoError(j.t, err)
	ctx, stop := context.WithCancel(context.Background())
	j.run = &running{stop: stop, store: s, dir: dir, ctx: ctx, wait: &sync.WaitGroup{}}
	j.run.wait.Go(func() {
		if err := s.Run(ctx, func() {}); err != nil {
			j.t.Errorf("the journal stopped: %v", err)
		}
	})
	for caller := range j.callers {
		j.listen(caller)
	}
}

// listen opens the caller's socket. The caller holds mu.
func (j *Journal) listen(caller string) {
	path := j.path(caller)
	os.Remove(path) // of an earlier start
	ln, err := net.Listen("unix", path)
	require.NoError(j.t, err)
	run := j.run
	run.wait.Go(func() {
		who := func(uint32) string { return caller }
		if err := link.Serve(run.ctx, ln, who, server.New(run.store, j.kinds, silent())); err != nil {
			j.t.Errorf("the journal's socket for %s: %v", caller, err)
		}
	})
}

func silent() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return logrus.NewEntry(log)
}
