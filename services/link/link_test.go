package link

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/table"
)

// serve runs a server on a real unix socket and gives a client of it.
func serve(t *testing.T, who Identify, h http.Handler) (c *Client, stop func() error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.sock")
	ln, err := net.Listen("unix", path)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, ln, who, h) }()
	ended := false
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { require.NoError(t, stop()) })
	c = Dial(path)
	t.Cleanup(c.Close)
	return c, stop
}

func me(name string) Identify {
	return func(uid uint32) string {
		if uid == uint32(os.Getuid()) {
			return name
		}
		return ""
	}
}

type ask struct{ N int }

func routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/twice", func(w http.ResponseWriter, r *http.Request) {
		var a ask
		if Read(w, r, &a) {
			Reply(w, ask{2 * a.N})
		}
	})
	mux.HandleFunc("GET /v1/who", func(w http.ResponseWriter, r *http.Request) { Reply(w, Caller(r)) })
	mux.HandleFunc("GET /v1/refuse/{kind}", func(w http.ResponseWriter, r *http.Request) {
		Refuse(w, Kind(r.PathValue("kind")), "because")
	})
	mux.HandleFunc("GET /v1/inside", func(w http.ResponseWriter, r *http.Request) {
		RefuseWith(w, errors.New("secret detail"))
	})
	mux.HandleFunc("GET /v1/lines", func(w http.ResponseWriter, r *http.Request) {
		line := Lines(w)
		for i := range 3 {
			if line(ask{i}) != nil {
				return
			}
		}
		if r.URL.Query().Has("stay") {
			<-r.Context().Done()
		}
	})
	return mux
}

func TestCallAndAnswer(t *testing.T) {
	c, _ := serve(t, me("register"), routes())
	var got ask
	require.NoError(t, c.Post(t.Context(), "/v1/twice", ask{21}, &got))
	require.Equal(t, 42, got.N)
	var who string
	require.NoError(t, c.Get(t.Context(), "/v1/who", &who))
	require.Equal(t, "register", who)
	require.NoError(t, c.Post(t.Context(), "/v1/twice", ask{1}, nil))
}

func TestKindsCrossTheSocket(t *testing.T) {
	c, _ := serve(t, me("register"), routes())
	for _, k := range []Kind{BadRequest, Denied, NotFound, Conflict, Unavailable, Full, Internal, Unknown} {
		err := c.Get(t.Context(), "/v1/refuse/"+string(k), nil)
		require.Equal(t, k, KindOf(err))
		require.EqualError(t, err, string(k)+": because")
	}
	err := c.Get(t.Context(), "/v1/inside", nil)
	require.Equal(t, Internal, KindOf(err))
	require.NotContains(t, err.Error(), "secret")
	require.Equal(t, NotFound, KindOf(c.Get(t.Context(), "/v1/nowhere", nil)))
	require.Equal(t, Kind(""), KindOf(nil))
	require.Equal(t, Internal, KindOf(io.EOF))
}

func TestBadBodies(t *testing.T) {
	c, _ := serve(t, me("register"), routes())
	for why, body := range map[string]any{
		"unknown field": map[string]int{"N": 1, "M": 2},
		"wrong type":    map[string]string{"N": "1"},
		"too large":     map[string]string{"N": strings.Repeat("x", MaxBody)},
		"two values":    json.RawMessage(`{"N":1}`),
	} {
		if why == "two values" {
			r, err := c.http.Post("http://service/v1/twice", "application/json", strings.NewReader(`{"N":1}{"N":2}`))
			require.NoError(t, err)
			require.Equal(t, BadRequest, KindOf(refusal("", r)))
			continue
		}
		require.Equal(t, BadRequest, KindOf(c.Post(t.Context(), "/v1/twice", body, nil)), why)
	}
}

// A peer is what the kernel says it is; headers and bodies say nothing.
func TestOnlyCallersOfTheTable(t *testing.T) {
	tab, err := table.Load("../table/table.json")
	require.NoError(t, err)
	for name, want := range map[string]Kind{"screen": "", "register": Denied, "printer": Denied, "": Denied} {
		c, _ := serve(t, me(name), Allow(tab, "register")(routes()))
		err := c.Get(t.Context(), "/v1/who", nil)
		require.Equal(t, want, KindOf(err), name)
		if want != "" {
			require.ErrorContains(t, err, "may not call register")
		}
	}
}

func TestStream(t *testing.T) {
	c, stop := serve(t, me("register"), routes())
	var got []string
	collect := func(line json.RawMessage) error {
		got = append(got, string(line))
		return nil
	}
	require.NoError(t, c.Stream(t.Context(), "/v1/lines", collect), "a server that closes is no error")
	require.Equal(t, []string{`{"N":0}`, `{"N":1}`, `{"N":2}`}, got)

	enough := errors.New("enough")
	require.ErrorIs(t, c.Stream(t.Context(), "/v1/lines?stay", func(json.RawMessage) error { return enough }), enough)

	ctx, cancel := context.WithCancel(t.Context())
	err := c.Stream(ctx, "/v1/lines?stay", func(line json.RawMessage) error {
		if strings.Contains(string(line), "2") {
			cancel()
		}
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)

	require.Equal(t, Denied, KindOf(c.Stream(t.Context(), "/v1/refuse/denied", collect)))

	// A server that stops ends its streams.
	ended := make(chan error, 1)
	began := make(chan bool, 8)
	go func() {
		ended <- c.Stream(context.Background(), "/v1/lines?stay", func(json.RawMessage) error { began <- true; return nil })
	}()
	<-began
	require.NoError(t, stop())
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		require.Fail(t, "the stream did not end")
	}
}

func TestStopLetsACallFinish(t *testing.T) {
	entered := make(chan bool)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /slow", func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		time.Sleep(300 * time.Millisecond)
		if r.Context().Err() != nil {
			Refuse(w, Internal, "cut")
			return
		}
		Reply(w, "done")
	})
	c, stop := serve(t, me("x"), mux)
	answer := make(chan error, 1)
	var got string
	go func() { answer <- c.Post(context.Background(), "/slow", nil, &got) }()
	<-entered
	require.NoError(t, stop())
	require.NoError(t, <-answer)
	require.Equal(t, "done", got)
}

// What was not reached was not done; what was reached and did not answer may have been.
func TestUnavailableAndUnknown(t *testing.T) {
	c := Dial(filepath.Join(t.TempDir(), "absent.sock"))
	require.Equal(t, Unavailable, KindOf(c.Get(t.Context(), "/v1/who", nil)))

	mux := http.NewServeMux()
	mux.HandleFunc("POST /die", func(w http.ResponseWriter, r *http.Request) {
		u, err := Hijack(w)
		if err == nil {
			u.Close()
		}
	})
	mux.HandleFunc("POST /noise", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "no JSON") })
	mux.HandleFunc("POST /huge", func(w http.ResponseWriter, r *http.Request) { Reply(w, strings.Repeat("x", MaxBody)) })
	mux.HandleFunc("POST /never", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c, _ = serve(t, me("x"), mux)
	var out string
	for _, path := range []string{"/die", "/noise", "/huge"} {
		require.Equal(t, Unknown, KindOf(c.Post(t.Context(), path, nil, &out)), path)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := c.Post(ctx, "/never", nil, &out)
	require.Equal(t, Unknown, KindOf(err))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// One caller that went wrong cannot take all places.
func TestConnectionsOfOneUserAreBounded(t *testing.T) {
	c, _ := serve(t, me("x"), routes())
	var open []net.Conn
	for range maxConns + 8 {
		n, err := net.Dial("unix", c.Socket())
		require.NoError(t, err)
		defer n.Close()
		open = append(open, n)
	}
	last := open[len(open)-1]
	last.SetReadDeadline(time.Now().Add(3 * time.Second))
	_, err := last.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "closed by the server")
	for _, n := range open {
		n.Close()
	}
	require.Eventually(t, func() bool { return c.Get(t.Context(), "/v1/who", nil) == nil }, 3*time.Second, 10*time.Millisecond)
}

// Work and server end together, whichever ends first.
func TestServeWhile(t *testing.T) {
	begin := func(ctx context.Context, ln net.Listener, work func(ctx context.Context) error) chan error {
		ended := make(chan error, 1)
		go func() { ended <- serveWhile(ctx, ln, me("a"), routes(), work) }()
		return ended
	}
	listen := func() net.Listener {
		ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "x.sock"))
		require.NoError(t, err)
		return ln
	}
	until := func(ctx context.Context) error { <-ctx.Done(); return nil }

	ctx, cancel := context.WithCancel(t.Context())
	ended := begin(ctx, listen(), until)
	cancel()
	require.NoError(t, <-ended)

	broken := errors.New("the work is broken")
	require.ErrorIs(t, <-begin(t.Context(), listen(), func(context.Context) error { return broken }), broken)

	ln := listen()
	require.NoError(t, ln.Close())
	require.ErrorContains(t, <-begin(t.Context(), ln, until), "serving")
}

func TestHijackPassesAFile(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /file", func(w http.ResponseWriter, r *http.Request) {
		u, err := Hijack(w)
		if err != nil {
			Refuse(w, Internal, err.Error())
			return
		}
		defer u.Close()
		u.WriteMsgUnix([]byte("here\n"), unix.UnixRights(0), nil)
	})
	c, _ := serve(t, me("x"), mux)
	n, err := net.Dial("unix", c.Socket())
	require.NoError(t, err)
	defer n.Close()
	fmt.Fprintf(n, "POST /file HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	oob := make([]byte, unix.CmsgSpace(4))
	_, oobn, _, _, err := n.(*net.UnixConn).ReadMsgUnix(make([]byte, 64), oob)
	require.NoError(t, err)
	require.Positive(t, oobn)
}

func TestListenerFromInit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sock")
	ln, err := net.Listen("unix", path)
	require.NoError(t, err)
	f, err := ln.(*net.UnixListener).File()
	require.NoError(t, err)
	fd, err := unix.Dup(int(f.Fd()))
	require.NoError(t, err)
	got, err := listenerAt(fd)
	require.NoError(t, err)
	go func() {
		c, _ := got.Accept()
		c.Close()
	}()
	n, err := net.Dial("unix", path)
	require.NoError(t, err)
	_, err = bufio.NewReader(n).ReadByte()
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, got.Close())
	require.FileExists(t, path, "the path is init's")

	pipe := make([]int, 2)
	require.NoError(t, unix.Pipe(pipe))
	_, err = listenerAt(pipe[0])
	require.ErrorContains(t, err, "taking over")
	_, err = listenerAt(1 << 20)
	require.ErrorContains(t, err, "taking over")
}

func TestLife(t *testing.T) {
	pipe := make([]int, 2)
	require.NoError(t, unix.Pipe(pipe))
	l := openLife(pipe[1])
	l.Ready()
	l.Ready()
	for range 100 {
		l.Alive() // all of them within a second of the last word
	}
	l.last = time.Now().Add(-2 * aliveEvery)
	l.Alive()
	buf := make([]byte, 1000)
	n, err := unix.Read(pipe[0], buf)
	require.NoError(t, err)
	require.Equal(t, "ready\nalive\n", string(buf[:n]))

	// Nobody reads: the service goes on.
	for range 100_000 {
		l.write("alive\n")
	}

	quiet := openLife(1 << 20)
	quiet.Ready()
	quiet.Alive()
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"N":1}`))
	f.Add([]byte(`{"N":1}{"N":2}`))
	f.Add([]byte(`{"n":1,"M":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var a ask
		if Decode(text, &a) != nil {
			return
		}
		again, err := json.Marshal(a)
		require.NoError(t, err)
		var b ask
		require.NoError(t, Decode(again, &b))
		require.Equal(t, a, b)
	})
}
