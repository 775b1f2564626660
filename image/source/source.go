// Package source says where releases come from: a folder of the shape of
// docs/formats/repository.md, behind an HTTPS server or on a stick, and the one
// server that a register is built for.
//
// It is not the repository's metadata (image/repository is) and it fetches nothing
// itself. It stands apart so that recovery, which takes a release by its threshold
// of signatures alone, need not carry the metadata's library.
//
// The rule that keeps it small: names and the Fetcher's promise, nothing that moves
// bytes.
package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// What a Fetcher's error wraps when it knows the reason.
var (
	ErrMissing  = errors.New("file is not there")
	ErrTooLarge = errors.New("file is larger than allowed")
)

// Fetcher reads files of a repository folder. Paths are relative with forward
// slashes. What comes back is untrusted.
type Fetcher interface {
	// File returns a whole file of at most limit bytes. Errors wrap ErrMissing when
	// there is none, ErrTooLarge when it is longer; no more than limit+1 bytes are
	// ever taken in.
	File(ctx context.Context, path string, limit int64) ([]byte, error)
	// Range returns n bytes from an offset; the reader ends early with an error when
	// the file does. The caller closes it. Errors wrap ErrMissing.
	Range(ctx context.Context, path string, from, n int64) (io.ReadCloser, error)
}

// LatestPath is where the newest release lies as a plain signed manifest, for
// recovery: its threshold of signatures and the floor protect it, nothing else.
func LatestPath(product, hardware string) string {
	return "latest/" + ReleaseName(product, hardware)
}

// ReleaseName is the name of a release in the repository's target list.
func ReleaseName(product, hardware string) string {
	return product + "." + hardware + ".release"
}

// BundlePath is where the bundle of a signed manifest lies. The signatures are not
// looked at.
func BundlePath(signed []byte) (string, error) {
	var stranger *note.UnverifiedNoteError
	if _, err := note.Open(signed, note.VerifierList()); !errors.As(err, &stranger) {
		return "", fmt.Errorf("naming a bundle: not a signed manifest: %w", err)
	}
	return fmt.Sprintf("bundles/%x.choba", sha256.Sum256([]byte(stranger.Note.Text))), nil
}

// Source is /etc/choba/update.json: the server that a register asks.
type Source struct {
	URL string // https://host/ or https://host/folder/
	CA  []byte // PEM: the only authorities that the server's certificate may come from
}

// MaxBytes is the longest update.json.
const MaxBytes = 16 << 10

type file struct {
	URL string `json:"url"`
	CA  string `json:"ca"`
}

// Parse reads an update.json. It refuses unknown fields, any address but an https
// folder without user, query or fragment, and anything but certificates in ca.
func Parse(text []byte) (Source, error) {
	if len(text) > MaxBytes {
		return Source{}, fmt.Errorf("reading update.json: %d bytes, at most %d", len(text), MaxBytes)
	}
	var f file
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Source{}, fmt.Errorf("reading update.json: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Source{}, errors.New("reading update.json: more behind its end")
	}
	s := Source{URL: f.URL, CA: []byte(f.CA)}
	if err := s.check(); err != nil {
		return Source{}, fmt.Errorf("reading update.json: %w", err)
	}
	return s, nil
}

// Encode writes an update.json. It refuses what Parse would refuse.
func (s Source) Encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("writing update.json: %w", err)
	}
	text, err := json.Marshal(file{s.URL, string(s.CA)})
	if err != nil {
		return nil, fmt.Errorf("writing update.json: %w", err)
	}
	return append(text, '\n'), nil
}

func (s Source) check() error {
	u, err := url.Parse(s.URL)
	if err != nil {
		return err
	}
	if u.Scheme != "https" || u.Hostname() == "" || !strings.HasSuffix(u.Path, "/") || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.String() != s.URL {
		return fmt.Errorf("url %.200q: want https://host/ or https://host/folder/", s.URL)
	}
	var again []byte
	for rest := s.CA; len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return errors.New("ca: want certificates in PEM and nothing else")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("ca: %w", err)
		}
		again = append(again, pem.EncodeToMemory(block)...)
	}
	if len(again) == 0 || !bytes.Equal(again, s.CA) {
		return errors.New("ca: want one certificate or more in plain PEM and nothing else")
	}
	return nil
}
