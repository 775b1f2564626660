package guard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/ports/guard"
	"github.com/choba-os/choba/services/ports/policy"
	"github.com/choba-os/choba/services/ports/usb"
	"github.com/choba-os/choba/services/ports/usb/usbtest"
)

// house is a guard on a made-up bus with a made-up clock.
type house struct {
	*usbtest.Bus
	t     *testing.T
	g     *guard.Guard
	now   time.Time
	notes []guard.Note

	mu     sync.Mutex
	err    error // what opening answers
	closed int
	opens  int
}

func (h *house) Open(policy.Row, []usb.Node) (guard.Opened, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.opens++; h.err != nil {
		return guard.Opened{}, h.err
	}
	r, w, err := os.Pipe()
	return guard.Opened{File: r, Close: func() {
		_, _ = r.Close(), w.Close()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.closed++
	}}, err
}

func quiet() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return logrus.NewEntry(log)
}

func open(t *testing.T) *house {
	text, err := os.ReadFile("../policy/bench.json")
	require.NoError(t, err)
	p, err := policy.Parse(text)
	require.NoError(t, err)
	h := &house{Bus: usbtest.New(t), t: t, now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	h.g = guard.New(h.Tree, p, h, func(n guard.Note) { h.notes = append(h.notes, n) }, func() time.Time { return h.now }, quiet())
	return h
}

func (h *house) look() bool {
	h.t.Helper()
	soon, err := h.g.Look()
	require.NoError(h.t, err)
	return soon
}

func (h *house) kinds() []string {
	out := make([]string, 0, len(h.notes))
	for _, n := range h.notes {
		out = append(out, n.Kind)
	}
	return out
}

func scanner() usbtest.Device {
	return usbtest.Device{Vendor: 0x1209, Product: 0xc0b1, Serial: "BENCH-SCANNER-1", Name: "Barcode scanner", Interfaces: []string{"03/01/01"}}
}

func stick() usbtest.Device {
	return usbtest.Device{Vendor: 0x1209, Product: 0xbad2, Serial: "S-666", Maker: "Stranger", Name: "USB stick", Interfaces: []string{"08/06/50"}}
}

// stranger is a thing that no row allows.
func stranger() usbtest.Device {
	d := stick()
	d.Interfaces = []string{"ff/00/00"}
	return d
}

func (h *house) scannerNode(path string) {
	h.Node(path, path+":1.0/0003:1209:C0B1.0001/input/input5/event3", "input/event3", "/dev/null", 1, 3)
}

// A25, A84: an allowed device is switched on, found, claimed, and missed.
func TestA25HotPlug(t *testing.T) {
	h := open(t)
	require.False(t, h.look())
	h.Plug("1-3", scanner())
	require.False(t, h.On("1-3"))
	require.True(t, h.look(), "its node is still to come")
	require.True(t, h.On("1-3"))
	require.Equal(t, api.StateAllowed, h.g.Devices()[0].State)
	h.scannerNode("1-3")
	require.False(t, h.look())
	require.Equal(t, api.StateReady, h.g.Devices()[0].State)
	c, err := h.g.Claim(t.Context(), api.RoleScanner)
	require.NoError(t, err)
	require.Equal(t, "1209:c0b1 1-3", c.Device)
	require.Equal(t, api.StateClaimed, h.g.Devices()[0].State)
	h.Unplug("1-3")
	h.look()
	<-c.Gone
	require.Equal(t, 1, h.closed)
	c.Release()
	require.Empty(t, h.g.Devices())
	require.Equal(t, []string{guard.Attached, guard.Detached}, h.kinds())
	require.Equal(t, "scanner", h.notes[0].Fact.Role)
	require.Equal(t, "BENCH-SCANNER-1", h.notes[0].Fact.Serial)
}

// A41, A63: what is not on the list is never switched on, and is recorded.
func TestA63StrangersStayOff(t *testing.T) {
	h := open(t)
	h.Plug("1-2", stranger())
	h.Plug("1-5", usbtest.Device{Vendor: 0x1209, Product: 0xc0b1, Descriptors: []byte{1, 2, 3}})
	h.look()
	for _, d := range h.g.Devices() {
		require.Equal(t, api.StateRefused, d.State)
		require.NotEmpty(t, d.Reason)
		require.Empty(t, d.Role)
		require.False(t, h.On(d.Path))
	}
	require.Equal(t, []string{guard.Refused, guard.Refused}, h.kinds())
	f := h.notes[0].Fact
	require.Equal(t, []string{"1209", "bad2", "S-666", "Stranger", "USB stick"}, []string{f.Vendor, f.Product, f.Serial, f.Maker, f.Name})
	h.Unplug("1-2")
	h.look()
	require.Equal(t, guard.Detached, h.kinds()[2])
}

// The guard starts again while things are plugged in and on.
func TestStrangerThatWasOnIsSwitchedOff(t *testing.T) {
	h := open(t)
	d := stranger()
	d.On = true
	h.Plug("1-2", d)
	s := scanner()
	s.On = true
	h.Plug("1-3", s)
	h.scannerNode("1-3")
	h.look()
	require.False(t, h.On("1-2"))
	require.True(t, h.On("1-3"))
	require.Equal(t, api.StateReady, h.g.Devices()[1].State)
}

// A44, A64: pulled and plugged between two looks: another number, another device.
func TestA64SwapUnseen(t *testing.T) {
	h := open(t)
	h.Plug("1-3", scanner())
	h.scannerNode("1-3")
	h.look()
	c, err := h.g.Claim(t.Context(), api.RoleScanner)
	require.NoError(t, err)
	h.Unplug("1-3")
	other := scanner()
	other.Serial = "BENCH-SCANNER-2"
	h.Plug("1-3", other)
	h.look()
	<-c.Gone
	require.Equal(t, []string{guard.Attached, guard.Detached, guard.Refused}, h.kinds())
	require.Contains(t, h.notes[2].Fact.Reason, "another unit")
	require.False(t, h.On("1-3"))
}

func TestOneClaimant(t *testing.T) {
	h := open(t)
	h.Plug("1-3", scanner())
	h.scannerNode("1-3")
	h.look()
	first, err := h.g.Claim(t.Context(), api.RoleScanner)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = h.g.Claim(ctx, api.RoleScanner)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	first.Release()
	first.Release()
	second, err := h.g.Claim(t.Context(), api.RoleScanner)
	require.NoError(t, err)
	second.Release()
	require.Equal(t, 2, h.closed)
}

// init gives the guard its files a moment after they appear.
func TestWaitsForItsNode(t *testing.T) {
	h := open(t)
	h.Plug("1-3", scanner())
	h.scannerNode("1-3")
	h.look()
	h.mu.Lock()
	h.err = fs.ErrPermission
	h.mu.Unlock()
	got := make(chan *guard.Claim)
	go func() {
		c, _ := h.g.Claim(context.Background(), api.RoleScanner)
		got <- c
	}()
	require.Eventually(t, func() bool { return h.g.Devices()[0].State == api.StateAllowed }, time.Second, time.Millisecond)
	h.look()
	h.mu.Lock()
	h.err = nil
	h.mu.Unlock()
	require.Eventually(t, func() bool { h.look(); return len(got) == 1 || h.g.Devices()[0].State == api.StateClaimed }, time.Second, time.Millisecond)
	(<-got).Release()
}

// A node that stays somebody else's is a fault that is said.
func TestNodeThatNeverComesOurs(t *testing.T) {
	h := open(t)
	h.Plug("1-3", scanner())
	h.scannerNode("1-3")
	h.look()
	h.err = fs.ErrPermission
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _, _ = h.g.Claim(ctx, api.RoleScanner) }()
	require.Eventually(t, func() bool { return h.g.Devices()[0].State == api.StateAllowed }, time.Second, time.Millisecond)
	h.mu.Lock() // the clock is read under the guard's lock; nobody looks now
	h.now = h.now.Add(2 * time.Second)
	h.mu.Unlock()
	h.look()
	require.Eventually(t, func() bool { return h.g.Devices()[0].State == api.StateError }, time.Second, time.Millisecond)
	require.Contains(t, h.g.Devices()[0].Reason, "could not be opened")
}

func TestNoDriver(t *testing.T) {
	h := open(t)
	h.Plug("1-3", scanner())
	require.True(t, h.look())
	h.now = h.now.Add(11 * time.Second)
	require.False(t, h.look())
	require.Equal(t, api.StateError, h.g.Devices()[0].State)
	require.Equal(t, []string{guard.Attached, guard.Failed}, h.kinds())
	h.now = h.now.Add(11 * time.Second)
	h.look()
	h.now = h.now.Add(11 * time.Second)
	h.look()
	require.Equal(t, []string{guard.Attached, guard.Failed}, h.kinds(), "said once")
	h.now = h.now.Add(11 * time.Second)
	h.scannerNode("1-3")
	h.look()
	require.Equal(t, api.StateReady, h.g.Devices()[0].State)
	require.Empty(t, h.g.Devices()[0].Reason)
}

// A service that restarts claims its line before the old one is closed.
func TestBusyLine(t *testing.T) {
	h := open(t)
	h.Plug("1-3", scanner())
	h.scannerNode("1-3")
	h.look()
	h.err = unix.EBUSY
	got := make(chan *guard.Claim)
	go func() {
		c, _ := h.g.Claim(context.Background(), api.RoleScanner)
		got <- c
	}()
	require.Eventually(t, func() bool { return h.g.Devices()[0].State == api.StateAllowed }, time.Second, time.Millisecond)
	h.mu.Lock()
	h.err = nil
	h.mu.Unlock()
	h.look()
	(<-got).Release()
}

// A117: a device that flickers is shut out, and fills nothing.
func TestFlood(t *testing.T) {
	h := open(t)
	for range 30 {
		h.Plug("1-3", scanner())
		h.look()
		h.Unplug("1-3")
		h.look()
		h.now = h.now.Add(100 * time.Millisecond)
	}
	h.Plug("1-3", scanner())
	h.look()
	require.Equal(t, "it comes and goes too often", h.g.Devices()[0].Reason)
	require.False(t, h.On("1-3"))
	h.Unplug("1-3")
	h.look()
	h.now = h.now.Add(2 * time.Minute)
	h.Plug("1-3", scanner())
	h.look()
	require.True(t, h.On("1-3"))
}

func TestNotesAreBounded(t *testing.T) {
	var mu sync.Mutex
	var got []journalapi.Event
	fail := true
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	n := guard.NewNotes(func(_ context.Context, e journalapi.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if fail {
			return &link.Error{Kind: link.Unavailable, Text: "no journal"}
		}
		got = append(got, e)
		return nil
	}, clock, quiet())
	for i := range 1000 {
		n.Add(guard.Note{Kind: guard.Refused, Device: fmt.Sprint(i)})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go n.Run(ctx)
	time.Sleep(20 * time.Millisecond)
	mu.Lock()
	require.Empty(t, got)
	fail, now = false, now.Add(5*time.Second)
	mu.Unlock()
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == 61 }, 5*time.Second, 10*time.Millisecond)
	require.Equal(t, guard.Flood, got[60].Kind)
	require.JSONEq(t, `{"at":"2026-11-22T10:00:05Z","left":940}`, string(got[60].Content))
	for i := range 60 {
		require.Equal(t, fmt.Sprint(i), got[i].Device, "in order, none lost before the bound")
	}
}

func TestNotesDropWhatTheJournalWillNeverTake(t *testing.T) {
	calls := 0
	n := guard.NewNotes(func(context.Context, journalapi.Event) error {
		calls++
		return &link.Error{Kind: link.Denied, Text: "no"}
	}, time.Now, quiet())
	n.Add(guard.Note{Kind: guard.Refused})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	n.Run(ctx)
	require.Equal(t, 1, calls)
	require.True(t, errors.Is(ctx.Err(), context.DeadlineExceeded))
}
