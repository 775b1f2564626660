// Command cmd makes a store pack: it reads the body that a person wrote, says everything that is wrong with it, and signs it with the development store key.
//
//	go run ./services/register/pack/cmd [-shop services/register/pack/sample/shop.json] -o out/shop.pack
//
// It is a tool of the bench and not in any image. The rule that keeps it small: what is right is decided in package pack.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/services/register/pack"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("pack", flag.ContinueOnError)
	shop := flags.String("shop", "services/register/pack/sample/shop.json", "the pack's body as a person wrote it")
	keys := flags.String("keys", "", "folder of the development keys (empty: the usual one)")
	out := flags.String("o", "", "the pack file to write (empty: only check)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	body, err := os.ReadFile(*shop)
	if err != nil {
		return fmt.Errorf("reading the shop: %w", err)
	}
	p, err := pack.Parse(body)
	if err != nil || *out == "" {
		return err
	}
	return write(p, *keys, *out)
}

func write(p pack.Pack, dir, out string) error {
	if dir == "" {
		var err error
		if dir, err = dev.DefaultDir(); err != nil {
			return err
		}
	}
	keys, err := dev.Ensure(dir)
	if err != nil {
		return err
	}
	file, err := pack.Seal(p, keys.Store)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("writing the pack: %w", err)
	}
	if err := os.WriteFile(out, file, 0o644); err != nil {
		return fmt.Errorf("writing the pack: %w", err)
	}
	return nil
}
