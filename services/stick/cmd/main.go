// Command stick reads memory sticks for update.
//
// It is not a file system and mounts nothing: the kernel has no driver for sticks at all. The rule that keeps it small:
// it puts the service, ports and the journal together.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	portsapi "github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/stick/serve"
	"github.com/choba-os/choba/services/table"
)

const me = "stick"

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
	t, err := table.Load(table.Path)
	if err != nil {
		return err
	}
	ports, journal := portsapi.New(table.Socket("ports")), journalapi.New(table.Socket("journal"))
	s := serve.New(serve.Options{
		Claim: func(ctx context.Context) (*portsapi.Handed, error) { return ports.Claim(ctx, portsapi.RoleStick) },
		Append: func(ctx context.Context, e journalapi.Event) error {
			_, err := journal.Append(ctx, e)
			return err
		},
		Log: log.WithField("service", me),
	})
	return link.Run(ctx, t, me, s.Handler(), func(ctx context.Context) error {
		life := link.OpenLife()
		life.Ready()
		return s.Run(ctx, life.Alive)
	})
}
