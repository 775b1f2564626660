package network_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/choba-os/choba/drivers/dhcp"
	"github.com/choba-os/choba/drivers/dhcp/dhcptest"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/network"
	"github.com/choba-os/choba/services/network/api"
	"github.com/choba-os/choba/services/network/filter"
)

func silent() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return logrus.NewEntry(log)
}

// bench is a running service behind its socket.
type bench struct {
	t      *testing.T
	dir    string
	client *api.Client
	ready  atomic.Int32
	alive  atomic.Int32

	mu    sync.Mutex // guards notes
	notes []string
}

func start(t *testing.T, c network.Config) *bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "nw")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bench{t: t, dir: dir, client: api.New(filepath.Join(dir, "s"))}
	c.Dir, c.Log = dir, silent()
	c.Ready, c.Alive = func() { b.ready.Add(1) }, func() { b.alive.Add(1) }
	c.Note = func(kind string, content any) {
		text, err := json.Marshal(content)
		require.NoError(t, err)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.notes = append(b.notes, kind+" "+string(text))
	}
	s := network.New(c)
	ln, err := net.Listen("unix", filepath.Join(dir, "s"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { s.Run(ctx) })
	wait.Go(func() { link.Serve(ctx, ln, func(uint32) string { return "update" }, s.Handler()) })
	t.Cleanup(func() { cancel(); wait.Wait() })
	return b
}

var enough = errors.New("enough")

// until waits for a state.
func (b *bench) until(fits func(api.State) bool) api.State {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 40*time.Second)
	defer cancel()
	var got api.State
	err := b.client.Watch(ctx, func(s api.State) error {
		if got = s; fits(s) {
			return enough
		}
		return nil
	})
	require.ErrorIs(b.t, err, enough, "last: %+v", got)
	require.NotEmpty(b.t, got.Text)
	require.NotEmpty(b.t, got.TextEn)
	return got
}

func is(state string) func(api.State) bool { return func(s api.State) bool { return s.State == state } }

func (b *bench) noted() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.notes...)
}

func (b *bench) resolver() string {
	text, err := os.ReadFile(filepath.Join(b.dir, "resolv.conf"))
	require.NoError(b.t, err)
	return string(text)
}

// cabled is a service whose interface is the register's end of a real cable.
func cabled(t *testing.T, s *dhcptest.Shop) *bench {
	return start(t, network.Config{
		Filter: filter.Of([]filter.Client{{Name: "update", UID: 907}}).Set,
		Find:   func() ([]dhcp.Interface, error) { return []dhcp.Interface{{Name: dhcptest.Register}}, nil },
		Worker: s.InRegister,
	})
}

// The life of a register's cable, with the filter in place all the time.
func TestCableIsPulledAndComesBack(t *testing.T) {
	s := dhcptest.Open(t)
	s.Cable(false)
	b := cabled(t, s)
	b.until(is(api.NoCable))
	require.EqualValues(t, 1, b.ready.Load(), "ready means that the filter is in place, not that there is a network")
	s.Serve(nil)
	s.Cable(true)
	got := b.until(is(api.Ready))
	require.Equal(t, dhcptest.Address+"/24", got.Address)
	require.Equal(t, "nameserver 10.77.0.1\n", b.resolver())
	st, err := os.Stat(filepath.Join(b.dir, "resolv.conf"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), st.Mode().Perm())
	s.Cable(false)
	b.until(is(api.NoCable))
	require.Empty(t, b.resolver())
	s.InRegister(func() {
		link, err := netlink.LinkByName(dhcptest.Register)
		require.NoError(t, err)
		list, err := netlink.AddrList(link, netlink.FAMILY_V4)
		require.NoError(t, err)
		require.Empty(t, list)
	})
	s.Cable(true)
	b.until(is(api.Ready))
	require.Eventually(t, func() bool { return len(b.noted()) >= 3 }, 5*time.Second, 10*time.Millisecond, "the event follows the state")
	require.Equal(t, []string{
		`network.up {"interface":"lan0","address":"10.77.0.50/24","router":"10.77.0.1","server":"10.77.0.1","dns":["10.77.0.1"],"leaseSeconds":3600,"how":"got"}`,
		`network.down {"interface":"lan0","why":"no-cable"}`,
		`network.up {"interface":"lan0","address":"10.77.0.50/24","router":"10.77.0.1","server":"10.77.0.1","dns":["10.77.0.1"],"leaseSeconds":3600,"how":"got"}`,
	}, b.noted())
	require.Positive(t, b.alive.Load())
}

// A server that lies is tried again, with words; when it tells the truth, there is a network.
func TestHostileServer(t *testing.T) {
	s := dhcptest.Open(t)
	var honest atomic.Bool
	s.Serve(func(_, reply *dhcpv4.DHCPv4) bool {
		if !honest.Load() {
			reply.YourIPAddr = net.IPv4(127, 0, 0, 1).To4()
		}
		return true
	})
	b := cabled(t, s)
	got := b.until(func(s api.State) bool { return s.State == api.Searching && s.TextEn != "Asking for a network address." })
	require.Contains(t, got.TextEn, "not usable")
	require.Empty(t, b.noted())
	honest.Store(true)
	b.until(is(api.Ready))
}

func TestNoInterface(t *testing.T) {
	b := start(t, network.Config{Filter: func() error { return nil }, Find: func() ([]dhcp.Interface, error) { return nil, nil }})
	b.until(is(api.Absent))
	require.EqualValues(t, 1, b.ready.Load())
	require.Eventually(t, func() bool { return b.alive.Load() > 1 }, 5*time.Second, 50*time.Millisecond)
	require.Empty(t, b.noted())
}

// Without a filter no interface is ever looked at, and the service is not ready.
func TestWithoutAFilter(t *testing.T) {
	var works atomic.Bool
	var looked atomic.Int32
	b := start(t, network.Config{
		Filter: func() error {
			if !works.Load() {
				return errors.New("the kernel has none")
			}
			return nil
		},
		Find: func() ([]dhcp.Interface, error) { looked.Add(1); return nil, nil },
	})
	b.until(is(api.Error))
	time.Sleep(1500 * time.Millisecond)
	require.Zero(t, looked.Load())
	require.Zero(t, b.ready.Load())
	works.Store(true)
	b.until(is(api.Absent))
	require.EqualValues(t, 1, b.ready.Load())
}
