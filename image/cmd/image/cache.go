package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// cache keeps results under the hash of what they were made from. Entries are
// whole or absent, so that two builds at once may share it.
type cache struct{ dir string }

// keep is how long an unused entry stays.
const keep = 14 * 24 * time.Hour

// key hashes what a result depends on.
func key(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s\n", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:20])
}

// file returns the path of an entry, calling make with the path to write when the
// entry is not there yet.
func (c cache) file(kind, key string, build func(path string) error) (path string, hit bool, err error) {
	path = filepath.Join(c.dir, kind+"-"+key)
	now := time.Now()
	if err := os.Chtimes(path, now, now); err == nil {
		return path, true, nil
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return "", false, err
	}
	tmp, err := os.MkdirTemp(c.dir, "making-")
	if err != nil {
		return "", false, err
	}
	defer os.RemoveAll(tmp)
	made := filepath.Join(tmp, "file")
	if err := build(made); err != nil {
		return "", false, err
	}
	return path, false, os.Rename(made, path)
}

// prune removes what was not used for a while.
func (c cache) prune() error {
	list, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < keep {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
