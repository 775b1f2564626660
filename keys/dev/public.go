package dev

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
)

// File is one public half, as it is handed out beside an image.
type File struct {
	Name string
	Data []byte
}

// Public returns the public halves: the certificates (PEM), and trust.txt, which
// holds the others. No private bytes are among them.
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
	for _, s := range k.Release {
		out = append(out, fmt.Sprintf("%-8s Ed25519   note key %08x  %s", "release", s.KeyHash(), s.Name()))
	}
	out = append(out, fmt.Sprintf("%-8s Ed25519   note key %08x  %s", "store", k.Store.KeyHash(), k.Store.Name()))
	sum := sha256.Sum256(k.Trust)
	return append(out, fmt.Sprintf("%-8s text      sha256 %s", "trust", hex.EncodeToString(sum[:])))
}
