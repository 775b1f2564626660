// Command cmd (choba-keys) makes the development keys that are missing and lists
// all of them with their fingerprints. With "escrow -identity FILE BLOB" it tells the
// recovery code of a register; with "ticket make" and "ticket sign" two persons allow
// a register what one may not.
//
// It makes no keys for a vendor, and lists no private byte. The rule that keeps it
// small: all it can do is in keys/dev, keys/escrow and keys/ticket.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/choba-os/choba/keys/dev"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "keys:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == "escrow" {
		return showCode(args[1:], out)
	}
	if len(args) > 0 && args[0] == "ticket" {
		return tickets(args[1:], time.Now(), out)
	}
	flags := flag.NewFlagSet("keys", flag.ContinueOnError)
	dir := flags.String("dir", "", "key folder (default $CHOBA_KEYS, else the user's cache)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		var err error
		if *dir, err = dev.DefaultDir(); err != nil {
			return err
		}
	}
	k, err := dev.Ensure(*dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "INSECURE development keys in %s\n", k.Dir)
	for _, line := range k.Fingerprints() {
		fmt.Fprintln(out, line)
	}
	return nil
}
