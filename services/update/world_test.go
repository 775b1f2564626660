package update

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/frame/frametest"
	imagerelease "github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/repository"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/trust"
	bootapi "github.com/choba-os/choba/services/boot/api"
	"github.com/choba-os/choba/services/update/api"
	"github.com/choba-os/choba/services/update/fetch"
	"github.com/choba-os/choba/services/update/memory"
	"github.com/choba-os/choba/services/update/schedule"
	"github.com/choba-os/choba/services/update/updatetest"
)

const partition = 2 << 20

// noon is when every test begins.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, schedule.Zone())

// world is a register, a vendor and what lies between them.
type world struct {
	t      testing.TB
	signer note.Signer
	trust  trust.Root
	ring   []repository.Key
	root   []byte
	folder repository.Folder // behind the server
	server *httptest.Server
	serve  func(http.ResponseWriter, *http.Request) bool // answers instead of the server; nil, or false: it does not

	desk    *desk
	stick   *stick
	cable   *cable
	journal *journal
	running updatetest.Release
	data    string

	mu    sync.Mutex // guards what follows
	now   time.Time
	mono  time.Duration
	stop  context.CancelFunc
	ended chan error
	svc   *Service
}

const k = 1 << 10

// image is the EROFS of a version: one program differs between any two.
func image(version uint64) []byte {
	return updatetest.EROFS(updatetest.File{Seed: 1, Size: 300 * k}, updatetest.File{Seed: byte(100 + version), Size: 60 * k}, updatetest.File{Seed: 2, Size: 400 * k})
}

// newWorld has version 1 running in slot a, committed, nothing in slot b, and a vendor who offers version 1.
func newWorld(t testing.TB) *world {
	w := &world{t: t, now: noon, data: t.TempDir(), folder: repository.Folder{Dir: filepath.Join(t.TempDir(), "r")}}
	secret, public, err := note.GenerateKey(rand.Reader, "vendor")
	require.NoError(t, err)
	w.signer, err = note.NewSigner(secret)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(public)
	require.NoError(t, err)
	w.trust = trust.Root{Product: "choba", Threshold: 1, Release: []note.Verifier{verifier}}
	w.makeRoot()
	require.NoError(t, w.folder.Create(w.root))
	w.running = w.publish(1)
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		serve := w.serve
		w.mu.Unlock()
		if serve == nil || !serve(rw, r) {
			http.FileServer(http.Dir(w.folder.Dir)).ServeHTTP(rw, r)
		}
	}))
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	w.desk = &desk{w: w, disk: frametest.New(partition), version: 1, committed: true}
	w.desk.rec = slot.Record{A: slot.Slot{State: slot.Good, Version: 1, Manifest: id(w.running)}, Preferred: slot.A}
	w.stick, w.cable, w.journal = &stick{changed: make(chan struct{}, 8)}, &cable{changed: make(chan struct{}, 8)}, &journal{}
	t.Cleanup(w.off)
	return w
}

func id(r updatetest.Release) slot.Manifest {
	text, err := r.Manifest.Encode()
	if err != nil {
		panic(err)
	}
	return slot.Manifest(imagerelease.Sum(text).SHA256)
}

func (w *world) makeRoot() {
	role := func() repository.Role {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(w.t, err)
		key := repository.Key{Name: fmt.Sprint("key", len(w.ring)), Key: private}
		w.ring = append(w.ring, key)
		return repository.Role{Threshold: 1, Keys: []repository.PublicKey{key.Public()}}
	}
	roles := repository.Roles{Root: role(), Targets: role(), Snapshot: role(), Timestamp: role()}
	root, err := repository.NewRoot(1, roles, noon.AddDate(20, 0, 0), w.ring)
	require.NoError(w.t, err)
	w.root = root
}

// publish makes a version and has the vendor offer it.
func (w *world) publish(version uint64) updatetest.Release { return w.publishAs(version, w.signer) }

func (w *world) publishAs(version uint64, signer note.Signer) updatetest.Release {
	r, err := updatetest.Make(version, image(version), signer)
	require.NoError(w.t, err)
	_, err = w.folder.Stage(bytes.NewReader(r.Bundle), repository.DefaultTerms(w.clock()))
	require.NoError(w.t, err)
	waiting, err := w.folder.Advance(w.ring, repository.DefaultTerms(w.clock()))
	require.NoError(w.t, err)
	require.Empty(w.t, waiting)
	return r
}

// copyFolder is a repository as it is now, on another medium.
func (w *world) copyFolder() repository.Folder {
	dir := w.t.TempDir()
	require.NoError(w.t, os.CopyFS(dir, os.DirFS(w.folder.Dir)))
	return repository.Folder{Dir: dir}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	w.now, w.mono = w.now.Add(d), w.mono+d
	w.mu.Unlock()
	time.Sleep(5 * time.Millisecond) // a few ticks
}

func (w *world) faults(f func(http.ResponseWriter, *http.Request) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serve = f
}

// on starts the service, as init does.
func (w *world) on() *Service {
	log := logrus.New()
	log.SetOutput(io.Discard)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw})
	server, err := fetch.New(source.Source{URL: w.server.URL + "/", CA: ca}, time.Now)
	require.NoError(w.t, err)
	repo, err := repository.Open(w.root, filepath.Join(w.data, "metadata"))
	require.NoError(w.t, err)
	ready := make(chan struct{})
	s := New(Config{
		Hardware: imagerelease.HardwarePC, Trust: w.trust, Repository: repo, Network: server, Stick: w.stick, Link: w.cable,
		Boot: w.desk, Journal: w.journal, Memory: memory.At(w.data), Idle: w.desk.open, Running: w.desk.openRunning,
		Now: w.clock, Mono: func() time.Duration { w.mu.Lock(); defer w.mu.Unlock(); return w.mono },
		Wait: func(ctx context.Context, _ time.Duration) error {
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
			return ctx.Err()
		},
		Dice: func() float64 { return 0.5 }, Tick: time.Millisecond, Log: log.WithField("service", "update"),
		Ready: func() { close(ready) }, Alive: func() {},
	})
	ctx, stop := context.WithCancel(context.Background())
	w.svc, w.stop, w.ended = s, stop, make(chan error, 1)
	go func() { w.ended <- s.Run(ctx) }()
	<-ready
	return s
}

// off stops it, as a power cut or init does.
func (w *world) off() {
	if w.stop != nil {
		w.stop()
		require.NoError(w.t, <-w.ended)
		w.stop = nil
	}
}

func (w *world) view() api.View { return w.svc.view.Get() }

// until waits for a View.
func (w *world) until(what string, is func(api.View) bool) api.View {
	w.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !is(w.view()) {
		if time.Now().After(deadline) {
			require.Fail(w.t, "never: "+what, "%+v\nevents %v", w.view(), w.journal.kinds())
		}
		time.Sleep(time.Millisecond)
	}
	return w.view()
}

func (w *world) untilPhase(phase string) api.View {
	w.t.Helper()
	return w.until(phase, func(v api.View) bool { return v.Phase == phase })
}

// told carries out what a caller of the service asks.
func told[T any](w *world, f func(T) error, in T) error {
	done := make(chan error, 1)
	w.svc.do <- func() { done <- f(in) }
	return <-done
}

func (w *world) sell(busy bool) { require.NoError(w.t, told(w, w.svc.isBusy, api.Busy{Busy: busy})) }

// requireOffered says that a release lies whole in the idle slot and is on trial.
func (w *world) requireOffered(r updatetest.Release) {
	w.t.Helper()
	signed, err := imagerelease.ReadHead(w.desk.disk, partition)
	require.NoError(w.t, err)
	require.Equal(w.t, r.Signed, signed)
	require.NoError(w.t, verity.Verify(w.desk.disk, r.Manifest.Verity))
	st, err := w.desk.Status(w.t.Context())
	require.NoError(w.t, err)
	i := id(r)
	require.Equal(w.t, bootapi.SlotStatus{Name: "b", State: "trial", Version: r.Manifest.Version, Tries: slot.Tries, Manifest: hex.EncodeToString(i[:])}, st.Slots[1])
}

func (w *world) svcSize(size int64) { w.desk.size = size }

// slotEmpty is a slot that was cleared.
var slotEmpty = slot.Slot{State: slot.Empty}

func termsAt(now time.Time) repository.Terms { return repository.DefaultTerms(now) }
