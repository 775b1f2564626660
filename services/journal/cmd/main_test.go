package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/journal/verify"
	"github.com/choba-os/choba/services/link"
)

// asService makes this test binary be the service.
const asService = "CHOBA_TEST_JOURNAL"

func TestMain(m *testing.M) {
	if data := os.Getenv(asService); data != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		if err := run(ctx, []string{"-data", data, "-table", os.Getenv(asService + "_TABLE")}, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// service is the journal as init starts it: socket as file 3, life line as file 4.
type service struct {
	t      *testing.T
	socket string
	data   string
	table  string
	ln     *os.File
	cmd    *exec.Cmd
	life   *bufio.Reader
}

func newService(t *testing.T) *service {
	dir, err := os.MkdirTemp("", "jc")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &service{t: t, socket: filepath.Join(dir, "j.sock"), data: t.TempDir(), table: filepath.Join(dir, "table.json")}
	row := `[{"name":"journal","binary":"/svc/journal","args":[],"uid":901,"callers":["init"],"kinds":{"init":["test."]},"data":"/data/journal",
		"devices":[],"read":[],"network":false,"memoryMiB":64,"pids":32,"files":128,"health":true}]`
	if uid := os.Getuid(); uid != 0 { // the caller must be somebody that the table knows
		t.Skipf("runs as uid %d; the test calls as init", uid)
	}
	require.NoError(t, os.WriteFile(s.table, []byte(row), 0o600))
	ln, err := net.Listen("unix", s.socket)
	require.NoError(t, err)
	s.ln, err = ln.(*net.UnixListener).File()
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close(); s.ln.Close() })
	return s
}

func (s *service) start() {
	r, w, err := os.Pipe()
	require.NoError(s.t, err)
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), asService+"="+s.data, asService+"_TABLE="+s.table)
	s.cmd.ExtraFiles = []*os.File{s.ln, w}
	s.cmd.Stderr = os.Stderr
	require.NoError(s.t, s.cmd.Start())
	w.Close()
	s.t.Cleanup(func() { r.Close() })
	s.life = bufio.NewReader(r)
	s.expect("ready\n")
}

func (s *service) expect(want string) {
	line, err := s.life.ReadString('\n')
	require.NoError(s.t, err)
	require.Equal(s.t, want, line)
}

func (s *service) kill() {
	require.NoError(s.t, s.cmd.Process.Kill())
	s.cmd.Wait() // says only that it was killed
}

// The journal is killed again and again in the middle of its work. What it acknowledged is there every time, nothing
// is there twice, and the verifier finds the log good.
func TestKilledInTheMiddle(t *testing.T) {
	s := newService(t)
	c := api.New(s.socket)
	acked := map[string]bool{}
	var mu sync.Mutex
	var next atomic.Int64
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		s.start()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					name := fmt.Sprint(next.Add(1))
					_, err := c.Append(context.Background(), api.Event{Kind: "test.a", Content: fmt.Appendf(nil, `{"n":%q}`, name)})
					if err != nil {
						var e *link.Error
						if !errors.As(err, &e) || e.Kind != link.Unknown && e.Kind != link.Unavailable {
							t.Errorf("append: %v", err)
						}
						return
					}
					mu.Lock()
					acked[name] = true
					mu.Unlock()
				}
			})
		}
		time.Sleep(time.Duration(50+rand.IntN(150)) * time.Millisecond)
		s.kill()
		// The socket outlives the service: calls that wait in it would be taken by the next one. Turn them away.
		drained := make(chan struct{})
		go func() { wg.Wait(); close(drained) }()
		for waiting := true; waiting; {
			select {
			case <-drained:
				waiting = false
			default:
				s.drop()
			}
		}
	}
	s.start()
	seen := map[string]bool{}
	last := uint64(0)
	require.NoError(t, c.Read(context.Background(), 0, func(e api.Entry) error {
		require.Greater(t, e.Seq, last)
		last = e.Seq
		name := strings.Trim(string(e.Content), `{}"n:`)
		require.False(t, seen[name], "%s is there twice", name)
		seen[name] = true
		return nil
	}))
	mu.Lock()
	defer mu.Unlock()
	for name := range acked {
		require.True(t, seen[name], "%s was acknowledged", name)
	}
	require.NotEmpty(t, acked)
	s.expect("alive\n")
	require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
	require.NoError(t, s.cmd.Wait(), "ends well when asked to")
	report, err := verify.Folder(s.data, verify.Options{})
	require.NoError(t, err)
	require.True(t, report.Good(), report.Write(verify.English))
	require.EqualValues(t, rounds+1, report.Sessions)
	t.Logf("%d acknowledged, %d recorded, %d sessions", len(acked), len(seen), report.Sessions)
}

// drop takes a connection off the socket that no service serves at the moment.
func (s *service) drop() {
	ln, err := net.FileListener(s.ln)
	require.NoError(s.t, err)
	defer ln.Close()
	u := ln.(*net.UnixListener)
	u.SetUnlinkOnClose(false)
	require.NoError(s.t, u.SetDeadline(time.Now().Add(20*time.Millisecond)))
	if conn, err := u.Accept(); err == nil {
		conn.Close()
	}
}

func TestRunRefuses(t *testing.T) {
	require.Error(t, run(context.Background(), []string{"-nonsense"}, os.Stderr))
	require.ErrorContains(t, run(context.Background(), []string{"-table", "/nowhere"}, os.Stderr), "service table")
	table := filepath.Join("..", "..", "table", "table.json")
	require.ErrorContains(t, run(context.Background(), []string{"-table", table, "-data", "/nowhere"}, os.Stderr), "taking the journal's folder")
}
