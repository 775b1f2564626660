package explain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
)

// split separates a note's text from its signature lines.
func split(data []byte) (text []byte) {
	var stranger *note.UnverifiedNoteError
	if _, err := note.Open(data, note.VerifierList()); errors.As(err, &stranger) {
		return []byte(stranger.Note.Text)
	}
	if bytes.HasSuffix(data, []byte("\n\n")) {
		return data[:len(data)-1] // a note that nobody has signed yet
	}
	return data
}

// bundle explains a bundle after reading it to its end.
func bundle(f io.Reader, size int64, root trust.Root, r Register) (Page, error) {
	var p Page
	b, err := release.OpenBundle(f)
	if err != nil {
		return p, err
	}
	m, _, err := Manifest(b.Signed)
	if err != nil {
		return p, err
	}
	p.about("This is a release bundle of %s: %s version %d (%s).", mib(size), m.Product, m.Version, m.Name)
	describe(&p, m)
	var sbom, tree bytes.Buffer
	hash, wait := treeHash(m)
	err = b.Extract(m, func(part release.PartFile) (io.Writer, error) {
		switch part.Part {
		case release.PartEROFS:
			return hash, nil
		case release.PartTree:
			return &tree, nil
		case release.PartSBOM:
			return &sbom, nil
		}
		return nil, nil
	})
	hash.Close()
	own, treeRoot := wait()
	p.about("%s", materials(sbom.Bytes()))
	judge(&p, m, b.Signed, root, r)
	if err != nil {
		p.bad("The contents are not what the manifest says: %v.", err)
		return p, nil
	}
	p.good("All four parts are whole: sizes and SHA-256 are the manifest's.")
	p.judge(bytes.Equal(own, tree.Bytes()) && treeRoot == m.Verity.Root, "The hash tree belongs to the file system, and its root is the manifest's.",
		"The hash tree does not belong to the file system: dm-verity would refuse every block.")
	return p, nil
}

// treeHash computes the hash tree of what is written to it.
func treeHash(m release.Manifest) (to *io.PipeWriter, wait func() ([]byte, verity.Hash)) {
	in, to := io.Pipe()
	done := make(chan struct{})
	var tree []byte
	var root verity.Hash
	go func() {
		defer close(done)
		var err error
		tree, root, err = verity.Build(in, m.Verity.Blocks, m.Verity.Salt)
		if err != nil {
			tree = nil
		}
		_, _ = io.Copy(io.Discard, in)
	}()
	return to, func() ([]byte, verity.Hash) { <-done; return tree, root }
}

// describe says what a release holds.
func describe(p *Page, m release.Manifest) {
	p.about("For hardware %s. It reads data of schema %d and later.", strings.Join(m.Hardware, ", "), m.Schema)
	p.about("File system %s, hash tree %s, boot image %s; in a slot %s of %s.", mib(m.EROFS.Size), mib(m.Tree.Size), mib(m.Boot.Size),
		mib(m.EROFS.Size+m.Tree.Size), mib(layout.SlotContent))
	var names []string
	for _, program := range m.Programs {
		names = append(names, program.Path)
	}
	p.about("%d programs: %s.", len(names), strings.Join(names, " "))
	p.about("Root hash %s.", m.Verity.Root)
}

// judge adds what a register looks at in a manifest.
func judge(p *Page, m release.Manifest, signed []byte, root trust.Root, r Register) {
	signatures(p, signed, root)
	p.judge(m.Product == root.Product, fmt.Sprintf("It is for the register's product, %s.", root.Product),
		fmt.Sprintf("It is for the product %s; the register is a %s.", m.Product, root.Product))
	p.judge(slices.Contains(m.Hardware, r.Hardware), fmt.Sprintf("It is for the register's hardware, %s.", r.Hardware),
		fmt.Sprintf("It is for %s; the register is %s.", strings.Join(m.Hardware, ", "), r.Hardware))
	p.judge(m.Version >= r.Floor, fmt.Sprintf("Version %d is not below the register's floor, %d.", m.Version, r.Floor),
		fmt.Sprintf("Version %d is below the register's floor, %d: newer releases have been in force there, and the TPM would keep the data from an older one.", m.Version, r.Floor))
	p.judge(m.Schema <= r.Schema, fmt.Sprintf("It reads the register's data, schema %d.", r.Schema),
		fmt.Sprintf("It reads data of schema %d and later; the register's is %d.", m.Schema, r.Schema))
	err := seal.CheckApproval(seal.Approval{Key: root.PCR, RootHash: m.Verity.Root.String(), Version: m.Version, Signature: m.PCR13Signature})
	p.judge(err == nil, "The TPM would open the data for it: its PCR 13 policy is signed by the vendor.",
		fmt.Sprintf("The TPM would not open the data for it: %v.", err))
}

// signatures says who has signed and who has not.
func signatures(p *Page, signed []byte, root trust.Root) {
	var have, lack, wrong []string
	for _, v := range root.Release {
		_, err := note.Open(signed, note.VerifierList(v))
		var bad *note.InvalidSignatureError
		switch {
		case err == nil:
			have = append(have, v.Name())
		case errors.As(err, &bad):
			wrong = append(wrong, v.Name())
		default:
			lack = append(lack, v.Name())
		}
	}
	if len(wrong) > 0 {
		p.bad("A signature does not fit the text: %s.", strings.Join(wrong, ", "))
	}
	text := fmt.Sprintf("%d of the %d signatures needed: signed by %s; not by %s.", len(have), root.Threshold, list(have), list(lack))
	_, _, err := root.OpenRelease(signed)
	p.judge(err == nil, text, text)
	if n := strangers(signed, root); n > 0 {
		p.about("%d signatures are of keys that the register does not know; they count for nothing.", n)
	}
	if root.Insecure() {
		p.about("The register trusts development keys (INSECURE): it must not be a shop's.")
	}
}

func strangers(signed []byte, root trust.Root) int {
	n, err := note.Open(signed, note.VerifierList(root.Release...))
	var none *note.UnverifiedNoteError
	switch {
	case err == nil:
		return len(n.UnverifiedSigs)
	case errors.As(err, &none):
		return len(none.Note.UnverifiedSigs)
	}
	return 0
}

func list(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}

// materials sums a bill of materials up.
func materials(sbom []byte) string {
	var b struct {
		Format     string `json:"bomFormat"`
		Spec       string `json:"specVersion"`
		Components []struct{ Type, Name, Version string }
	}
	if err := json.Unmarshal(sbom, &b); err != nil || b.Format == "" {
		return fmt.Sprintf("Bill of materials of %d bytes; it cannot be read here.", len(sbom))
	}
	count, versions := map[string]int{}, map[string]string{}
	for _, c := range b.Components {
		count[c.Type]++
		versions[c.Name] = c.Version
	}
	return fmt.Sprintf("Bill of materials (%s %s): %d programs, %d libraries, Go %s, Linux %s.", b.Format, b.Spec,
		count["application"], count["library"], versions["std"], versions["linux"])
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
