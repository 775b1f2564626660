package desk

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	bootapi "github.com/choba-os/choba/services/boot/api"
)

// fake is slots without a disk.
type fake struct {
	mu    sync.Mutex
	asked []string
	err   error
	wait  bool // Offer lasts until its context ends
	left  chan struct{}
}

func (f *fake) note(s string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, s)
	return f.err
}

func (f *fake) Status() (bootapi.Status, error) {
	return bootapi.Status{Slot: "a", Idle: "b", Failed: []bootapi.Failure{{Version: 3, Manifest: "00"}}}, f.note("status")
}
func (f *fake) Clear() error { return f.note("clear") }
func (f *fake) Offer(ctx context.Context, anew bool) error {
	if f.wait {
		<-ctx.Done()
		close(f.left)
		return ctx.Err()
	}
	if anew {
		return f.note("offer anew")
	}
	return f.note("offer")
}
func (f *fake) Restart(reason string) error { return f.note("restart: " + reason) }

func serve(t *testing.T, uid uint32, f *fake) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "init.sock")
	ln, err := Listen(socket)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Server{UID: uid, Slots: f, Say: func(s string) { t.Log(s) }}.Run(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return socket
}

func me() uint32 { return uint32(os.Getuid()) }

func TestEveryVerb(t *testing.T) {
	f := &fake{}
	c := bootapi.New(serve(t, me(), f))
	st, err := c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "b", st.Idle)
	require.Equal(t, []bootapi.Failure{{Version: 3, Manifest: "00"}}, st.Failed)
	require.NoError(t, c.Clear(t.Context()))
	require.NoError(t, c.Offer(t.Context(), false))
	require.NoError(t, c.Offer(t.Context(), true))
	require.NoError(t, c.Restart(t.Context(), bootapi.ReasonRecovery))
	require.Equal(t, []string{"status", "clear", "offer", "offer anew", "restart: recovery"}, f.asked)

	require.Equal(t, bootapi.BadRequest, bootapi.KindOf(c.Restart(t.Context(), "")))
	require.Equal(t, bootapi.BadRequest, bootapi.KindOf(c.Restart(t.Context(), "two\nlines")))
}

func TestErrorsCross(t *testing.T) {
	f := &fake{err: &bootapi.Error{Kind: bootapi.Refused, Text: "release manifest: too few"}}
	c := bootapi.New(serve(t, me(), f))
	require.Equal(t, f.err, c.Offer(t.Context(), false))
	f.err = errors.New("reading slot b: input/output error")
	require.Equal(t, &bootapi.Error{Kind: bootapi.Internal, Text: "reading slot b: input/output error"}, c.Clear(t.Context()))
	_, err := c.Status(t.Context())
	require.Equal(t, bootapi.Internal, bootapi.KindOf(err))
	require.Equal(t, bootapi.Unavailable, bootapi.KindOf(bootapi.New("/no/such").Clear(t.Context())))
}

// A25: whoever is not the update service gets nothing done, whatever it asks.
func TestStrangersAreDenied(t *testing.T) {
	f := &fake{}
	c := bootapi.New(serve(t, me()+1, f))
	require.Equal(t, bootapi.Denied, bootapi.KindOf(c.Clear(t.Context())))
	require.Empty(t, f.asked)
}

func TestBadRequests(t *testing.T) {
	f := &fake{}
	socket := serve(t, me(), f)
	for _, text := range []string{
		"\n", "{}\n", `{"verb":"status"}{}` + "\n", `{"verb":"status","anew":true}` + "\n", `{"verb":"restart"}` + "\n",
		`{"verb":"offer","reason":"x"}` + "\n", `{"verb":"erase"}` + "\n", `{"verb":"status","x":1}` + "\n", "\x00\xff\n",
		strings.Repeat(" ", bootapi.MaxLine) + "\n",
	} {
		conn, err := net.Dial("unix", socket)
		require.NoError(t, err)
		_, _ = conn.Write([]byte(text))
		line, err := bootapi.ReadLine(conn)
		require.NoError(t, err, "%.40q", text)
		a, err := bootapi.ParseAnswer(line)
		require.NoError(t, err)
		require.Equal(t, bootapi.BadRequest, a.Error.Kind, "%.40q", text)
		conn.Close()
	}
	require.Empty(t, f.asked)
}

// One that leaves without a word, or in the middle of an offer, does not keep the next one waiting.
func TestLeaving(t *testing.T) {
	f := &fake{wait: true, left: make(chan struct{})}
	socket := serve(t, me(), f)
	conn, err := net.Dial("unix", socket)
	require.NoError(t, err)
	conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.Equal(t, bootapi.Unknown, bootapi.KindOf(bootapi.New(socket).Offer(ctx, false)))
	<-f.left
	require.NoError(t, bootapi.New(socket).Clear(t.Context()))
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"verb":"status"}`))
	f.Add([]byte(`{"verb":"offer","anew":true}`))
	f.Add([]byte(`{"verb":"restart","reason":"recovery"}`))
	f.Add([]byte(`{"verb":"restart","reason":"\u0000"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		slots := &fake{}
		a := Server{Slots: slots, Say: func(string) {}}.do(context.Background(), line)
		text, err := bootapi.Line(a)
		require.NoError(t, err)
		back, err := bootapi.ParseAnswer(text)
		require.NoError(t, err)
		require.Equal(t, a, back)
		require.Equal(t, a.Error == nil, len(slots.asked) == 1)
	})
}
