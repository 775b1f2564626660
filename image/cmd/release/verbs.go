package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/choba-os/choba/image/cmd/devrepo"
	"github.com/choba-os/choba/image/repository"
	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/keys/keyfile"
	"github.com/choba-os/choba/keys/trust"
)

// verb is one thing that the command can do.
type verb struct {
	name, args, does string
	run              func(*call) error
}

func verbs() []verb {
	return []verb{
		{"make", "", "put out/release.choba into the repository out/repository", (*call).make},
		{"publish", "REPO BUNDLE", "put a bundle into a repository", (*call).publish},
		{"refresh", "REPO", "renew a repository's snapshot and timestamp; put into force what waited for signatures", (*call).refresh},
		{"explain", "FILE", "say in words what a file or repository is, and whether a register would take it", (*call).explain},
		{"manifest", "BUNDLE", "take a bundle's manifest out, to be signed elsewhere", (*call).manifest},
		{"sign", "FILE", "sign a manifest, or a metadata file that waits in REPO/staged", (*call).sign},
		{"join", "BUNDLE SIGNED...", "join signatures that were made apart into a new bundle", (*call).join},
		{"key", "NAME", "make a key in this folder: for a release (-note) or for the repository's metadata", (*call).key},
		{"root", "", "write a repository's first root of trust", (*call).root},
		{"rotate", "REPO ROLE OLD NEW.pub", "put another key in an old one's place", (*call).rotate},
		{"revoke", "REPO ROLE NAME", "take a key out of a role", (*call).revoke},
		{"help", "", "this text", (*call).help},
	}
}

func (c *call) help() error {
	fmt.Fprintln(c.out, "release VERB [ARGUMENTS] [-FLAGS]; release VERB -h lists the flags")
	for _, v := range verbs() {
		fmt.Fprintf(c.out, "  %-32s %s\n", strings.TrimSpace(v.name+" "+v.args), v.does)
	}
	return nil
}

// call is one run of a verb.
type call struct {
	verb verb
	args []string
	out  io.Writer
	now  time.Time

	keys       string
	trustFile  string
	production bool
	at         string
}

// parse reads flags and arguments in any order and wants as many arguments as the
// verb names; a last one with dots stands for one or more.
func (c *call) parse(more func(*flag.FlagSet)) ([]string, error) {
	flags := flag.NewFlagSet("release "+c.verb.name, flag.ContinueOnError)
	flags.SetOutput(c.out)
	flags.StringVar(&c.keys, "keys", "", "folder of private keys (default: the INSECURE development keys)")
	flags.StringVar(&c.trustFile, "trust", "", "trust.txt of the registers (default: the development keys')")
	flags.BoolVar(&c.production, "production", false, "refuse development keys")
	flags.StringVar(&c.at, "time", "", "the time to write down, RFC 3339 (default $SOURCE_DATE_EPOCH, else now)")
	if more != nil {
		more(flags)
	}
	var names []string
	for rest := c.args; ; {
		if err := flags.Parse(rest); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			break
		}
		names = append(names, flags.Arg(0))
		rest = flags.Args()[1:]
	}
	want := len(strings.Fields(c.verb.args))
	if many := strings.HasSuffix(c.verb.args, "..."); len(names) < want || len(names) > want && !many {
		return nil, fmt.Errorf("want: release %s %s", c.verb.name, c.verb.args)
	}
	return names, c.setTime()
}

func (c *call) setTime() (err error) {
	switch epoch := os.Getenv("SOURCE_DATE_EPOCH"); {
	case c.at != "":
		c.now, err = time.Parse(time.RFC3339, c.at)
	case epoch != "":
		var seconds int64
		_, err = fmt.Sscan(epoch, &seconds)
		c.now = time.Unix(seconds, 0)
	}
	return err
}

func (c *call) terms() repository.Terms { return repository.DefaultTerms(c.now.UTC()) }

// development are the development keys; a production run must not come here.
func (c *call) development() (*dev.Keys, error) {
	if c.production {
		return nil, errors.New("a production release takes no development keys: give -keys and -trust")
	}
	dir, err := dev.DefaultDir()
	if err != nil {
		return nil, err
	}
	return dev.Ensure(dir)
}

// ring is every metadata key at hand.
func (c *call) ring() ([]repository.Key, error) {
	if c.keys == "" {
		k, err := c.development()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(c.out, "INSECURE development keys of %s\n", k.Dir)
		return devrepo.Ring(k), nil
	}
	paths, err := filepath.Glob(filepath.Join(c.keys, "*.key"))
	if err != nil {
		return nil, err
	}
	var out []repository.Key
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		k, err := keyfile.Parse(text)
		if err != nil {
			continue // a note key, or another program's
		}
		if c.production && strings.Contains(k.Name, trust.InsecureMark) {
			return nil, fmt.Errorf("%s: a production release takes no development key", path)
		}
		out = append(out, repository.Key(k))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no metadata keys in %s", c.keys)
	}
	return out, nil
}

// trustList is the registers' trust.txt.
func (c *call) trustList() (text []byte, root trust.Root, err error) {
	if c.trustFile == "" {
		k, err := c.development()
		if err != nil {
			return nil, root, err
		}
		text = k.Trust
	} else if text, err = os.ReadFile(c.trustFile); err != nil {
		return nil, root, err
	}
	if root, err = trust.Parse(text); err != nil {
		return nil, root, err
	}
	if c.production && root.Insecure() {
		return nil, root, errors.New("the trust list names development keys (INSECURE): a production release refuses it")
	}
	return text, root, nil
}

// say writes one line for the person who asked.
func (c *call) say(text string, args ...any) { fmt.Fprintf(c.out, text+"\n", args...) }
