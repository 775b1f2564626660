// Command pictures makes the pictures of the documents that need the whole
// bench: a receipt as it left the printer, and the bench's page in a browser.
//
// It is not a test, and the screens' own pictures come from services/screen/view.
//
// The rule that keeps it small: it does what README tells a visitor to do, and
// presses the shutter.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/choba-os/choba/tests/bench"
	"github.com/choba-os/choba/tests/bench/page"
	"github.com/choba-os/choba/tests/bench/shelf"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("pictures", flag.ContinueOnError)
	image := f.String("image", "out", "folder of the built image")
	to := f.String("to", "docs/pictures", "where the pictures go")
	if err := f.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "choba-pictures")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	goods, err := shelf.Load(filepath.Join(*image, "shop.pack"), filepath.Join(*image, "keys/trust.txt"), time.Now())
	if err != nil {
		return err
	}
	reg, err := bench.NewRegister(bench.Config{Dir: filepath.Join(dir, "m"), Disk: filepath.Join(*image, "disk.img"), Vars: filepath.Join(*image, "vars.fd")})
	if err != nil {
		return err
	}
	defer reg.Cut()
	if err := sell(ctx, reg); err != nil {
		return err
	}
	if err := receipt(reg, filepath.Join(*to, "receipt.png")); err != nil {
		return err
	}
	return browser(ctx, reg, goods, dir, filepath.Join(*to, "bench.png"))
}

// The mock-up's goods, and the quick amount of ¥10,000 on a 1280×800 screen.
var basket = []string{"4901234567894", "4902345678905", "4903456789016", "4904567890127", "4905678901238", "4906789012349"}

const tenThousandX, tenThousandY = 1192, 751

// sell makes one sale and starts the next, so that the page shows both.
func sell(ctx context.Context, reg *bench.Register) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := reg.Start(ctx); err != nil {
		return err
	}
	if _, err := reg.Wait(ctx, `screen: painted`); err != nil {
		return err
	}
	for _, code := range basket {
		if err := reg.Scan(code); err != nil {
			return err
		}
	}
	time.Sleep(4 * time.Second)
	if err := reg.Tap(tenThousandX, tenThousandY); err != nil {
		return err
	}
	for len(reg.Printer.Papers()) == 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the receipt: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	for _, code := range basket[:3] {
		if err := reg.Scan(code); err != nil {
			return err
		}
	}
	time.Sleep(3 * time.Second)
	return nil
}

func receipt(reg *bench.Register, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return png.Encode(f, reg.Printer.Papers()[0].Image)
}

// browser serves the page and photographs it.
func browser(ctx context.Context, reg *bench.Register, goods []page.Good, dir, path string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	go page.New(reg, goods).Run(ctx, ln)
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir="+filepath.Join(dir, "chromium"), "--window-size=1680,1180",
		"--timeout=8000", "--screenshot="+abs, "http://"+ln.Addr().String()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("photographing the page: %w: %s", err, out)
	}
	return nil
}
