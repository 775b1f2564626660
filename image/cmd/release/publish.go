package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/choba-os/choba/image/cmd/devrepo"
	"github.com/choba-os/choba/image/cmd/release/explain"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/repository"
	"github.com/choba-os/choba/keys/trust"
)

// make puts the bundle that the image build left into a repository beside it, which
// it begins when there is none.
func (c *call) make() error {
	var from, repo, rootFile string
	_, err := c.parse(func(f *flag.FlagSet) {
		f.StringVar(&from, "out", "out", "results of the image build")
		f.StringVar(&repo, "repo", "", "the repository (default OUT/repository)")
		f.StringVar(&rootFile, "root", "", "root of trust of a new repository (default: the development keys')")
	})
	if err != nil {
		return err
	}
	if repo == "" {
		repo = filepath.Join(from, "repository")
	}
	if _, _, err := c.trustList(); err != nil {
		return err
	}
	folder := repository.Folder{Dir: repo}
	if _, err := folder.Root(); errors.Is(err, repository.ErrMissing) {
		if err := c.begin(folder, rootFile); err != nil {
			return err
		}
	}
	return c.put(folder, filepath.Join(from, "release.choba"))
}

func (c *call) begin(folder repository.Folder, rootFile string) error {
	root, err := c.firstRoot(rootFile)
	if err != nil {
		return err
	}
	return folder.Create(root)
}

func (c *call) firstRoot(file string) ([]byte, error) {
	if file != "" {
		return os.ReadFile(file)
	}
	if c.keys != "" {
		return nil, errors.New("a new repository of your own keys wants its -root")
	}
	k, err := c.development()
	if err != nil {
		return nil, err
	}
	return devrepo.Root(k)
}

func (c *call) publish() error {
	args, err := c.parse(nil)
	if err != nil {
		return err
	}
	return c.put(repository.Folder{Dir: args[0]}, args[1])
}

// put stages a bundle after asking whether registers would take it, and puts it into
// force with the keys at hand.
func (c *call) put(folder repository.Folder, bundle string) error {
	_, root, err := c.trustList()
	if err != nil {
		return err
	}
	if err := c.refuseInsecure(folder); err != nil {
		return err
	}
	f, err := os.Open(bundle)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := checkBundle(f, root); err != nil {
		return fmt.Errorf("%s: registers would not take it (release explain says more): %w", bundle, err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return err
	}
	m, err := folder.Stage(f, c.terms())
	if errors.Is(err, repository.ErrOlder) {
		c.say("Version %d is there already; the metadata is renewed.", m.Version)
	} else if err != nil {
		return err
	} else {
		c.say("%s version %d (%s) is in %s.", m.Product, m.Version, m.Name, folder.Dir)
	}
	return c.advance(folder)
}

// checkBundle asks what every register asks of a signed manifest.
func checkBundle(f *os.File, root trust.Root) error {
	b, err := release.OpenBundle(f)
	if err != nil {
		return err
	}
	text, _, err := root.OpenRelease(b.Signed)
	if err != nil {
		return err
	}
	m, err := release.Parse(text)
	if err != nil {
		return err
	}
	_, err = release.Check(root, b.Signed, release.Register{Hardware: m.Hardware[0]})
	return err
}

// refuseInsecure stops a production run on a repository of development keys.
func (c *call) refuseInsecure(folder repository.Folder) error {
	info, err := folder.Root()
	if err != nil {
		return err
	}
	if c.production && info.Insecure() {
		return errors.New("the repository's root names development keys (INSECURE): a production release refuses it")
	}
	return nil
}

// advance puts into force what the keys at hand allow, and says what is left to do.
func (c *call) advance(folder repository.Folder) error {
	ring, err := c.ring()
	if err != nil {
		return err
	}
	waiting, err := folder.Advance(ring, c.terms())
	if err != nil {
		return err
	}
	for _, w := range waiting {
		c.say("Waiting: %s", w)
	}
	if len(waiting) == 0 {
		c.say("Registers may take what %s offers until %s.", folder.Dir, c.terms().Now.Add(c.terms().Timestamp).Format("2006-01-02"))
	}
	return nil
}

func (c *call) refresh() error {
	args, err := c.parse(nil)
	if err != nil {
		return err
	}
	folder := repository.Folder{Dir: args[0]}
	if err := c.refuseInsecure(folder); err != nil {
		return err
	}
	return c.advance(folder)
}

// explain says what a file is. Its answer is the text; a file that no register takes
// is an answer and not an error.
func (c *call) explain() error {
	r := explain.Register{Hardware: release.HardwarePC, Schema: 1}
	var rootFile string
	args, err := c.parse(func(f *flag.FlagSet) {
		f.StringVar(&r.Hardware, "hardware", r.Hardware, "the register's hardware")
		f.Uint64Var(&r.Floor, "floor", 0, "the lowest version that the register accepts")
		f.Uint64Var(&r.Schema, "schema", r.Schema, "schema of the register's data")
		f.StringVar(&rootFile, "root", "", "the register's root.json")
	})
	if err != nil {
		return err
	}
	if r.Trust, _, err = c.trustList(); err != nil {
		return err
	}
	if rootFile != "" {
		if r.Root, err = os.ReadFile(rootFile); err != nil {
			return err
		}
	}
	r.Now = c.now
	page, err := explain.File(args[0], r)
	if err != nil {
		return err
	}
	fmt.Fprint(c.out, page)
	return nil
}
