package kernel

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Finished kernels that are kept; each is about 10 MB.
const keptKernels = 8

// keep writes a finished kernel under its final name in one step and removes
// the ones that were not used for longest.
func keep(path string, image []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	partial := path + ".partial"
	if err := os.WriteFile(partial, image, 0o644); err != nil {
		return err
	}
	if err := os.Rename(partial, path); err != nil {
		return err
	}
	return prune(dir)
}

func prune(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var files []os.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		files = append(files, info)
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return cmp.Compare(b.ModTime().UnixNano(), a.ModTime().UnixNano()) })
	for _, old := range files[min(keptKernels, len(files)):] {
		if err := os.Remove(filepath.Join(dir, old.Name())); err != nil {
			return fmt.Errorf("removing an old kernel: %w", err)
		}
	}
	return nil
}

// touch marks a kernel as used; a cache that cannot be written is still a
// cache.
func touch(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}
