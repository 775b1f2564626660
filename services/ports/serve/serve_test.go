package serve_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/port/porttest"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/ports/guard"
	"github.com/choba-os/choba/services/ports/policy"
	"github.com/choba-os/choba/services/ports/serve"
	"github.com/choba-os/choba/services/ports/usb"
	"github.com/choba-os/choba/services/ports/usb/usbtest"
)

// pipes opens input devices as pipes, and lines as they are.
type pipes struct {
	guard.Files
	mu   sync.Mutex
	keys *os.File // the end that types
}

func (p *pipes) Open(row policy.Row, nodes []usb.Node) (guard.Opened, error) {
	switch row.Kind {
	case api.KindUSBFS: // /dev/zero knows no usbfs requests
		f, err := os.Open("/dev/zero")
		return guard.Opened{File: f, Close: func() { _ = f.Close() }}, err
	case api.KindBytes:
		return p.Files.Open(row, nodes)
	}
	r, w, err := os.Pipe()
	p.mu.Lock()
	p.keys = w
	p.mu.Unlock()
	return guard.Opened{File: r, Close: func() { _, _ = w.Close(), r.Close() }}, err
}

type ports struct {
	*usbtest.Bus
	opener *pipes
	caller string
	client *api.Client
	hint   chan struct{}
}

// start is the whole service but its main, on a made-up bus.
func start(t *testing.T, caller string) *ports {
	text, err := os.ReadFile("../policy/bench.json")
	require.NoError(t, err)
	pol, err := policy.Parse(text)
	require.NoError(t, err)
	p := &ports{Bus: usbtest.New(t), caller: caller, hint: make(chan struct{}, 1)}
	p.opener = &pipes{Files: guard.Files{Dev: p.Dev}}
	log := logrus.New()
	log.SetOutput(io.Discard)
	entry := logrus.NewEntry(log)
	g := guard.New(p.Tree, pol, p.opener, func(guard.Note) {}, time.Now, entry)
	dir, err := os.MkdirTemp("", "ports")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "ports.sock")
	ln, err := net.Listen("unix", socket)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.Run(ctx, p.hint, func() {}) })
	wg.Go(func() { _ = link.Serve(ctx, ln, func(uint32) string { return p.caller }, serve.Handler(g, entry)) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	p.client = api.New(socket)
	return p
}

func (p *ports) event() {
	select {
	case p.hint <- struct{}{}:
	default:
	}
}

func (p *ports) plugScanner() {
	p.Plug("1-3", usbtest.Device{Vendor: 0x1209, Product: 0xc0b1, Serial: "BENCH-SCANNER-1", Interfaces: []string{"03/01/01"}})
	p.Node("1-3", "1-3:1.0/0003:1209:C0B1.0001/input/input5/event3", "input/event3", "/dev/null", 1, 3)
	p.event()
}

func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// A claim that came before the device gets it when it comes, loses it when it
// goes, and gets it again.
func TestClaimOverRealSockets(t *testing.T) {
	p := start(t, "scanner")
	for range 3 {
		go func() {
			time.Sleep(30 * time.Millisecond)
			p.plugScanner()
		}()
		h, err := p.client.Claim(limit(t), api.RoleScanner)
		require.NoError(t, err)
		require.Equal(t, []string{"scanner", "1209:c0b1 1-3", "evdev"}, []string{h.Role, h.Device, h.Kind})
		p.opener.mu.Lock()
		_, err = p.opener.keys.Write([]byte("4901234567894"))
		p.opener.mu.Unlock()
		require.NoError(t, err)
		buf := make([]byte, 64)
		n, err := h.File.Read(buf)
		require.NoError(t, err)
		require.Equal(t, "4901234567894", string(buf[:n]))
		list, err := p.client.Devices(limit(t))
		require.NoError(t, err)
		require.Equal(t, api.StateClaimed, list[0].State)
		p.Unplug("1-3")
		p.event()
		select {
		case <-h.Gone:
		case <-time.After(5 * time.Second):
			require.FailNow(t, "not told that it is gone")
		}
		h.Release()
	}
}

// A25: a serial line is opened by the guard alone; the claimant has bytes.
func TestA25SerialLine(t *testing.T) {
	p := start(t, "printer")
	line := porttest.Open(t)
	p.Plug("1-4", usbtest.Device{Vendor: 0x0403, Product: 0x6001, Interfaces: []string{"ff/ff/ff"}})
	p.Node("1-4", "1-4:1.0/ttyUSB0/tty/ttyUSB0", "ttyUSB0", line.Node, unix.Major(line.Number), unix.Minor(line.Number))
	p.event()
	h, err := p.client.Claim(limit(t), api.RolePrinter)
	require.NoError(t, err)
	require.Equal(t, api.KindBytes, h.Kind)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	_, err = h.File.Write(all)
	require.NoError(t, err)
	got := make([]byte, 256)
	_, err = io.ReadFull(line.Device, got)
	require.NoError(t, err)
	require.Equal(t, all, got, "the line is raw")
	_, err = line.Device.Write(all)
	require.NoError(t, err)
	_, err = io.ReadFull(h.File, got)
	require.NoError(t, err)
	require.Equal(t, all, got)
	h.Release()
	again, err := p.client.Claim(limit(t), api.RolePrinter)
	require.NoError(t, err)
	require.NoError(t, line.Device.Close())
	select {
	case <-again.Gone:
	case <-time.After(5 * time.Second):
		require.FailNow(t, "the end of the line is not told")
	}
	again.Release()
}

// A node that is not the device's is not opened, whatever its name is.
func TestNodeOfAnotherDevice(t *testing.T) {
	p := start(t, "printer")
	line := porttest.Open(t)
	p.Plug("1-4", usbtest.Device{Vendor: 0x0403, Product: 0x6001, Interfaces: []string{"ff/ff/ff"}})
	p.Node("1-4", "1-4:1.0/ttyUSB0/tty/ttyUSB0", "ttyUSB0", line.Node, unix.Major(line.Number), unix.Minor(line.Number)+77)
	p.event()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := p.client.Claim(ctx, api.RolePrinter)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	list, err := p.client.Devices(limit(t))
	require.NoError(t, err)
	require.Equal(t, api.StateError, list[0].State)
	require.Contains(t, list[0].Reason, "it is not device")
}

// A73: each service gets the device that it is for, and no other.
func TestA73WhoMayHaveWhat(t *testing.T) {
	p := start(t, "scanner")
	p.plugScanner()
	for role, kind := range map[string]link.Kind{
		api.RolePrinter: link.Denied, api.RoleTouch: link.Denied, api.RoleKeyboard: link.Denied,
		api.RoleHub: link.BadRequest, "": link.BadRequest, "disk": link.BadRequest,
	} {
		_, err := p.client.Claim(limit(t), role)
		require.Equal(t, kind, link.KindOf(err), "%s: %v", role, err)
	}
	_, err := start(t, "register").client.Claim(limit(t), api.RoleScanner)
	require.Equal(t, link.Denied, link.KindOf(err))
}

// A41: a stick goes to the stick service and to nobody else, and is off before and after.
func TestA41StickOverRealSockets(t *testing.T) {
	for _, who := range []string{"scanner", "printer", "screen", "register", "update", ""} {
		_, err := start(t, who).client.Claim(limit(t), api.RoleStick)
		require.Equal(t, link.Denied, link.KindOf(err), who)
	}
	p := start(t, "stick")
	_, err := p.client.Claim(limit(t), api.RoleScanner)
	require.Equal(t, link.Denied, link.KindOf(err))
	p.Plug("1-2", usbtest.Device{Vendor: 0x0781, Product: 0x5581, Interfaces: []string{"08/06/50"}})
	p.Node("1-2", ".", "bus/usb/001/002", "/dev/null", 1, 3)
	for range 3 {
		require.False(t, p.On("1-2"))
		h, err := p.client.Claim(limit(t), api.RoleStick)
		require.NoError(t, err)
		require.True(t, p.On("1-2"))
		require.Equal(t, []string{"stick", "0781:5581 1-2", "usbfs"}, []string{h.Role, h.Device, h.Kind})
		_, err = h.File.Read(make([]byte, 8))
		require.NoError(t, err)
		h.Release()
		require.Eventually(t, func() bool { return !p.On("1-2") }, 5*time.Second, time.Millisecond)
	}
}

// A claimant that dies gives the device back; one that stops waiting leaves no
// claim behind.
func TestClaimantsThatLeave(t *testing.T) {
	p := start(t, "scanner")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := p.client.Claim(ctx, api.RoleScanner)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	time.Sleep(50 * time.Millisecond)
	p.plugScanner()
	h, err := p.client.Claim(limit(t), api.RoleScanner)
	require.NoError(t, err)
	h.Release()
	<-h.Gone
	h, err = p.client.Claim(limit(t), api.RoleScanner)
	require.NoError(t, err)
	h.Release()
}

func TestGuardEnds(t *testing.T) {
	_, err := api.New(filepath.Join(t.TempDir(), "no.sock")).Claim(limit(t), api.RoleScanner)
	require.Error(t, err)
}
