package register

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	boot "github.com/choba-os/choba/services/boot/api"
	devices "github.com/choba-os/choba/services/devices/api"
	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/journal/journaltest"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/register/pack"
)

// A counter with a real journal, real sockets, and devices that are played.

// The goods of the drawings.
const (
	codeTea   = "4901234567894" // 138, 8 %
	codeBeer  = "4904567890127" // 228, 10 %
	codeCable = "4905678901238" // 1280, 10 %
)

type counter struct {
	t       *testing.T
	journal *journaltest.Journal
	faults  *faults
	scanner *playedScanner
	printer *playedPrinter
	pack    pack.Pack
	dir     string

	stop     func()
	client   *api.Client
	acts     int
	ready    atomic.Int32
	unproven time.Duration
	update   string // socket
	facts    *boot.Facts
	later    atomic.Int64 // how far the clock is ahead of the first day, in nanoseconds
}

func samplePack(t testing.TB) pack.Pack {
	body, err := os.ReadFile("pack/sample/shop.json")
	require.NoError(t, err)
	p, err := pack.Parse(body)
	require.NoError(t, err)
	return p
}

func silent() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(io.Discard)
	if os.Getenv("CHOBA_TEST_LOG") != "" {
		log.SetOutput(os.Stderr)
		log.SetLevel(logrus.DebugLevel)
	}
	return logrus.NewEntry(log)
}

// set gives a counter whose register does not run yet.
func set(t *testing.T) *counter {
	dir, err := os.MkdirTemp("", "rg") // socket names have to be short
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &counter{t: t, journal: journaltest.Start(t), pack: samplePack(t), dir: dir}
	c.faults = playFaults(t, filepath.Join(dir, "journal"), c.journal.Socket(self))
	c.scanner = playScanner(t, c.at("scanner"))
	c.printer = playPrinter(t, c.at("printer"), c.journal.Client("printer"))
	t.Cleanup(func() { c.cut() })
	return c
}

func (c *counter) at(name string) string { return filepath.Join(c.dir, name) }

// on switches the register on; cut pulls its plug.
func (c *counter) on() {
	c.cut()
	r, err := New(Config{Pack: c.pack, Journal: c.at("journal"), Scanner: c.at("scanner"), Printer: c.at("printer"),
		Now: func() time.Time {
			return time.Date(2026, 11, 21, 5, 32, 0, 0, time.UTC).Add(time.Duration(c.later.Load()))
		}, Log: silent(), Ready: func() { c.ready.Add(1) }, Alive: func() {},
		Unproven: c.unproven, Update: c.update, Facts: c.facts})
	require.NoError(c.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { r.Run(ctx) })
	serve(c.t, &wait, ctx, c.at("register"), r.Handler())
	c.client = api.New(c.at("register"))
	c.stop = func() { cancel(); wait.Wait() }
}

func (c *counter) cut() {
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

func serve(t testing.TB, wait *sync.WaitGroup, ctx context.Context, socket string, h http.Handler) {
	os.Remove(socket)
	ln, err := net.Listen("unix", socket)
	require.NoError(t, err)
	ln.(*net.UnixListener).SetUnlinkOnClose(false) // the path may be somebody else's by then
	wait.Go(func() {
		if err := link.Serve(ctx, ln, func(uint32) string { return "screen" }, h); err != nil {
			t.Errorf("serving %s: %v", socket, err)
		}
	})
}

// played serves until the test ends; the function it returns takes it away earlier.
func played(t testing.TB, socket string, h http.Handler) func() {
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	serve(t, &wait, ctx, socket, h)
	stop := func() { cancel(); wait.Wait() }
	t.Cleanup(stop)
	return stop
}

// until waits for a View that fits.
func (c *counter) until(what string, fits func(api.View) bool) api.View {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	var got api.View
	found := fmt.Errorf("found")
	for ctx.Err() == nil {
		err := c.client.Watch(ctx, func(v api.View) error {
			if got = v; fits(v) {
				return found
			}
			return nil
		})
		if err == found {
			return got
		}
		time.Sleep(10 * time.Millisecond)
	}
	text, _ := json.MarshalIndent(got, "", " ")
	c.t.Fatalf("no View came in which %s; the last one is %s", what, text)
	return got
}

func inPhase(p api.Phase) func(api.View) bool {
	return func(v api.View) bool { return v.Phase == p }
}

func (c *counter) act(a api.Act) (api.View, error) {
	if a.ID == "" {
		c.acts++
		a.ID = fmt.Sprintf("t%d", c.acts)
	}
	return c.client.Do(context.Background(), a)
}

func (c *counter) must(a api.Act) api.View {
	c.t.Helper()
	v, err := c.act(a)
	require.NoError(c.t, err)
	return v
}

// entries gives what the register has recorded.
func (c *counter) entries() (all []journalapi.Entry) {
	require.NoError(c.t, c.journal.Client(self).Read(context.Background(), 0, func(e journalapi.Entry) error {
		if e.Service == self && e.Kind != kindResumed {
			all = append(all, e)
		}
		return nil
	}))
	return all
}

func (c *counter) kinds() (kinds []string) {
	for _, e := range c.entries() {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// playedScanner keeps its scans like the real one.
type playedScanner struct {
	mu      sync.Mutex // guards what follows
	scans   []devices.Scan
	changed chan struct{}
	tests   bool     // it can be asked for a test scan
	asked   []string // for which
}

func (s *playedScanner) selfTest(w http.ResponseWriter, q *http.Request) {
	var t devices.SelfTest
	s.mu.Lock()
	can := s.tests
	s.mu.Unlock()
	if !can {
		link.Refuse(w, link.NotFound, "not here")
		return
	}
	if link.Read(w, q, &t) {
		s.mu.Lock()
		s.asked = append(s.asked, t.ID)
		s.mu.Unlock()
		s.put(devices.Scan{Test: t.ID, At: time.Now()})
		link.Reply(w, struct{}{})
	}
}

func playScanner(t testing.TB, socket string) *playedScanner {
	s := &playedScanner{changed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/scans", s.serve)
	mux.HandleFunc("POST /v1/selftest", s.selfTest)
	mux.HandleFunc("GET /v1/state", stateOf(devices.State{Device: "played", Connection: devices.Ready}))
	played(t, socket, mux)
	return s
}

func stateOf(s devices.State) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		if link.Lines(w)(s) == nil {
			<-q.Context().Done()
		}
	}
}

func (s *playedScanner) scan(codes ...string) {
	for _, code := range codes {
		s.put(devices.Scan{Code: code, At: time.Now()})
	}
}

func (s *playedScanner) put(one devices.Scan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one.Seq = uint64(len(s.scans) + 1)
	s.scans = append(s.scans, one)
	close(s.changed)
	s.changed = make(chan struct{})
}

// restart forgets all scans and counts from 1 again. Streams that are open see the new numbers.
func (s *playedScanner) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scans = nil
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *playedScanner) serve(w http.ResponseWriter, q *http.Request) {
	after, _ := strconv.ParseUint(q.URL.Query().Get("after"), 10, 64)
	send := link.Lines(w)
	if s.count() < after {
		after = 0
	}
	for {
		s.mu.Lock()
		n, changed := uint64(len(s.scans)), s.changed
		var fresh []devices.Scan
		if n > after {
			fresh = s.scans[after:n:n]
		}
		s.mu.Unlock()
		if n < after {
			return // restarted: the stream breaks
		}
		for _, one := range fresh {
			if send(one) != nil {
				return
			}
		}
		after = n
		select {
		case <-changed:
		case <-q.Context().Done():
			return
		}
	}
}

func (s *playedScanner) count() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(len(s.scans))
}

// playedPrinter opens its drawer only for a proof, and answers as the test wants.
type playedPrinter struct {
	journal *journalapi.Client
	gone    func()

	mu      sync.Mutex // guards what follows
	prints  []devices.Job
	opened  []devices.DrawerOpen
	answer  string          // of the next jobs: devices.Done …
	refused map[string]bool // jobs that were answered with devices.NotDone
	wait    chan struct{}   // when not nil, jobs wait for it
}

func playPrinter(t testing.TB, socket string, journal *journalapi.Client) *playedPrinter {
	p := &playedPrinter{journal: journal, answer: devices.Done, refused: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/print", p.servePrint)
	mux.HandleFunc("POST /v1/open", p.serveOpen)
	mux.HandleFunc("GET /v1/state", stateOf(devices.State{Device: "played", Connection: devices.Ready, Paper: devices.PaperOK}))
	p.gone = played(t, socket, mux)
	return p
}

func (p *playedPrinter) servePrint(w http.ResponseWriter, q *http.Request) {
	var job devices.Job
	if !link.Read(w, q, &job) {
		return
	}
	p.mu.Lock()
	p.prints = append(p.prints, job)
	answer, wait := p.answer, p.wait
	p.refused[job.ID] = answer == devices.NotDone
	p.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-q.Context().Done():
			return
		}
	}
	link.Reply(w, devices.Result{ID: job.ID, State: answer, Reason: "as the test wants"})
}

func (p *playedPrinter) serveOpen(w http.ResponseWriter, q *http.Request) {
	var c devices.Command
	if !link.Read(w, q, &c) {
		return
	}
	key, err := p.journal.Key(q.Context())
	if err != nil {
		link.Refuse(w, link.Unavailable, err.Error())
		return
	}
	e, err := journalapi.Check(key, c.Proof)
	var open devices.DrawerOpen
	if err == nil {
		err = link.Decode(e.Content, &open)
	}
	if err != nil || e.Kind != devices.KindDrawerOpen || e.Service != self {
		link.Refuse(w, link.Denied, fmt.Sprintf("no proof: %v", err))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = append(p.opened, open)
	link.Reply(w, devices.Result{ID: open.Command, State: p.answer})
}

func (p *playedPrinter) will(answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *playedPrinter) paper() []devices.Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]devices.Job(nil), p.prints...)
}

func (p *playedPrinter) drawer() []devices.DrawerOpen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]devices.DrawerOpen(nil), p.opened...)
}

// faults stands between register and journal, and passes everything on unless told otherwise.
type faults struct {
	to *link.Client

	mu     sync.Mutex // guards what follows
	refuse int        // so many next appends are refused and not passed on
	lose   int        // so many next appends are passed on and their answer is lost
	skip   int        // appends to let through first
	slow   time.Duration
}

func playFaults(t testing.TB, socket, journal string) *faults {
	f := &faults{to: link.Dial(journal)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/append", f.append)
	mux.HandleFunc("GET /v1/entries", func(w http.ResponseWriter, q *http.Request) {
		send := link.Lines(w)
		f.to.Stream(q.Context(), q.URL.RequestURI(), func(line json.RawMessage) error { return send(line) })
	})
	played(t, socket, mux)
	return f
}

func (f *faults) set(skip, refuse, lose int, slow time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skip, f.refuse, f.lose, f.slow = skip, refuse, lose, slow
}

func (f *faults) next() (refuse, lose bool, slow time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.skip > 0:
		f.skip--
	case f.refuse > 0:
		f.refuse--
		return true, false, f.slow
	case f.lose > 0:
		f.lose--
		return false, true, f.slow
	}
	return false, false, f.slow
}

func (f *faults) append(w http.ResponseWriter, q *http.Request) {
	refuse, lose, slow := f.next()
	time.Sleep(slow)
	if refuse {
		link.Refuse(w, link.Unavailable, "as the test wants")
		return
	}
	var in journalapi.Event
	var out journalapi.Proof
	if !link.Read(w, q, &in) {
		return
	}
	err := f.to.Post(q.Context(), "/v1/append", in, &out)
	switch {
	case lose:
		panic(http.ErrAbortHandler) // the connection breaks
	case err != nil:
		link.RefuseWith(w, err)
	default:
		link.Reply(w, out)
	}
}
