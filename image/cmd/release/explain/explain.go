// Package explain says in plain words what a release file is and whether a register
// would take it: a bundle, a manifest, a repository folder, a root of trust, or a
// piece of the repository's metadata.
//
// It decides nothing: the register's own code (image/release, image/repository,
// keys/trust) does, and is called for the verdict. What it adds is every reason at
// once, where a register stops at the first.
//
// The rule that keeps it small: one sentence a fact, no advice without a cause.
package explain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/repository"
	"github.com/choba-os/choba/keys/trust"
)

// Register is the register that is asked about.
type Register struct {
	Trust    []byte // its trust.txt
	Root     []byte // its root.json; nil = the repository's own first one
	Hardware string
	Floor    uint64 // lowest version that it accepts
	Schema   uint64 // schema of the data on it
	Now      time.Time
}

// Page is the answer: what it is, and each thing that a register looks at.
type Page struct {
	About  []string
	Points []Point
}

// Point is one thing that a register looks at.
type Point struct {
	Good bool
	Text string
}

func (p *Page) about(text string, args ...any) { p.About = append(p.About, fmt.Sprintf(text, args...)) }
func (p *Page) good(text string, args ...any) {
	p.Points = append(p.Points, Point{true, fmt.Sprintf(text, args...)})
}
func (p *Page) bad(text string, args ...any) {
	p.Points = append(p.Points, Point{false, fmt.Sprintf(text, args...)})
}

// judge adds a point: the first text when it is so, the second when it is not.
func (p *Page) judge(so bool, yes, no string) {
	if so {
		p.good("%s", yes)
	} else {
		p.bad("%s", no)
	}
}

// Taken reports whether nothing stands against it.
func (p Page) Taken() bool {
	for _, point := range p.Points {
		if !point.Good {
			return false
		}
	}
	return true
}

// String is the page as text.
func (p Page) String() string {
	var b strings.Builder
	for _, line := range p.About {
		fmt.Fprintln(&b, line)
	}
	if len(p.Points) == 0 {
		return b.String()
	}
	b.WriteByte('\n')
	for _, point := range p.Points {
		mark := "ok  "
		if !point.Good {
			mark = "NO  "
		}
		fmt.Fprintf(&b, "%s%s\n", mark, point.Text)
	}
	if p.Taken() {
		b.WriteString("\nThe register takes it.\n")
	} else {
		b.WriteString("\nThe register does not take it, for each line that begins with NO.\n")
	}
	return b.String()
}

// maxSmall is the longest file that is read whole to see what it is.
const maxSmall = 1 << 20

// File explains a file or a repository folder.
func File(path string, r Register) (Page, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Page{}, err
	}
	root, err := trust.Parse(r.Trust)
	if err != nil {
		return Page{}, err
	}
	if info.IsDir() {
		return folder(repository.Folder{Dir: path}, root, r)
	}
	f, err := os.Open(path)
	if err != nil {
		return Page{}, err
	}
	defer f.Close()
	head := make([]byte, 16)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return Page{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return Page{}, err
	}
	if bytes.HasPrefix(head[:n], []byte("CHOBA-BUNDLE-1")) {
		return bundle(f, info.Size(), root, r)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	if err != nil {
		return Page{}, err
	}
	return small(filepath.Base(path), data, root, r)
}

// small explains what fits into memory.
func small(name string, data []byte, root trust.Root, r Register) (Page, error) {
	if len(data) > maxSmall {
		return Page{}, fmt.Errorf("%s: neither a bundle nor small enough to be anything else here", name)
	}
	if bytes.HasPrefix(data, []byte("choba release 1\n")) {
		return manifest(data, root, r)
	}
	if list, err := trust.Parse(data); err == nil {
		return trustList(list), nil
	}
	if info, err := repository.ReadRoot(data); err == nil {
		var p Page
		p.about("%s is a root of trust: it says whose signatures on the repository's metadata count.", name)
		rootPage(&p, info)
		return p, nil
	}
	if kind, signers, err := repository.Describe(data); err == nil {
		var p Page
		p.about("%s is a piece of a repository's metadata: %s, with %d signatures. Ask about the whole folder to know whether they count.", name, kind, signers)
		return p, nil
	}
	return Page{}, fmt.Errorf("%s: not a bundle, manifest, trust list, root of trust or metadata file", name)
}

func trustList(list trust.Root) Page {
	var p Page
	p.about("This is a trust list for %s: %d of %d release keys make a release, %d of %d service keys a ticket.",
		list.Product, list.Threshold, len(list.Release), list.ServiceThreshold, len(list.Service))
	p.about("Without a TPM a register answers %q, with Secure Boot off %q.", list.NoTPM, list.NoSecureBoot)
	if list.Insecure() {
		p.about("Its keys are development keys (INSECURE): anybody who can read the builder's home can sign.")
	}
	return p
}

// manifest explains a manifest, signed or not.
func manifest(data []byte, root trust.Root, r Register) (Page, error) {
	m, _, err := Manifest(data)
	if err != nil {
		return Page{}, err
	}
	var p Page
	p.about("This is the manifest of %s version %d (%s).", m.Product, m.Version, m.Name)
	describe(&p, m)
	judge(&p, m, data, root, r)
	return p, nil
}

// Manifest reads a manifest with or without signatures, which it does not look at, and
// returns its text too.
func Manifest(data []byte) (m release.Manifest, text []byte, err error) {
	text = split(data)
	m, err = release.Parse(text)
	return m, text, err
}
