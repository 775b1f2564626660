// Package medium is what lies on a memory stick, as far as an update may see of it: files of a repository folder
// (docs/formats/repository.md) and bundles beside it.
//
// It is not a file system: it believes nothing that it reads, and writes nothing. The rule that keeps it small: a path is one of a few fixed
// shapes before the stick is even asked.
package medium

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/choba-os/choba/image/fat"
)

// ErrPath means that this is no path of a repository; the stick was not asked.
var ErrPath = errors.New("not a path of a repository")

const (
	maxPath = 300
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-"
	bundle  = ".choba"
)

// folders are those of a repository.
func folders() []string { return []string{"metadata", "targets", "bundles", "latest"} }

// Allowed tells whether a path may be asked for: a file in one of the folders, or a bundle in the root.
func Allowed(path string) bool {
	parts := strings.Split(path, "/")
	if len(path) > maxPath || len(parts) > 2 {
		return false
	}
	for _, p := range parts {
		if p == "" || p[0] == '.' || strings.Trim(p, letters) != "" {
			return false
		}
	}
	if len(parts) == 1 {
		return strings.HasSuffix(path, bundle)
	}
	return slices.Contains(folders(), parts[0])
}

// Medium is an open file system.
type Medium struct {
	v *fat.Volume
	// Repository: there is a repository folder, or a bundle in the root.
	Repository bool
}

// Open finds the file system on a disk of size bytes. Errors: those of fat.Find and fat.Open.
func Open(r io.ReaderAt, size int64) (*Medium, error) {
	start, length, err := fat.Find(r, size)
	if err != nil {
		return nil, err
	}
	v, err := fat.Open(io.NewSectionReader(r, start, length), length)
	if err != nil {
		return nil, err
	}
	root, err := v.ReadDir("")
	if err != nil {
		return nil, err
	}
	m := &Medium{v: v}
	for _, e := range root {
		name := strings.ToLower(e.Name)
		m.Repository = m.Repository || e.Dir && slices.Contains(folders(), name) || !e.Dir && strings.HasSuffix(name, bundle)
	}
	return m, nil
}

// File opens a file. Errors: ErrPath, fat.ErrMissing, fat.ErrDamaged, or the disk's.
func (m *Medium) File(path string) (*fat.File, error) {
	if !Allowed(path) {
		return nil, fmt.Errorf("%w: %q", ErrPath, path)
	}
	return m.v.Open(path)
}
