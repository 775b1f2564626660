package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/choba-os/choba/image/pkcs7"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/keys/seal"
)

// schema is the oldest data schema that this release can read.
const schema = 1

// verityInfo is hashed into the salt. The salt need not be secret or random: it
// keeps a table of hashes made for other volumes from fitting ours.
const verityInfo = "choba verity salt 1\n"

func (j *job) stepRelease(context.Context) (string, error) {
	system, err := hashFile(j.system)
	if err != nil {
		return "", err
	}
	if err := j.hashTree(system); err != nil {
		return "", err
	}
	if err := j.describe(system); err != nil {
		return "", err
	}
	if j.signed, err = release.Sign(j.manifest, j.keys.Release[:dev.Threshold]...); err != nil {
		return "", err
	}
	j.release, err = release.Check(j.trust, j.signed, release.Register{Hardware: release.HardwarePC})
	if err != nil {
		return "", fmt.Errorf("our own release: %w", err)
	}
	return fmt.Sprintf("version %d (%s), root hash %.16s…, signed by %s",
		j.release.Version, j.release.Name, j.release.Verity.Root, strings.Join(j.release.Signers, " and ")), nil
}

func (j *job) hashTree(system release.File) error {
	f, err := os.Open(j.system)
	if err != nil {
		return err
	}
	defer f.Close()
	salt := sha256.Sum256(append([]byte(verityInfo), system.SHA256[:]...))
	blocks := uint64(system.Size / verity.BlockSize)
	tree, root, err := verity.Build(bufio.NewReaderSize(f, 1<<20), blocks, salt[:])
	if err != nil {
		return err
	}
	j.tree = tree
	j.manifest.Verity = verity.Params{Root: root, Salt: salt[:], Blocks: blocks, HashStart: blocks}
	return nil
}

// describe fills the manifest and has the root hash and the value of PCR 13 signed.
func (j *job) describe(system release.File) error {
	m := &j.manifest
	root := m.Verity.Root.String()
	var err error
	if m.RootSignature, err = pkcs7.Sign([]byte(root), j.keys.Verity.Key, j.keys.Verity.Cert); err != nil {
		return err
	}
	if m.PCR13Signature, err = seal.SignPolicy(j.keys.PCR, seal.ApprovedPolicy(root, j.version)); err != nil {
		return err
	}
	m.Product, m.Version, m.Name, m.Schema = j.trust.Product, j.version, j.name, schema
	m.Hardware = []string{release.HardwarePC}
	for _, p := range j.programsInside() {
		sum, err := hashFile(j.programs[p.pkg])
		if err != nil {
			return err
		}
		m.Programs = append(m.Programs, release.Program{Path: p.path, File: sum})
	}
	slices.SortFunc(m.Programs, func(a, b release.Program) int { return strings.Compare(a.Path, b.Path) })
	if j.sbom, err = j.materials(); err != nil {
		return err
	}
	m.EROFS, m.Tree, m.Boot, m.SBOM = system, release.Sum(j.tree), release.Sum(j.boot), release.Sum(j.sbom)
	return nil
}

func (j *job) stepBundle(context.Context) (string, error) {
	f, err := os.Open(j.system)
	if err != nil {
		return "", err
	}
	defer f.Close()
	path := filepath.Join(j.out, "release.choba")
	out, err := os.Create(path + ".tmp")
	if err != nil {
		return "", err
	}
	defer out.Close()
	err = release.WriteBundle(out, j.manifest, j.signed, release.Sources{
		release.PartEROFS: f, release.PartTree: bytes.NewReader(j.tree),
		release.PartBoot: bytes.NewReader(j.boot), release.PartSBOM: bytes.NewReader(j.sbom),
	})
	if err != nil {
		return "", err
	}
	if err := out.Close(); err != nil {
		return "", err
	}
	return path, os.Rename(path+".tmp", path)
}

func hashFile(path string) (release.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return release.File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return release.File{Size: n, SHA256: [32]byte(h.Sum(nil))}, err
}

func readerAt(b []byte) io.ReaderAt { return bytes.NewReader(b) }
