package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Folder is a repository in a folder of this computer: what a vendor writes, and a
// Fetcher that reads it.
type Folder struct{ Dir string }

// File returns a whole file. Links that lead out of the folder are not followed.
func (f Folder) File(_ context.Context, path string, limit int64) ([]byte, error) {
	file, err := f.open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("reading %s: %w: more than %d bytes", path, ErrTooLarge, limit)
	}
	return data, nil
}

// Range returns n bytes of a file.
func (f Folder) Range(_ context.Context, path string, from, n int64) (io.ReadCloser, error) {
	file, err := f.open(path)
	if err != nil {
		return nil, err
	}
	return section{io.NewSectionReader(file, from, n), file}, nil
}

type section struct {
	io.Reader
	io.Closer
}

func (f Folder) open(path string) (*os.File, error) {
	root, err := os.OpenRoot(f.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the repository: %w", missing(err))
	}
	defer root.Close()
	file, err := root.Open(path)
	return file, missing(err)
}

func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return err
}

// write puts a file in its place whole, with its folder.
func (f Folder) write(path string, content io.Reader) error {
	full := filepath.Join(f.Dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := replaceFile(full, content, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// read returns a small file, nil when there is none.
func (f Folder) read(path string, limit int64) ([]byte, error) {
	data, err := f.File(context.Background(), path, limit)
	if errors.Is(err, ErrMissing) {
		return nil, nil
	}
	return data, err
}

func (f Folder) remove(path string) error {
	err := os.Remove(filepath.Join(f.Dir, filepath.FromSlash(path)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
