package supervise

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/table"
)

// TestMain lets the test binary be the "confine" program and the service behind it.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && strings.HasPrefix(os.Args[1], "svc-") {
		service(os.Args[1])
	}
	os.Exit(m.Run())
}

func service(name string) {
	life := link.OpenLife()
	switch name {
	case "svc-good":
		ln, err := link.Listener()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		life.Ready()
		go func() {
			c, _ := ln.Accept()
			io.WriteString(c, "hello\n")
			c.Close()
		}()
		for {
			time.Sleep(1100 * time.Millisecond)
			life.Alive()
		}
	case "svc-crash":
		life.Ready()
		os.Exit(3)
	case "svc-noisy":
		fmt.Println(strings.Repeat("x", 3*maxLine) + "tail")
		fmt.Print("\x1b[2Jclear\n")
		for i := range 3 * maxBurst {
			fmt.Println(i)
		}
		time.Sleep(1100 * time.Millisecond)
		fmt.Println("end")
	case "svc-deaf":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("deaf")
		life.Ready()
	case "svc-orphan":
		pid, err := syscall.ForkExec("/proc/self/exe", []string{"x", "svc-child"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
		fmt.Println("child", pid, err)
		life.Ready()
	case "svc-child":
		pid, err := syscall.ForkExec("/proc/self/exe", []string{"x", "svc-grandchild"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
		fmt.Println("orphan", pid, err)
		os.Exit(0)
	case "svc-grandchild":
		time.Sleep(50 * time.Millisecond)
		os.Exit(0)
	}
	time.Sleep(time.Hour)
	os.Exit(0)
}

// watch collects what the hooks say.
type watch struct {
	mu     sync.Mutex
	events []Event
	lines  []string
	ready  int
	feeds  int

	healthy int
	failed  []string
}

func (w *watch) hooks() Hooks {
	lock := func(f func()) {
		w.mu.Lock()
		defer w.mu.Unlock()
		f()
	}
	return Hooks{
		Line:    func(s, l string) { lock(func() { w.lines = append(w.lines, s+": "+l) }) },
		Event:   func(e Event) { lock(func() { w.events = append(w.events, e) }) },
		Ready:   func() { lock(func() { w.ready++ }) },
		Feed:    func() { lock(func() { w.feeds++ }) },
		Late:    func(string) {},
		Healthy: func() { lock(func() { w.healthy++ }) },
		Failed:  func(reason string) { lock(func() { w.failed = append(w.failed, reason) }) },
	}
}

func (w *watch) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return ok()
	}, 20*time.Second, 10*time.Millisecond, what)
}

func (w *watch) exits() (out []Event) {
	for _, e := range w.events {
		if e.Kind == Exit {
			out = append(out, e)
		}
	}
	return out
}

func begin(t *testing.T, w *watch, names ...string) (dir string, stop func()) {
	t.Helper()
	return beginTrial(t, w, nil, names...)
}

func beginTrial(t *testing.T, w *watch, trial *Trial, names ...string) (dir string, stop func()) {
	t.Helper()
	dir = t.TempDir()
	var rows []table.Row
	for _, n := range names {
		rows = append(rows, table.Row{Name: n, Health: true})
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	s, err := New(Config{Rows: rows, Confine: exe, Sockets: dir, Trial: trial, Hooks: w.hooks()})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	start := make(chan []string, 1)
	start <- names
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, start) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return dir, stop
}

func TestStartsHearsAndStops(t *testing.T) {
	w := &watch{}
	dir, stop := begin(t, w, "svc-good")
	w.until(t, "ready", func() bool { return w.ready == 1 })
	c, err := net.Dial("unix", filepath.Join(dir, "svc-good.sock"))
	require.NoError(t, err)
	text, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", text)
	w.until(t, "fed by words", func() bool { return w.feeds >= 2 })

	began := time.Now()
	stop()
	require.Less(t, time.Since(began), StopTime)
	require.Equal(t, 1, w.ready, "ready is said once")
	require.Equal(t, []string{Start, Ready, Exit}, []string{w.events[0].Kind, w.events[1].Kind, w.events[2].Kind})
	require.Len(t, w.exits(), 1)
}

// The socket is there before the service is: a peer that comes early waits and is answered.
func TestSocketBeforeService(t *testing.T) {
	dir := t.TempDir()
	w := &watch{}
	exe, err := os.Executable()
	require.NoError(t, err)
	s, err := New(Config{Rows: []table.Row{{Name: "svc-good"}}, Confine: exe, Sockets: dir, Hooks: w.hooks()})
	require.NoError(t, err)
	c, err := net.Dial("unix", filepath.Join(dir, "svc-good.sock"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	start := make(chan []string, 1)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, start) }()
	start <- []string{"svc-good"}
	text, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", text)
	cancel()
	require.NoError(t, <-done)
}

func TestRestartsWithBackOff(t *testing.T) {
	w := &watch{}
	_, stop := begin(t, w, "svc-crash")
	w.until(t, "four crashes", func() bool { return len(w.exits()) >= 4 })
	stop()
	for i, e := range w.exits()[:4] {
		require.Equal(t, "code 3", e.How)
		require.Equal(t, i+1, e.Starts)
		require.Equal(t, FirstBackOff<<i, e.Next)
	}
}

func TestBackOffGrowsToItsEndAndIsForgiven(t *testing.T) {
	w := &watch{}
	s := &Set{cfg: Config{Hooks: w.hooks()}, health: newHealth(nil)}
	u := &unit{row: table.Row{Name: "x"}}
	now := time.Unix(1000, 0)
	for range 12 {
		u.since = now
		now = now.Add(time.Second)
		s.gone(u, "", now)
	}
	require.Equal(t, LastBackOff, u.wait)
	require.Equal(t, now.Add(LastBackOff), u.due)
	u.since, now = now, now.Add(Healthy)
	s.gone(u, "", now)
	require.Equal(t, FirstBackOff, u.wait)
}

// The last words of a process that is gone say nothing about the one that took its place.
func TestWordsOfAnEarlierStart(t *testing.T) {
	w := &watch{}
	rows := []table.Row{{Name: "x", Health: true}}
	s := &Set{cfg: Config{Hooks: w.hooks()}, health: newHealth(rows), units: []*unit{{row: rows[0], pid: 7, starts: 2}}}
	s.heard(word{service: "x", starts: 1, text: wordReady, at: time.Now()})
	require.Zero(t, w.ready)
	s.heard(word{service: "x", starts: 2, text: wordReady, at: time.Now()})
	require.Equal(t, 1, w.ready)
}

func TestHowItEnded(t *testing.T) {
	const sigkill, sigsys = 9, 31
	require.Equal(t, "code 3", how(unix.WaitStatus(3<<8), false))
	require.Equal(t, "signal killed", how(unix.WaitStatus(sigkill), false))
	require.Contains(t, how(unix.WaitStatus(sigkill), true), "out of its memory")
	require.Contains(t, how(unix.WaitStatus(sigsys), false), "bad system call")
}

func TestConsoleIsBounded(t *testing.T) {
	w := &watch{}
	_, stop := begin(t, w, "svc-noisy")
	w.until(t, "the last line", func() bool { return len(w.lines) > 0 && w.lines[len(w.lines)-1] == "svc-noisy: end" })
	stop()
	require.Len(t, w.lines, maxBurst+2, "the burst, the count of what was left out, and the end")
	require.Equal(t, fmt.Sprintf("svc-noisy: (%d lines left out)", 2*maxBurst+2), w.lines[maxBurst])
	require.Equal(t, "svc-noisy: "+strings.Repeat("x", maxLine), w.lines[0])
	require.Equal(t, "svc-noisy: ?[2Jclear", w.lines[1])
	for _, l := range w.lines {
		require.NotContains(t, l, "tail")
	}
}

func TestDeafIsKilledInReverseOrder(t *testing.T) {
	w := &watch{}
	_, stop := begin(t, w, "svc-good", "svc-deaf")
	w.until(t, "ready", func() bool { return w.ready == 1 })
	stop()
	exits := w.exits()
	require.Len(t, exits, 2)
	require.Equal(t, "svc-deaf", exits[0].Service)
	require.Equal(t, "signal killed", exits[0].How)
	require.Contains(t, w.lines, "svc-deaf: does not stop; killed")
	require.Equal(t, "svc-good", exits[1].Service)
	require.Negative(t, exits[1].Next, "it is not started again")
}

// PID 1 inherits what others leave behind, and must wait for that too.
func TestReapsOrphans(t *testing.T) {
	require.NoError(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	w := &watch{}
	_, stop := begin(t, w, "svc-orphan")
	var orphan int
	w.until(t, "the orphan's number", func() bool {
		for _, l := range w.lines {
			if _, err := fmt.Sscanf(l, "svc-orphan: orphan %d", &orphan); err == nil {
				return true
			}
		}
		return false
	})
	require.Eventually(t, func() bool { return unix.Kill(orphan, 0) == unix.ESRCH }, 10*time.Second, 10*time.Millisecond)
	stop()
}

func TestAbsentProgram(t *testing.T) {
	w := &watch{}
	s, err := New(Config{Rows: []table.Row{{Name: "x", Health: true}}, Confine: "/no/such", Sockets: t.TempDir(), Hooks: w.hooks()})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	start := make(chan []string, 1)
	start <- []string{"x"}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, start) }()
	w.until(t, "a failed start", func() bool { return len(w.exits()) >= 2 })
	cancel()
	require.NoError(t, <-done)
	require.Contains(t, w.exits()[0].How, "no such file")
	require.Zero(t, w.ready)
}
