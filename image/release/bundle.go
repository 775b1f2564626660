package release

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/layout"
)

// A bundle (.choba) is one file: a head of HeadSize bytes like a slot's, with its
// own magic, then erofs, tree, boot and sbom, each as long as the manifest says,
// and nothing behind them.

// ErrAltered means that a part is not what the manifest says.
var ErrAltered = errors.New("does not match the manifest")

// Sources gives the parts of a bundle to be written.
type Sources map[Part]io.Reader

// WriteBundle writes a bundle, checking every part against the manifest on the way.
func WriteBundle(w io.Writer, m Manifest, signed []byte, from Sources) error {
	head, err := encodeHead(bundleMagic, signed)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("writing bundle: %w", err)
	}
	for _, p := range m.Parts() {
		if from[p.Part] == nil {
			return fmt.Errorf("writing bundle: no part %s", p.Part)
		}
		if err := copyPart(w, from[p.Part], p); err != nil {
			return fmt.Errorf("writing bundle: %w", err)
		}
	}
	return nil
}

// Bundle is a bundle being read, from first byte to last.
type Bundle struct {
	Signed []byte // the signed manifest, unchecked: hand it to Check
	r      io.Reader
}

// OpenBundle reads a bundle's head.
func OpenBundle(r io.Reader) (*Bundle, error) {
	block := make([]byte, layout.HeadSize)
	if _, err := io.ReadFull(r, block); err != nil {
		return nil, fmt.Errorf("reading bundle head: %w", err)
	}
	signed, err := decodeHead(bundleMagic, block)
	if err != nil {
		return nil, fmt.Errorf("bundle head: %w", err)
	}
	return &Bundle{Signed: signed, r: r}, nil
}

// Extract reads the parts of a checked manifest in their order and writes each to
// what sink returns for it; a nil writer skips the part, still checking it. What
// was written may be used only after Extract returned nil: a part is known to be
// whole at its end, not before. The error wraps ErrAltered when the file is longer
// than the manifest says or a part differs.
func (b *Bundle) Extract(m Manifest, sink func(PartFile) (io.Writer, error)) error {
	for _, p := range m.Parts() {
		w, err := sink(p)
		if err != nil {
			return fmt.Errorf("unpacking bundle: %s: %w", p.Part, err)
		}
		if w == nil {
			w = io.Discard
		}
		if err := copyPart(w, b.r, p); err != nil {
			return fmt.Errorf("unpacking bundle: %w", err)
		}
	}
	if n, err := io.ReadFull(b.r, make([]byte, 1)); n != 0 {
		return fmt.Errorf("unpacking bundle: bytes behind its end: %w", ErrAltered)
	} else if err != io.EOF {
		return fmt.Errorf("unpacking bundle: %w", err)
	}
	return nil
}

// copyPart copies exactly the part's bytes and compares their hash.
func copyPart(w io.Writer, r io.Reader, p PartFile) error {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(r, p.Size))
	if err != nil {
		return fmt.Errorf("part %s: %w", p.Part, err)
	}
	if n < p.Size {
		return fmt.Errorf("part %s: %d of %d bytes: %w", p.Part, n, p.Size, io.ErrUnexpectedEOF)
	}
	if [32]byte(h.Sum(nil)) != p.SHA256 {
		return fmt.Errorf("part %s %w", p.Part, ErrAltered)
	}
	return nil
}
