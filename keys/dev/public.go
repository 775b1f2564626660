package dev

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/keys/keyfile"
)

// File is one public half, as it is handed out beside an image.
type File struct {
	Name string
	Data []byte
}

// Public returns the public halves: the certificates (PEM), and trust.txt, which
// holds the others but the repository's: those are in its root. No private bytes
// are among them.
func (k *Keys) Public() []File {
	var out []File
	for _, s := range k.pairs() {
		block := &pem.Block{Type: "CERTIFICATE", Bytes: s.to.Cert.Raw}
		out = append(out, File{s.name + ".crt", pem.EncodeToMemory(block)})
	}
	return append(out, File{"trust.txt", k.Trust})
}

// Fingerprints returns one line per key: its name, kind, and what to compare.
func (k *Keys) Fingerprints() []string {
	var out []string
	for _, s := range k.pairs() {
		sum := sha256.Sum256(s.to.Cert.Raw)
		out = append(out, fmt.Sprintf("%-8s RSA-2048  certificate sha256 %s  %s", s.name, hex.EncodeToString(sum[:]), s.to.Cert.Subject.CommonName))
	}
	note := func(role string, s note.Signer) {
		out = append(out, fmt.Sprintf("%-8s Ed25519   note key %08x  %s", role, s.KeyHash(), s.Name()))
	}
	for _, s := range k.Release {
		note("release", s)
	}
	for _, s := range k.Service {
		note("service", s)
	}
	note("store", k.Store)
	out = append(out, fmt.Sprintf("%-8s X25519    %s", "escrow", k.Escrow.Recipient()))
	for _, n := range k.TUF.All() {
		out = append(out, fmt.Sprintf("%-8s Ed25519   %x  %s", "TUF", n.Key.Public(), n.Name))
	}
	sum := sha256.Sum256(k.Trust)
	return append(out, fmt.Sprintf("%-8s text      sha256 %s", "trust", hex.EncodeToString(sum[:])))
}

// All returns every key once, root first.
func (r RepositoryKeys) All() []keyfile.Key {
	return slices.Concat(r.Root, r.Targets, []keyfile.Key{r.Snapshot, r.Timestamp})
}
