// Command network keeps the register on the shop's network. init starts it with its socket and life line.
//
// It is not the network's logic (package network) and not the filter (package filter). The rule that keeps it small: it
// joins the table, the filter, the wire and the journal, and decides nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"

	"github.com/choba-os/choba/drivers/dhcp"
	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/network"
	"github.com/choba-os/choba/services/network/filter"
	"github.com/choba-os/choba/services/table"
)

const self = "network"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "network:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 0 {
		return errors.New("starting the network: it takes no arguments")
	}
	logger := logrus.New()
	logger.SetOutput(out)
	logger.SetFormatter(&logrus.JSONFormatter{})
	log := logger.WithField("service", self)
	t, err := table.Load(table.Path)
	if err != nil {
		return err
	}
	row, ok := t.Row(self)
	if !ok {
		return fmt.Errorf("starting the network: the service table has no row %q", self)
	}
	notes := journalapi.NewQueue(journalapi.New(table.Socket("journal")), network.Lost, log)
	life := link.OpenLife()
	s := network.New(network.Config{
		Filter: filter.Of(clients(t)).Set, Find: func() ([]dhcp.Interface, error) { return dhcp.Wired("/sys") }, Dir: row.Run,
		Note: notes.Add, Ready: life.Ready, Alive: life.Alive, Log: log,
	})
	return link.Run(ctx, t, self, s.Handler(), func(ctx context.Context) error {
		go notes.Run(ctx)
		return s.Run(ctx)
	})
}

// clients are the services with the machine's network, but for this one.
func clients(t table.T) []filter.Client {
	var out []filter.Client
	for _, r := range t.Rows() {
		if r.Network && r.Name != self {
			out = append(out, filter.Client{Name: r.Name, UID: r.UID})
		}
	}
	return out
}
