package scanner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/input"
	"github.com/choba-os/choba/drivers/wedge"
	"github.com/choba-os/choba/services/devices/api"
	"github.com/choba-os/choba/services/devices/scanner"
	"github.com/choba-os/choba/services/link"
	portsapi "github.com/choba-os/choba/services/ports/api"
)

type counter struct {
	t      *testing.T
	plug   chan *portsapi.Handed
	keys   *os.File
	client *api.ScannerClient
	socket string
	clock  time.Duration
}

func open(t *testing.T) *counter {
	c := &counter{t: t, plug: make(chan *portsapi.Handed)}
	log := logrus.New()
	log.SetOutput(io.Discard)
	s := scanner.New(func(ctx context.Context) (*portsapi.Handed, error) {
		select {
		case h := <-c.plug:
			return h, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}, input.US, time.Now, logrus.NewEntry(log))
	dir, err := os.MkdirTemp("", "scan")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "scanner.sock")
	ln, err := net.Listen("unix", socket)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx, func() {}) })
	wg.Go(func() { _ = link.Serve(ctx, ln, func(uint32) string { return "register" }, s.Handler()) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	c.client, c.socket = api.Scanner(socket), socket
	c.connect()
	return c
}

func (c *counter) connect() {
	r, w, err := os.Pipe()
	require.NoError(c.t, err)
	c.keys = w
	c.t.Cleanup(func() { _ = w.Close() })
	c.plug <- &portsapi.Handed{Role: "scanner", Device: "1209:c0b1 1-3", Kind: "evdev", File: r}
}

// scan types digits as the kernel gives them, and Enter.
func (c *counter) scan(code string) {
	for _, r := range code + "\n" {
		var b []byte
		key := uint16(r - '1' + 2)
		switch r {
		case '0':
			key = 11
		case '\n':
			key = 28
		}
		for v := int32(1); v >= 0; v-- {
			c.clock += 4 * time.Millisecond
			b = input.Encode(b, input.Event{At: c.clock, Type: input.Key, Code: key, Value: v}, input.Event{At: c.clock})
		}
		_, err := c.keys.Write(b) // a few whole events at a time, as evdev does
		require.NoError(c.t, err)
	}
}

var enough = errors.New("enough")

func (c *counter) take(after uint64, n int) []api.Scan {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	var out []api.Scan
	err := c.client.Scans(ctx, after, func(s api.Scan) error {
		if out = append(out, s); len(out) == n {
			return enough
		}
		return nil
	})
	require.ErrorIs(c.t, err, enough, "%d of %d scans", len(out), n)
	return out
}

// A27: a reader that comes late, or again, misses nothing that is still kept.
func TestA27NothingIsLost(t *testing.T) {
	c := open(t)
	for i := range 600 {
		c.scan(fmt.Sprintf("49%011d", i))
	}
	for i, s := range c.take(0, 600) {
		require.Equal(t, uint64(i+1), s.Seq)
		require.Equal(t, fmt.Sprintf("49%011d", i), s.Code)
		require.Empty(t, s.Bad)
	}
	require.Equal(t, uint64(598), c.take(597, 3)[0].Seq)
	require.Equal(t, uint64(1), c.take(99999, 1)[0].Seq, "the reader's number is from another life")
}

func TestBadInputIsAScanToo(t *testing.T) {
	c := open(t)
	long := make([]byte, 5000)
	for i := range long {
		long[i] = '7'
	}
	c.scan(string(long))
	c.scan("49012345")
	got := c.take(0, 2)
	require.Equal(t, wedge.TooLong, got[0].Bad)
	require.Empty(t, got[0].Code)
	require.Equal(t, "49012345", got[1].Code)
}

// A64: pulled in the middle of a code, and another one plugged in.
func TestA64Unplug(t *testing.T) {
	c := open(t)
	c.scan("49012345")
	b := input.Encode(nil, input.Event{Type: input.Key, Code: 5, Value: 1, At: c.clock + time.Millisecond})
	_, err := c.keys.Write(b)
	require.NoError(t, err)
	require.NoError(t, c.keys.Close())
	c.connect()
	c.scan("49012346")
	got := c.take(0, 3)
	require.Equal(t, []string{"49012345", "", "49012346"}, []string{got[0].Code, got[1].Code, got[2].Code})
	require.Equal(t, wedge.Partial, got[1].Bad)
}

func TestState(t *testing.T) {
	c := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var seen []string
	err := c.client.Watch(ctx, func(s api.State) error {
		seen = append(seen, s.Connection)
		switch s.Connection {
		case api.Ready:
			_ = c.keys.Close()
		case api.Absent:
			if len(seen) > 1 {
				return enough
			}
		}
		return nil
	})
	require.ErrorIs(t, err, enough)
	require.Contains(t, seen, api.Ready)
}

func TestBadQuestion(t *testing.T) {
	c := open(t)
	err := link.Dial(c.socket).Get(t.Context(), "/v1/scans?after=x", nil)
	require.Equal(t, link.BadRequest, link.KindOf(err))
}

// A marked scan takes its place among the others, and cannot be taken for one.
func TestSelfTest(t *testing.T) {
	c := open(t)
	c.scan("49012345")
	require.Equal(t, "49012345", c.take(0, 1)[0].Code)
	require.NoError(t, c.client.SelfTest(t.Context(), "run-1"))
	c.scan("49012346")
	got := c.take(0, 3)
	require.Equal(t, api.Scan{Seq: 2, Test: "run-1", At: got[1].At}, got[1])
	require.Empty(t, got[0].Test)
	require.Empty(t, got[2].Test)
	for _, id := range []string{"", "a b", "<>", string(make([]byte, 65))} {
		require.Equal(t, link.BadRequest, link.KindOf(errors.Unwrap(c.client.SelfTest(t.Context(), id))), "%q", id)
	}
}

// What a device types is never a test, whatever it types.
func TestNobodyTypesASelfTest(t *testing.T) {
	c := open(t)
	c.scan("4901")
	require.Empty(t, c.take(0, 1)[0].Test)
}
