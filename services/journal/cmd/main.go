// Command journal is the service that keeps the log. init starts it with its socket and life line; -data and -table
// are for trying it by hand.
//
// It is a main and nothing else: it opens the store, serves, and says so. The rule that keeps it small: no decision is
// made here.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"

	"github.com/choba-os/choba/services/journal/server"
	"github.com/choba-os/choba/services/journal/store"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/table"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "journal: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("journal", flag.ContinueOnError)
	flags.SetOutput(out)
	data := flags.String("data", "/data/journal", "the journal's folder")
	rows := flags.String("table", table.Path, "the service table")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := logrus.New()
	log.SetOutput(out)
	log.SetFormatter(&logrus.JSONFormatter{})
	t, err := table.Load(*rows)
	if err != nil {
		return err
	}
	dir, err := store.OpenDir(*data)
	if err != nil {
		return err
	}
	defer dir.Close()
	clock, exact := store.SystemClock()
	entry := logrus.NewEntry(log).WithField("service", "journal")
	if !exact {
		entry.Warn("the kernel's number for this boot cannot be read; this start counts as a boot of its own")
	}
	s, err := store.Open(store.Options{Disk: dir, Clock: clock, Random: rand.Reader, Log: entry})
	if err != nil {
		return err
	}
	entry.WithField("origin", s.Origin()).WithField("entries", s.Size()).Info("the log is open")
	return errors.Join(serve(ctx, s, t, entry), s.Close())
}

// serve answers until ctx ends, then lets the store write what is still queued.
func serve(ctx context.Context, s *store.Store, t table.T, log *logrus.Entry) error {
	ln, err := link.Listener()
	if err != nil {
		return err
	}
	life := link.OpenLife()
	handler := link.Allow(t, "journal")(server.New(s, t.Kinds, log))
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWriting()
	served := make(chan error, 1)
	go func() {
		served <- link.Serve(serving, ln, t.NameOf, handler)
		stopWriting()
	}()
	life.Ready()
	err = s.Run(writing, life.Alive)
	stopServing() // when the store failed; else it has ended already
	return errors.Join(err, <-served)
}
