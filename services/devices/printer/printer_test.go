package printer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/escpos"
	"github.com/choba-os/choba/services/devices/api"
	"github.com/choba-os/choba/services/devices/printer"
	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/journal/journaltest"
	"github.com/choba-os/choba/services/link"
	portsapi "github.com/choba-os/choba/services/ports/api"
	twin "github.com/choba-os/choba/tests/bench/printer"
)

// shop is a printer service with a real journal and the twin on its line.
type shop struct {
	t       *testing.T
	journal *journaltest.Journal
	twin    *twin.Printer
	client  *api.PrinterClient
	plug    chan *portsapi.Handed

	starts int

	mu    sync.Mutex
	shift int64 // added to the service's clock, ns
	stop  func()
	pull  func()
}

func open(t *testing.T) *shop {
	s := &shop{t: t, journal: journaltest.Start(t), twin: twin.New(twin.Options{LineTime: time.Millisecond}), plug: make(chan *portsapi.Handed)}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *shop) start() {
	dir, err := os.MkdirTemp("", "pt")
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "printer.sock")
	ln, err := net.Listen("unix", socket)
	require.NoError(s.t, err)
	log := logrus.New()
	log.SetOutput(io.Discard)
	svc := printer.New(printer.Options{
		Claim: func(ctx context.Context) (*portsapi.Handed, error) {
			select {
			case h := <-s.plug:
				return h, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
		Journal: s.journal.Client("printer"), Now: time.Now, Log: log.WithField("test", s.t.Name()),
		Mono: func() (int64, error) {
			var ts unix.Timespec
			err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
			s.mu.Lock()
			defer s.mu.Unlock()
			return ts.Nano() + s.shift, err
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = svc.Run(ctx, func() {}) })
	wg.Go(func() { _ = link.Serve(ctx, ln, func(uint32) string { return "register" }, svc.Handler()) })
	s.stop = func() { cancel(); wg.Wait() }
	s.client = api.Printer(socket)
	s.connect()
	s.until(func(st api.State) bool { return st.Connection == api.Ready })
	s.starts++
	s.entries("print.started", s.starts)
}

// connect plugs the twin in.
func (s *shop) connect() {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(s.t, err)
	theirs := os.NewFile(uintptr(fds[1]), "twin")
	go func() { _ = s.twin.Serve(theirs) }()
	s.pull = func() { _ = theirs.Close() }
	s.t.Cleanup(s.pull)
	s.plug <- &portsapi.Handed{Role: "printer", Device: "0403:6001 1-3", Kind: "bytes", File: os.NewFile(uintptr(fds[0]), "line")}
}

func (s *shop) until(ok func(api.State) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	done := errors.New("done")
	err := s.client.Watch(ctx, func(st api.State) error {
		if ok(st) {
			return done
		}
		return nil
	})
	require.ErrorIs(s.t, err, done)
}

// command records a command as the register does, and gives its proof.
func (s *shop) command(as, kind string, content any) journalapi.Proof {
	s.t.Helper()
	text, err := json.Marshal(content)
	require.NoError(s.t, err)
	p, err := s.journal.Client(as).Append(s.t.Context(), journalapi.Event{Kind: kind, Content: text})
	require.NoError(s.t, err)
	return p
}

func (s *shop) sale(id string) journalapi.Proof {
	return s.command("register", api.KindDrawerOpen, api.DrawerOpen{Command: id, Reason: "sale", Sale: "000482"})
}

func (s *shop) open(p journalapi.Proof) (api.Result, error) {
	return s.client.Open(s.t.Context(), api.Command{Proof: p})
}

// entries waits until the journal has n entries of a kind.
func (s *shop) entries(kind string, n int) []journalapi.Entry {
	s.t.Helper()
	var out []journalapi.Entry
	require.Eventually(s.t, func() bool {
		out = nil
		err := s.journal.Client("printer").Read(s.t.Context(), 0, func(e journalapi.Entry) error {
			if e.Kind == kind {
				out = append(out, e)
			}
			return nil
		})
		return err == nil && len(out) >= n
	}, 5*time.Second, 20*time.Millisecond, "%d entries of kind %s", n, kind)
	return out
}

func slip(id string) api.Job {
	return api.Job{ID: id, Lines: []api.Line{{Text: "領収書", Align: api.AlignCenter, Bold: true}, {Text: "合計", Right: "¥4,239"}}, Cut: true}
}

// A35: a job is printed once however often it is asked for, over restarts too.
func TestA35JobIsIdempotent(t *testing.T) {
	s := open(t)
	for range 3 {
		r, err := s.client.Print(t.Context(), slip("r-1"))
		require.NoError(t, err)
		require.Equal(t, api.Result{ID: "r-1", State: api.Done}, r)
	}
	require.Len(t, s.twin.Papers(), 1)
	other := slip("r-1")
	other.Lines[0].Text = "別"
	_, err := s.client.Print(t.Context(), other)
	require.Equal(t, link.Conflict, link.KindOf(err))
	s.entries("print.ended", 1)
	s.stop()
	s.start()
	r, err := s.client.Print(t.Context(), slip("r-1"))
	require.NoError(t, err)
	require.Equal(t, api.Done, r.State)
	require.Len(t, s.twin.Papers(), 1)
}

// The service ends in the middle of a job: the job is unknown, for ever.
func TestRestartInAJobIsUnknown(t *testing.T) {
	s := open(t)
	s.twin.Set(twin.CutterJam, true)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := s.client.Print(ctx, slip("r-2"))
		t.Log(err)
	}()
	s.until(func(st api.State) bool { return st.Text == api.TextCutter })
	cancel()
	s.stop()
	s.pull()
	s.start()
	s.twin.Set(twin.CutterJam, false)
	r, err := s.client.Print(t.Context(), slip("r-2"))
	require.NoError(t, err)
	require.Equal(t, api.Unknown, r.State)
}

// A64, B03: unplugged in the middle: unknown; without a printer: not done, and
// the same job may be asked for again.
func TestUnplugAndReplug(t *testing.T) {
	s := open(t)
	s.twin.Set(twin.PaperOut, true)
	s.until(func(st api.State) bool { return st.Paper == api.PaperOut && st.Text == api.TextPaperOut })
	done := make(chan api.Result, 1)
	go func() {
		r, _ := s.client.Print(context.Background(), slip("r-3"))
		done <- r
	}()
	time.Sleep(200 * time.Millisecond)
	s.pull()
	require.Equal(t, api.NotDone, (<-done).State, "nothing had been sent")
	s.until(func(st api.State) bool { return st.Connection == api.Absent })
	r, err := s.client.Print(t.Context(), slip("r-3"))
	require.NoError(t, err)
	require.Equal(t, api.Result{ID: "r-3", State: api.NotDone, Reason: "there is no printer"}, r)
	s.twin.Set(twin.PaperOut, false)
	s.connect()
	s.until(func(st api.State) bool { return st.Connection == api.Ready })
	r, err = s.client.Print(t.Context(), slip("r-3"))
	require.NoError(t, err)
	require.Equal(t, api.Done, r.State, r.Reason)
	require.Len(t, s.twin.Papers(), 1)
}

func TestBadJobsAreRefused(t *testing.T) {
	s := open(t)
	for name, job := range map[string]api.Job{
		"no id":     {Lines: slip("x").Lines},
		"bad id":    {ID: "a b", Lines: slip("x").Lines},
		"long id":   {ID: strings.Repeat("a", 65)},
		"alignment": {ID: "x", Lines: []api.Line{{Align: "middle"}}},
		"feed":      {ID: "x", Lines: []api.Line{{Feed: 256}}},
		"long text": {ID: "x", Lines: []api.Line{{Text: strings.Repeat("a", 1025)}}},
		"too many":  {ID: "x", Lines: make([]api.Line, escpos.MaxLines+1)},
	} {
		_, err := s.client.Print(t.Context(), job)
		require.Equal(t, link.BadRequest, link.KindOf(err), name)
	}
	require.Empty(t, s.twin.Papers())
}

// A37, A38, A74: the drawer opens for a recorded command, once.
func TestA37OpensForAProof(t *testing.T) {
	s := open(t)
	p := s.sale("d-1")
	begun := time.Now()
	r, err := s.open(p)
	require.NoError(t, err)
	require.Equal(t, api.Result{ID: "d-1", State: api.Done}, r)
	t.Logf("command to open drawer: %s", time.Since(begun))
	require.Len(t, s.twin.Kicks(), 1)
	e := s.entries("drawer.opened", 1)[0]
	require.JSONEq(t, fmt.Sprintf(`{"command":"d-1","sale":"000482","entry":%d,"state":"done"}`, p.Index), string(e.Content))
	s.until(func(st api.State) bool { return st.DrawerOpen && st.Text == api.TextDrawerOpen })
	s.twin.MoveDrawer(false)
	s.entries("drawer.closed", 1)
	s.twin.MoveDrawer(true)
	time.Sleep(50 * time.Millisecond)
	require.Len(t, s.twin.Kicks(), 1)
}

// A74, A79: whatever is not a fresh, new, recorded command of the register is
// refused in the service, and journaled.
func TestA74RefusesTheDrawer(t *testing.T) {
	s := open(t)
	good := s.sale("d-1")
	_, err := s.open(good)
	require.NoError(t, err)
	s.twin.MoveDrawer(false)
	stranger := journaltest.Start(t)
	foreign, err := stranger.Client("register").Append(t.Context(), journalapi.Event{
		Kind: api.KindDrawerOpen, Content: json.RawMessage(`{"command":"d-9","reason":"sale"}`)})
	require.NoError(t, err)
	forged := s.sale("d-2")
	forged.Entry = json.RawMessage(strings.Replace(string(forged.Entry), "d-2", "d-3", 1))
	shifted := s.sale("d-4")
	shifted.Index++
	cases := []struct {
		name, reason string
		proof        journalapi.Proof
	}{
		{"replay", "used before", good},
		{"same id, other entry", "used before", s.sale("d-1")},
		{"another journal", "proof", foreign},
		{"forged entry", "proof", forged},
		{"moved index", "proof", shifted},
		{"empty", "proof", journalapi.Proof{Entry: json.RawMessage(`{}`)}},
		{"wrong kind", "not a command", s.command("register", "drawer.asked", api.DrawerOpen{Command: "d-5"})},
		{"wrong service", "may not open", s.command("screen", api.KindDrawerOpen, api.DrawerOpen{Command: "d-6"})},
		{"the printer itself", "may not open", s.command("printer", api.KindDrawerOpen, api.DrawerOpen{Command: "d-6"})},
		{"no id", "no good id", s.command("register", api.KindDrawerOpen, api.DrawerOpen{Reason: "sale"})},
		{"unknown field", "cannot be read", s.command("register", api.KindDrawerOpen, map[string]string{"command": "d-7", "x": "y"})},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.open(c.proof)
			require.Equal(t, link.Denied, link.KindOf(err), "%v", err)
			require.ErrorContains(t, err, c.reason)
			require.Len(t, s.entries("drawer.refused", i+1), i+1)
		})
	}
	stale := s.sale("d-8")
	s.mu.Lock()
	s.shift = int64(31 * time.Second)
	s.mu.Unlock()
	_, err = s.open(stale)
	require.ErrorContains(t, err, "not fresh")
	require.Len(t, s.twin.Kicks(), 1, "only the first command reached the drawer")
}

// A restart of the service does not make an old command new.
func TestReplayOverARestart(t *testing.T) {
	s := open(t)
	p := s.sale("d-1")
	_, err := s.open(p)
	require.NoError(t, err)
	s.twin.MoveDrawer(false)
	s.stop()
	s.pull()
	s.start()
	_, err = s.open(p)
	require.ErrorContains(t, err, "before the printer service began")
	require.Len(t, s.twin.Kicks(), 1)
}

// The journal restarts and has a new key: new commands work, old proofs do not.
func TestJournalRestart(t *testing.T) {
	s := open(t)
	old := s.sale("d-1")
	s.journal.Restart()
	time.Sleep(1100 * time.Millisecond) // the key is asked for once a second at most
	r, err := s.open(s.sale("d-2"))
	require.NoError(t, err)
	require.Equal(t, api.Done, r.State)
	_, err = s.open(old)
	require.Equal(t, link.Denied, link.KindOf(err))
}

// A38: more commands than a shop can need are refused.
func TestA38Limit(t *testing.T) {
	s := open(t)
	for i := range 20 {
		_, err := s.open(s.sale(fmt.Sprintf("d-%d", i)))
		require.NoError(t, err)
	}
	_, err := s.open(s.sale("d-21"))
	require.ErrorContains(t, err, "20 times within a minute")
}

// A37: opened by key or force.
func TestA37UnexpectedOpening(t *testing.T) {
	s := open(t)
	s.twin.MoveDrawer(true)
	require.JSONEq(t, `{"foundOpen":false}`, string(s.entries("drawer.unexpected", 1)[0].Content))
	s.pull()
	s.until(func(st api.State) bool { return st.Connection == api.Absent })
	s.connect()
	require.JSONEq(t, `{"foundOpen":true}`, string(s.entries("drawer.unexpected", 2)[1].Content))
}

func TestDrawerThatDoesNotMove(t *testing.T) {
	s := open(t)
	s.twin.Set(twin.DrawerStuck, true)
	r, err := s.open(s.sale("d-1"))
	require.NoError(t, err)
	require.Equal(t, api.Result{ID: "d-1", State: api.NotDone, Reason: "the drawer did not open"}, r)
	s.entries("drawer.failed", 1)
}
