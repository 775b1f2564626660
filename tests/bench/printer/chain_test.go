package printer_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/port/porttest"
	"github.com/choba-os/choba/services/devices/api"
	service "github.com/choba-os/choba/services/devices/printer"
	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/journal/journaltest"
	"github.com/choba-os/choba/services/link"
	portsapi "github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/ports/guard"
	"github.com/choba-os/choba/services/ports/policy"
	"github.com/choba-os/choba/services/ports/serve"
	"github.com/choba-os/choba/services/ports/usb/usbtest"
	"github.com/choba-os/choba/tests/bench/printer"
)

// serveOn serves a handler on a socket of its own, as calls of one caller.
func serveOn(t *testing.T, ctx context.Context, wg *sync.WaitGroup, caller string, h http.Handler) string {
	dir, err := os.MkdirTemp("", "chain")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s.sock")
	ln, err := net.Listen("unix", socket)
	require.NoError(t, err)
	wg.Go(func() { _ = link.Serve(ctx, ln, func(uint32) string { return caller }, h) })
	return socket
}

// The whole way: register's client, printer service, journal, guard, serial
// line, twin; unplugged and plugged again in the middle of a receipt.
func TestWholeWay(t *testing.T) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	entry := logrus.NewEntry(log)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	journal := journaltest.Start(t)
	text, err := os.ReadFile("../../../services/ports/policy/bench.json")
	require.NoError(t, err)
	pol, err := policy.Parse(text)
	require.NoError(t, err)
	bus := usbtest.New(t)
	notes := guard.NewNotes(func(ctx context.Context, e journalapi.Event) error {
		_, err := journal.Client("ports").Append(ctx, e)
		return err
	}, time.Now, entry)
	g := guard.New(bus.Tree, pol, guard.Files{Dev: bus.Dev}, notes.Add, time.Now, entry)
	wg.Go(func() { notes.Run(ctx) })
	wg.Go(func() { _ = g.Run(ctx, nil, func() {}) })
	ports := portsapi.New(serveOn(t, ctx, &wg, "printer", serve.Handler(g, entry)))
	svc := service.New(service.Options{
		Claim:   func(ctx context.Context) (*portsapi.Handed, error) { return ports.Claim(ctx, "printer") },
		Journal: journal.Client("printer"), Now: time.Now, Log: entry,
		Mono: func() (int64, error) {
			var ts unix.Timespec
			err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
			return ts.Nano(), err
		},
	})
	wg.Go(func() { _ = svc.Run(ctx, func() {}) })
	client := api.Printer(serveOn(t, ctx, &wg, "register", svc.Handler()))
	twin := printer.New(printer.Options{LineTime: 5 * time.Millisecond})

	plug := func() (unplug func()) {
		line := porttest.Open(t)
		bus.Plug("1-4", usbtest.Device{Vendor: 0x0403, Product: 0x6001, Serial: "FT1", Interfaces: []string{"ff/ff/ff"}})
		bus.Node("1-4", "1-4:1.0/ttyUSB0/tty/ttyUSB0", "ttyUSB0", line.Node, unix.Major(line.Number), unix.Minor(line.Number))
		done := make(chan struct{})
		go func() { defer close(done); _ = twin.Serve(line.Device) }()
		return func() { bus.Unplug("1-4"); _ = line.Device.Close(); <-done }
	}
	state := func(ok func(api.State) bool) {
		t.Helper()
		seen := errors.New("seen")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		require.ErrorIs(t, client.Watch(ctx, func(s api.State) error {
			if ok(s) {
				return seen
			}
			return nil
		}), seen)
	}
	long := api.Job{ID: "r-2", Cut: true}
	for range 100 {
		long.Lines = append(long.Lines, api.Line{Text: "手巻おにぎり 紅鮭", Right: "¥168※"})
	}

	unplug := plug()
	state(func(s api.State) bool { return s.Connection == api.Ready })
	begun := time.Now()
	r, err := client.Print(t.Context(), api.Job{ID: "r-1", Lines: long.Lines[:20], Cut: true})
	require.NoError(t, err)
	require.Equal(t, api.Done, r.State, r.Reason)
	t.Logf("20 lines at 5 ms: %s", time.Since(begun))
	require.Len(t, twin.Papers(), 1)

	result := make(chan api.Result, 1)
	go func() {
		r, _ := client.Print(context.Background(), long)
		result <- r
	}()
	state(func(s api.State) bool { return s.Text == api.TextPrinting })
	time.Sleep(100 * time.Millisecond)
	unplug()
	require.Equal(t, api.Unknown, (<-result).State)
	state(func(s api.State) bool { return s.Connection == api.Absent })
	unplug = plug()
	state(func(s api.State) bool { return s.Connection == api.Ready })
	r, err = client.Print(t.Context(), long)
	require.NoError(t, err)
	require.Equal(t, api.Unknown, r.State, "nothing is printed twice silently")
	long.ID = "r-2-again"
	r, err = client.Print(t.Context(), long)
	require.NoError(t, err)
	require.Equal(t, api.Done, r.State, r.Reason)
	unplug()
	require.Zero(t, twin.State().Lost)
}
