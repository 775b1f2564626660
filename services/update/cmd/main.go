// Command update is the service that brings newer releases onto the register. init starts it with its socket and life
// line; the flags are for trying it by hand.
//
// It is a main and not a place for decisions: it reads what the image says, opens clocks and devices, and serves. The
// rule that keeps it small: what can be tested without a socket is in package update.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/repository"
	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/keys/trust"
	bootapi "github.com/choba-os/choba/services/boot/api"
	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	networkapi "github.com/choba-os/choba/services/network/api"
	stickapi "github.com/choba-os/choba/services/stick/api"
	"github.com/choba-os/choba/services/table"
	"github.com/choba-os/choba/services/update"
	"github.com/choba-os/choba/services/update/fetch"
	"github.com/choba-os/choba/services/update/memory"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "update: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("update", flag.ContinueOnError)
	flags.SetOutput(out)
	etc := flags.String("etc", "/etc/choba", "the image's trust.txt, root.json and update.json")
	data := flags.String("data", "/data/update", "where it remembers")
	rows := flags.String("table", table.Path, "the service table")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := logrus.New()
	log.SetOutput(out)
	log.SetFormatter(&logrus.JSONFormatter{})
	entry := log.WithField("service", "update")
	t, err := table.Load(*rows)
	if err != nil {
		return err
	}
	c, err := configure(*etc, *data, entry)
	if err != nil {
		return err
	}
	life := link.OpenLife()
	c.Ready, c.Alive = life.Ready, life.Alive
	s := update.New(c)
	return link.Run(ctx, t, "update", s.Handler(), s.Run)
}

// configure reads the image's word on whom to believe and whom to ask.
func configure(etc, data string, log *logrus.Entry) (update.Config, error) {
	list, err := os.ReadFile(filepath.Join(etc, "trust.txt"))
	if err != nil {
		return update.Config{}, fmt.Errorf("reading the trust list: %w", err)
	}
	believed, err := trust.Parse(list)
	if err != nil {
		return update.Config{}, err
	}
	root, err := os.ReadFile(filepath.Join(etc, "root.json"))
	if err != nil {
		return update.Config{}, fmt.Errorf("reading the root of releases: %w", err)
	}
	repo, err := repository.Open(root, filepath.Join(data, "metadata"))
	if err != nil {
		return update.Config{}, err
	}
	network, err := server(filepath.Join(etc, "update.json"), log)
	if err != nil {
		return update.Config{}, err
	}
	start := time.Now()
	return update.Config{
		Hardware: release.HardwarePC, Trust: believed, Repository: repo, Network: network,
		Link: networkapi.New(table.Socket("network")), Stick: stickapi.New(table.Socket("stick")), Boot: bootapi.New(bootapi.Socket), Journal: journalapi.New(table.Socket("journal")),
		Memory: memory.At(data), Idle: openIdle, Running: openRunning,
		Now: time.Now, Mono: func() time.Duration { return time.Since(start) }, Wait: wait, Dice: rand.Float64, Tick: time.Second,
		Log: log,
	}, nil
}

// server is the one that the image names; an image without update.json takes releases from sticks alone.
func server(path string, log *logrus.Entry) (source.Fetcher, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		log.Info("the image names no update server: releases come on sticks")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the update server's name: %w", err)
	}
	from, err := source.Parse(text)
	if err != nil {
		return nil, err
	}
	return fetch.New(from, time.Now)
}

func openIdle(device string) (update.Slot, error) { return os.OpenFile(device, os.O_RDWR, 0) }

func openRunning() (update.Volume, error) { return os.Open(table.RunningNode) }

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
