// Command image builds all that a vendor flashes or hands out: the boot image, the
// release bundle, the whole disk, and firmware variables for the emulator.
//
//	out/boot.efi        the signed boot image
//	out/release.choba   the release: manifest, EROFS, hash tree, boot image, SBOM
//	out/disk.img        the whole disk (sparse)
//	out/shop.pack       the sample store pack that is in the image
//	out/vars.fd         firmware variables with Secure Boot on
//	out/keys/           certificates, trust.txt, root.json and update.json: public halves only
//
// With -with-probe it builds a test image into out/test instead; no product image
// holds the probe.
//
// It does not decide formats (image/* do) and installs no tools (build.sh does).
// The rule that keeps it small: it runs steps in order, each one keyed by the hash
// of its inputs, and the same inputs and keys give the same bytes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	c, err := configure(args, out)
	if err != nil {
		return err
	}
	return c.build(ctx)
}
