// Command register is the service that runs the counter. init starts it with its socket and life line; the flags are for trying it by hand.
//
// It is a main and not a place for decisions: it reads the pack, connects and serves. The rule that keeps it small: what can be tested without a socket is in package register.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // the image has no zone files; the pack names the shop's zone

	"github.com/sirupsen/logrus"

	"github.com/choba-os/choba/keys/trust"
	boot "github.com/choba-os/choba/services/boot/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/register"
	"github.com/choba-os/choba/services/register/pack"
	"github.com/choba-os/choba/services/table"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "register: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("register", flag.ContinueOnError)
	flags.SetOutput(out)
	packFile := flags.String("pack", pack.Path, "the store pack")
	trustFile := flags.String("trust", "/etc/choba/trust.txt", "whose packs are believed")
	rows := flags.String("table", table.Path, "the service table")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := logrus.New()
	log.SetOutput(out)
	log.SetFormatter(&logrus.JSONFormatter{})
	entry := logrus.NewEntry(log).WithField("service", "register")
	t, err := table.Load(*rows)
	if err != nil {
		return err
	}
	shop, err := openPack(*trustFile, *packFile)
	if err != nil {
		return err
	}
	entry.WithField("pack", shop.Name()).WithField("articles", len(shop.Articles)).Info("the store pack is open")
	update := ""
	if t.May("register", "update") {
		update = table.Socket("update")
	}
	life := link.OpenLife()
	r, err := register.New(register.Config{
		Pack: shop, Journal: table.Socket("journal"), Scanner: table.Socket("scanner"), Printer: table.Socket("printer"),
		Update: update, Facts: facts(entry), Now: time.Now, Log: entry, Ready: life.Ready, Alive: life.Alive,
	})
	if err != nil {
		return err
	}
	return link.Run(ctx, t, "register", r.Handler(), r.Run)
}

// facts is what init says of this boot; nil when that cannot be read, which costs words on the screen and no sale.
func facts(log *logrus.Entry) *boot.Facts {
	f, err := boot.LoadFacts(boot.FactsPath)
	if err != nil {
		log.WithError(err).Warn("nothing is known of this boot")
		return nil
	}
	return &f
}

func openPack(trustFile, packFile string) (pack.Pack, error) {
	list, err := os.ReadFile(trustFile)
	if err != nil {
		return pack.Pack{}, fmt.Errorf("reading the trust list: %w", err)
	}
	root, err := trust.Parse(list)
	if err != nil {
		return pack.Pack{}, err
	}
	file, err := os.ReadFile(packFile)
	if err != nil {
		return pack.Pack{}, fmt.Errorf("reading the store pack: %w", err)
	}
	return pack.Open(root, file)
}
