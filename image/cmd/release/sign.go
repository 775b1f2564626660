package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/cmd/release/explain"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/repository"
	"github.com/choba-os/choba/keys/keyfile"
	"github.com/choba-os/choba/keys/trust"
)

// manifest takes the text to be signed out of a bundle. The signatures that the
// bundle has stay behind.
func (c *call) manifest() error {
	var to string
	args, err := c.parse(func(f *flag.FlagSet) {
		f.StringVar(&to, "o", "", "where to (default: BUNDLE with .manifest at its end)")
	})
	if err != nil {
		return err
	}
	if to == "" {
		to = strings.TrimSuffix(args[0], ".choba") + ".manifest"
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := release.OpenBundle(f)
	if err != nil {
		return err
	}
	_, text, err := explain.Manifest(b.Signed)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, text, 0o644); err != nil {
		return err
	}
	c.say("%s: compare it, then release sign %s -key KEY on each signer's machine.", to, to)
	return nil
}

// sign signs one file with one key, and says what has been signed.
func (c *call) sign() error {
	var key string
	args, err := c.parse(func(f *flag.FlagSet) {
		f.StringVar(&key, "key", "", "file of the signer's private key")
	})
	if err != nil {
		return err
	}
	if key == "" {
		return errors.New("want -key FILE")
	}
	keyText, err := os.ReadFile(key)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	if m, _, err := explain.Manifest(data); err == nil {
		return c.signManifest(args[0], m, strings.TrimSpace(string(keyText)))
	}
	return c.signMetadata(args[0], data, keyText)
}

func (c *call) signManifest(path string, m release.Manifest, key string) error {
	signer, err := note.NewSigner(key)
	if err != nil {
		return fmt.Errorf("reading the key: %w", err)
	}
	if err := c.allow(signer.Name()); err != nil {
		return err
	}
	signed, err := release.Sign(m, signer)
	if err != nil {
		return err
	}
	to := path + "." + signer.Name()
	if err := os.WriteFile(to, signed, 0o644); err != nil {
		return err
	}
	c.say("Signed by %s: %s version %d (%s), root hash %s.", signer.Name(), m.Product, m.Version, m.Name, m.Verity.Root)
	c.say("The signature is in %s.", to)
	return nil
}

func (c *call) signMetadata(path string, data, keyText []byte) error {
	k, err := keyfile.Parse(keyText)
	if err != nil {
		return err
	}
	if err := c.allow(k.Name); err != nil {
		return err
	}
	what, _, err := repository.Describe(data)
	if err != nil {
		return fmt.Errorf("%s: neither a manifest nor metadata: %w", path, err)
	}
	signed, added, err := repository.AddSignatures(data, []repository.Key{repository.Key(k)})
	if err != nil {
		return err
	}
	if len(added) == 0 {
		c.say("%s had signed it already.", k.Name)
		return nil
	}
	if err := os.WriteFile(path, signed, 0o644); err != nil {
		return err
	}
	c.say("Signed by %s: %s.", k.Name, what)
	return nil
}

// allow refuses a development key in a production run.
func (c *call) allow(name string) error {
	if c.production && strings.Contains(name, trust.InsecureMark) {
		return fmt.Errorf("%s is a development key: a production release refuses it", name)
	}
	return nil
}

// join writes a new bundle whose manifest bears the given signatures and no others.
func (c *call) join() error {
	var to string
	args, err := c.parse(func(f *flag.FlagSet) {
		f.StringVar(&to, "o", "", "the new bundle")
	})
	if err != nil {
		return err
	}
	if to == "" || filepath.Clean(to) == filepath.Clean(args[0]) {
		return errors.New("want -o with another name than the bundle's")
	}
	_, root, err := c.trustList()
	if err != nil {
		return err
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := release.OpenBundle(f)
	if err != nil {
		return err
	}
	signed, signers, err := joined(b.Signed, args[1:], root)
	if err != nil {
		return err
	}
	if err := rewrite(f, signed, to); err != nil {
		return err
	}
	c.say("%s is signed by %s: %d of the %d needed.", to, strings.Join(signers, " and "), len(signers), root.Threshold)
	return nil
}

// joined puts the signatures of several copies of one manifest under it. Keys that
// registers do not know are left out.
func joined(own []byte, paths []string, root trust.Root) (signed []byte, signers []string, err error) {
	_, text, err := explain.Manifest(own)
	if err != nil {
		return nil, nil, err
	}
	all := &note.Note{Text: string(text)}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		n, err := note.Open(data, note.VerifierList(root.Release...))
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		if n.Text != string(text) {
			return nil, nil, fmt.Errorf("%s signs another manifest than the bundle's", path)
		}
		all.UnverifiedSigs = append(all.UnverifiedSigs, n.Sigs...) // note.Sign writes those that it did not make
	}
	slices.SortFunc(all.UnverifiedSigs, func(a, b note.Signature) int { return strings.Compare(a.Name, b.Name) })
	all.UnverifiedSigs = slices.CompactFunc(all.UnverifiedSigs, func(a, b note.Signature) bool { return a.Name == b.Name && a.Hash == b.Hash })
	if signed, err = note.Sign(all); err != nil {
		return nil, nil, err
	}
	_, signers, err = root.OpenRelease(signed)
	return signed, signers, err
}

// rewrite copies a bundle under another signed manifest of the same text.
func rewrite(f *os.File, signed []byte, to string) error {
	m, _, err := explain.Manifest(signed)
	if err != nil {
		return err
	}
	from, at := release.Sources{}, int64(layout.HeadSize)
	for _, p := range m.Parts() {
		from[p.Part] = io.NewSectionReader(f, at, p.Size)
		at += p.Size
	}
	out, err := os.Create(to + ".tmp")
	if err != nil {
		return err
	}
	defer os.Remove(to + ".tmp")
	defer out.Close()
	if err := release.WriteBundle(out, m, signed, from); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Rename(to+".tmp", to)
}

// key makes a key pair: NAME.key and NAME.vkey for a release, NAME.key and NAME.pub
// for the repository.
func (c *call) key() error {
	var forNotes bool
	args, err := c.parse(func(f *flag.FlagSet) {
		f.BoolVar(&forNotes, "note", false, "a key for manifests, tickets or store packs")
	})
	if err != nil {
		return err
	}
	name := args[0]
	var private, public []byte
	ending := ".pub"
	if forNotes {
		ending = ".vkey"
		skey, vkey, err := note.GenerateKey(rand.Reader, name)
		if err != nil {
			return err
		}
		private, public = []byte(skey+"\n"), []byte(vkey+"\n")
	} else {
		k, err := keyfile.New(name)
		if err != nil {
			return err
		}
		if private, err = k.Encode(); err != nil {
			return err
		}
		if public, err = k.Public().Encode(); err != nil {
			return err
		}
	}
	if err := writeNew(name+".key", private, 0o600); err != nil {
		return err
	}
	if err := writeNew(name+ending, public, 0o644); err != nil {
		return err
	}
	c.say("%s.key is secret and stays on this machine; %s%s is to be handed out.", name, name, ending)
	return nil
}

// writeNew never writes over a file: it may be the only copy of a key.
func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
