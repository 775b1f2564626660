// Command kernel builds the kernel ahead of an image, so that the long first
// build can run by itself, and says how large it became.
//
// It is not needed for an image (the image command builds the same kernel when
// the cache lacks it), it signs nothing and leaves nothing in out/.
//
// The rule that keeps it small: all it can do is in image/kernel.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/choba-os/choba/image/bootimage"
	"github.com/choba-os/choba/image/kernel"
	"github.com/choba-os/choba/keys/dev"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kernel:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	dir, err := dev.DefaultDir()
	if err != nil {
		return err
	}
	keys, err := dev.Ensure(dir)
	if err != nil {
		return err
	}
	initramfs, err := bootimage.Initramfs([]byte("\x7fELF\x02\x01 nothing"), keys.Trust, []byte("none"))
	if err != nil {
		return err
	}
	start := time.Now()
	b := kernel.Builder{Progress: out}
	image, err := b.Build(ctx, kernel.Inputs{
		Trusted:    bootimage.Trusted(keys.Verity.Cert, keys.Kexec.Cert),
		BootPolicy: bootimage.BootPolicy(),
		Initramfs:  initramfs,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "kernel: %d bytes, %s\n", len(image), time.Since(start).Round(time.Second))
	return err
}
