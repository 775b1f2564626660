package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/choba-os/choba/image/cmd/devrepo"
	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/services/table"
)

// config is all that a build depends on beside the sources.
type config struct {
	root    string // of the repository
	out     string // where the results go
	cache   string // outside the clone
	keys    string // folder of the development keys
	version uint64 // rising integer
	name    string // of the version, for people
	probe   bool   // a test image with tests/vm/probe inside
	bundle  bool   // stop at the bundle: no disk to flash
	server  string // where registers of this build look for releases
	fault   string // a test release that does not work, see faults
	log     io.Writer

	services []string // binaries that the service table names, each once
}

func configure(args []string, log io.Writer) (config, error) {
	c := config{log: log}
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&c.root, "root", ".", "the repository")
	flags.StringVar(&c.out, "out", "", "results (default ROOT/out; ROOT/out/test with -with-probe)")
	flags.StringVar(&c.cache, "cache", "", "what is kept between builds (default $CHOBA_CACHE/image, else choba/image in the user's cache)")
	flags.StringVar(&c.keys, "keys", "", "development keys (default $CHOBA_KEYS, else the user's cache)")
	flags.Uint64Var(&c.version, "version", 1, "version number; rises with every release")
	flags.StringVar(&c.name, "name", "0.1.0-dev", "version for people")
	flags.BoolVar(&c.probe, "with-probe", false, "build a TEST image with the probe inside")
	flags.StringVar(&c.server, "server", devrepo.Server, "where the registers look for releases; it is part of the boot image")
	flags.BoolVar(&c.bundle, "bundle", false, "build only the bundle, for an update")
	flags.StringVar(&c.fault, "fault", "", "build a TEST release that fails: boot-hang, hang, panic, loop, sick or blind")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	return c, c.complete()
}

func (c *config) complete() (err error) {
	if c.root, err = filepath.Abs(c.root); err != nil {
		return err
	}
	if c.probe {
		c.name += "+PROBE"
	}
	if err := c.checkFault(); err != nil {
		return err
	}
	if c.out == "" {
		c.out = filepath.Join(c.root, "out")
		if c.probe {
			c.out = filepath.Join(c.out, "test")
		}
	}
	if c.cache == "" {
		if c.cache, err = defaultCache(); err != nil {
			return err
		}
	}
	if c.keys == "" {
		if c.keys, err = dev.DefaultDir(); err != nil {
			return err
		}
	}
	return c.readServices()
}

func (c *config) readServices() error {
	t, err := table.Load(filepath.Join(c.root, tableFile))
	if err != nil {
		return err
	}
	for _, r := range t.Rows() {
		if !slices.Contains(c.services, r.Binary) {
			c.services = append(c.services, r.Binary)
		}
	}
	return nil
}

// defaultCache is image in $CHOBA_CACHE, or in choba in the user's cache.
func defaultCache() (string, error) {
	if d := os.Getenv("CHOBA_CACHE"); d != "" {
		return filepath.Abs(filepath.Join(d, "image"))
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache: %w", err)
	}
	return filepath.Join(base, "choba", "image"), nil
}
