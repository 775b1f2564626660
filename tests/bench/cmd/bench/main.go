// Command bench runs the built image as a register in a browser: it starts the
// machine with its virtual hardware and serves the page on loopback.
//
// It is not in any image. The rule that keeps it small: it connects a register,
// a shelf and a page, and ends with them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/choba-os/choba/tests/bench"
	"github.com/choba-os/choba/tests/bench/page"
	"github.com/choba-os/choba/tests/bench/shelf"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	image, dir, addr string
	fresh            bool
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.image, "image", "out", "folder that ./build.sh image filled")
	f.StringVar(&o.dir, "dir", "out/bench", "the machine's folder: its disk and TPM live here over power cuts")
	f.StringVar(&o.addr, "addr", "127.0.0.1:8380", "loopback address of the page")
	f.BoolVar(&o.fresh, "fresh", false, "throw the machine's disk away and flash it anew")
	return o, f.Parse(args)
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if err := flash(o); err != nil {
		return err
	}
	goods, err := shelf.Load(filepath.Join(o.image, "shop.pack"), filepath.Join(o.image, "keys/trust.txt"), time.Now())
	if err != nil {
		return err
	}
	reg, err := bench.NewRegister(bench.Config{Dir: o.dir, Disk: filepath.Join(o.image, "disk.img"), Vars: filepath.Join(o.image, "vars.fd"), Watchdog: true})
	if err != nil {
		return err
	}
	ln, err := listen(o.addr)
	if err != nil {
		return err
	}
	if err := reg.Start(ctx); err != nil {
		return err
	}
	defer reg.Cut()
	fmt.Fprintf(out, "\n  The register is starting. Open  http://%s  in a browser. Ctrl-C ends it.\n\n", ln.Addr())
	go tell(ctx, reg, out)
	return page.New(reg, goods).Run(ctx, ln)
}

// flash makes a new machine when the image is newer than the machine's disk:
// an overlay over other bytes would be nonsense.
func flash(o options) error {
	disk, err := os.Stat(filepath.Join(o.image, "disk.img"))
	if err != nil {
		return fmt.Errorf("looking for the image: %w (./build.sh image makes it)", err)
	}
	old, err := os.Stat(filepath.Join(o.dir, "disk.qcow2"))
	if o.fresh || err == nil && old.ModTime().Before(disk.ModTime()) {
		if err := os.RemoveAll(o.dir); err != nil {
			return fmt.Errorf("flashing anew: %w", err)
		}
	}
	return os.MkdirAll(o.dir, 0o755)
}

// listen takes the wanted port, or any other free one on the same address.
func listen(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("choosing the page's address: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("choosing the page's address: %s is not loopback", host)
	}
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	return ln, err
}

// tell says when the register is ready, or why it is not.
func tell(ctx context.Context, reg *bench.Register, out io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	line, err := reg.Wait(ctx, `choba-init: ready to sell.*`, `choba-(init|recovery): stop: .*`)
	if ctx.Err() != nil && err != nil {
		return
	}
	if err != nil {
		fmt.Fprintln(out, "  The register did not start:", err)
		return
	}
	fmt.Fprintf(out, "  After %.1f s: %s\n", reg.Since().Seconds(), line)
}
