// Command ports is the port guard: what is plugged into the register, and who
// may have it.
//
// It is not a driver. The rule that keeps it small: it puts the guard, the
// journal and the socket together.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/ports/guard"
	"github.com/choba-os/choba/services/ports/policy"
	"github.com/choba-os/choba/services/ports/serve"
	"github.com/choba-os/choba/services/ports/uevent"
	"github.com/choba-os/choba/services/ports/usb"
	"github.com/choba-os/choba/services/table"
)

const policyPath = "/etc/choba/ports.json"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	log := logrus.New()
	log.SetOutput(out)
	log.SetFormatter(&logrus.JSONFormatter{})
	entry := log.WithField("service", "ports")
	t, err := table.Load(table.Path)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(policyPath)
	if err != nil {
		return fmt.Errorf("reading the port policy: %w", err)
	}
	p, err := policy.Parse(text)
	if err != nil {
		return err
	}
	journal := journalapi.New(table.Socket("journal"))
	notes := guard.NewNotes(func(ctx context.Context, e journalapi.Event) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, err := journal.Append(ctx, e)
		return err
	}, time.Now, entry)
	g := guard.New(usb.Tree{Sys: "/sys", Dev: "/dev"}, p, guard.Files{Dev: "/dev"}, notes.Add, time.Now, entry)
	return link.Run(ctx, t, "ports", serve.Handler(g, entry), func(ctx context.Context) error {
		go notes.Run(ctx)
		return g.Run(ctx, listen(ctx, entry), ready())
	})
}

// ready tells init that the first look is done, and then that looks go on.
func ready() func() {
	life := link.OpenLife()
	return func() {
		life.Ready()
		life.Alive()
	}
}

// listen turns the kernel's events into hints. Without them the guard still
// looks every second.
func listen(ctx context.Context, log *logrus.Entry) <-chan struct{} {
	hint := make(chan struct{}, 1)
	go func() {
		err := uevent.Watch(ctx, func(uevent.Event) {
			select {
			case hint <- struct{}{}:
			default:
			}
		})
		if err != nil {
			log.WithError(err).Error("device events are not heard; looking every second instead")
		}
	}()
	return hint
}
