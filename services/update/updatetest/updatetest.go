// Package updatetest makes releases of generated data, and a source that serves them with faults, for the tests of the
// update service.
//
// It is for tests only, and not a release that could boot: the "EROFS" is a row of made-up files, each padded to whole blocks. The rule
// that keeps it small: the same arguments give the same bytes.
package updatetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/image/verity"
)

// File is one made-up file of an image: the same seed and size are the same content.
type File struct {
	Seed byte
	Size int
}

// EROFS lays files out one after the other, behind a block that lists them.
func EROFS(files ...File) []byte {
	var b bytes.Buffer
	for _, f := range files {
		binary.Write(&b, binary.LittleEndian, [2]uint64{uint64(f.Seed), uint64(f.Size)})
	}
	pad(&b)
	for _, f := range files {
		io.CopyN(&b, rand.NewChaCha8([32]byte{f.Seed}), int64(f.Size))
		pad(&b)
	}
	return b.Bytes()
}

func pad(b *bytes.Buffer) { b.Write(make([]byte, -b.Len()&(verity.BlockSize-1))) }

// Release is a release with its bundle.
type Release struct {
	Manifest release.Manifest
	Signed   []byte
	Bundle   []byte
	Path     string // of the bundle in a repository
}

// Make makes a release. Each version has its own salt, so that nothing works by hashes alone that should not.
func Make(version uint64, erofs []byte, signers ...note.Signer) (Release, error) {
	salt := bytes.Repeat([]byte{byte(version)}, verity.MaxSalt)
	blocks := uint64(len(erofs) / verity.BlockSize)
	tree, root, err := verity.Build(bytes.NewReader(erofs), blocks, salt)
	if err != nil {
		return Release{}, err
	}
	boot, sbom := []byte("MZ boot image"), []byte("{}")
	m := release.Manifest{
		Product: "choba", Version: version, Name: fmt.Sprintf("1.%d.0", version), Schema: 1, Hardware: []string{release.HardwarePC},
		EROFS: release.Sum(erofs), Tree: release.Sum(tree), Boot: release.Sum(boot), SBOM: release.Sum(sbom),
		Verity:        verity.Params{Root: root, Salt: salt, Blocks: blocks, HashStart: blocks},
		RootSignature: []byte{0x30, 1, 2}, PCR13Signature: bytes.Repeat([]byte{9}, 64),
	}
	signed, err := release.Sign(m, signers...)
	if err != nil {
		return Release{}, err
	}
	path, err := source.BundlePath(signed)
	if err != nil {
		return Release{}, err
	}
	var bundle bytes.Buffer
	err = release.WriteBundle(&bundle, m, signed, release.Sources{
		release.PartEROFS: bytes.NewReader(erofs), release.PartTree: bytes.NewReader(tree),
		release.PartBoot: bytes.NewReader(boot), release.PartSBOM: bytes.NewReader(sbom),
	})
	return Release{m, signed, bundle.Bytes(), path}, err
}

// Source serves files from memory. The zero Source is empty; its fields are set before it is used.
type Source struct {
	Files map[string][]byte
	// Fault, when set, may answer in the source's place: the body, or an error; nil, nil lets the source answer.
	Fault func(path string, from int64, data []byte) (io.Reader, error)

	mu    sync.Mutex // guards what follows
	asked []string
}

// File is source.Fetcher's.
func (s *Source) File(_ context.Context, path string, limit int64) ([]byte, error) {
	data, ok := s.Files[path]
	switch {
	case !ok:
		return nil, fmt.Errorf("%s: %w", path, source.ErrMissing)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s: %w", path, source.ErrTooLarge)
	}
	return data, nil
}

// Range is source.Fetcher's.
func (s *Source) Range(ctx context.Context, path string, from, n int64) (io.ReadCloser, error) {
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprintf("%s %d+%d", path, from, n))
	s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, ok := s.Files[path]
	if !ok || from > int64(len(data)) {
		return nil, fmt.Errorf("%s: %w", path, source.ErrMissing)
	}
	data = data[from:min(from+n, int64(len(data)))]
	if s.Fault != nil {
		body, err := s.Fault(path, from, data)
		if body != nil || err != nil {
			return io.NopCloser(body), err
		}
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// Asked are the ranges that were asked for, since the last call.
func (s *Source) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	return out
}
