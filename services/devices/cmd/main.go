// Command devices drives one device: it is started once for each, with the
// device's name as its argument (scanner, printer).
//
// It opens no node itself: ports hands it the open file. The rule that keeps it
// small: it puts one service, its callers and the journal together.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/escpos/outline"
	"github.com/choba-os/choba/drivers/input"
	"github.com/choba-os/choba/services/devices/printer"
	"github.com/choba-os/choba/services/devices/scanner"
	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	portsapi "github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/table"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

// service is what each device has.
type service interface {
	Handler() http.Handler
	Run(ctx context.Context, alive func()) error
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("starting a device: want one argument, the device's name, got %d", len(args))
	}
	log := logrus.New()
	log.SetOutput(out)
	log.SetFormatter(&logrus.JSONFormatter{})
	entry := log.WithField("service", args[0])
	s, err := build(args[0], entry)
	if err != nil {
		return err
	}
	t, err := table.Load(table.Path)
	if err != nil {
		return err
	}
	return link.Run(ctx, t, args[0], s.Handler(), func(ctx context.Context) error {
		life := link.OpenLife()
		life.Ready()
		return s.Run(ctx, life.Alive)
	})
}

func build(name string, log *logrus.Entry) (service, error) {
	ports := portsapi.New(table.Socket("ports"))
	claim := func(ctx context.Context) (*portsapi.Handed, error) { return ports.Claim(ctx, name) }
	switch name {
	case portsapi.RoleScanner:
		return scanner.New(claim, input.US, time.Now, log), nil
	case portsapi.RolePrinter:
		font, err := outline.New()
		if err != nil {
			return nil, err
		}
		return printer.New(printer.Options{
			Claim: claim, Journal: journalapi.New(table.Socket("journal")), Font: font, Now: time.Now, Mono: sinceBoot, Log: log,
		}), nil
	}
	return nil, fmt.Errorf("starting a device: there is no device %q", name)
}

// sinceBoot is nanoseconds since boot, standby included, as the journal counts.
func sinceBoot() (int64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, fmt.Errorf("reading the clock: %w", err)
	}
	return ts.Nano(), nil
}
