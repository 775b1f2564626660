package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// item is one entry of the image's root. An item without data or link is a folder.
type item struct {
	path string // absolute
	mode fs.FileMode
	data []byte
	link string // a symbolic link's target
}

func (i item) isDir() bool { return i.data == nil && i.link == "" }

// plain is a file to read, executable one to run. Nothing needs writing: an EROFS
// has no other mode.
func plain(path string, data []byte) item      { return item{path: path, mode: 0o444, data: data} }
func executable(path string, data []byte) item { return item{path: path, mode: 0o555, data: data} }
func link(path, target string) item            { return item{path: path, mode: 0o777, link: target} }

// mountPoints are the empty folders that init mounts things on.
func mountPoints() []string {
	return []string{"/dev", "/proc", "/sys", "/run", "/data", "/tmp", "/slot"}
}

// complete adds the mount points and each item's parents, and sorts.
func complete(items []item) ([]item, error) {
	seen := map[string]bool{}
	for _, i := range items {
		if seen[i.path] || !filepath.IsAbs(i.path) || filepath.Clean(i.path) != i.path {
			return nil, fmt.Errorf("staging %s: twice, or not a clean absolute path", i.path)
		}
		seen[i.path] = true
	}
	dirs := mountPoints()
	for _, i := range items {
		for d := filepath.Dir(i.path); d != "/"; d = filepath.Dir(d) {
			dirs = append(dirs, d)
		}
	}
	for _, d := range dirs {
		if !seen[d] {
			seen[d] = true
			items = append(items, item{path: d, mode: 0o755})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.path, b.path) })
	return items, nil
}

// Fixed values of the EROFS, so that equal contents give equal bytes.
const (
	erofsUUID  = "c0ba0000-0000-4000-8000-0000000e05f5"
	fixedEpoch = "1577836800" // 1 January 2020: no clock of a register is right before it
)

// erofs returns the path of the EROFS that holds the items.
func (c config) erofs(ctx context.Context, items []item) (path string, hit bool, err error) {
	version, err := erofsVersion(ctx)
	if err != nil {
		return "", false, err
	}
	args := []string{"-zlz4hc,9", "-T" + fixedEpoch, "-U" + erofsUUID, "-x-1", "--all-root"}
	parts := []string{version, strings.Join(args, " ")}
	for _, i := range items {
		sum := sha256.Sum256(i.data)
		parts = append(parts, i.path, fmt.Sprint(i.mode, i.isDir()), i.link, string(sum[:]))
	}
	return cache{c.cache}.file("erofs", key(parts...), func(path string) error {
		stage := filepath.Join(c.out, "stage")
		if err := writeStage(stage, items); err != nil {
			return err
		}
		if err := c.command(ctx, "mkfs.erofs", append(args, path, stage)...); err != nil {
			return err
		}
		return padToBlock(path)
	})
}

// erofsVersion asks mkfs.erofs for its version, which it tells with exit status 1.
func erofsVersion(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "mkfs.erofs", "-V").Output()
	first, _, _ := strings.Cut(string(out), "\n")
	if !strings.HasPrefix(first, "mkfs.erofs ") {
		return "", fmt.Errorf("asking mkfs.erofs for its version: %w: %q", err, first)
	}
	return first, nil
}

// writeStage lays the items out in an empty folder.
func writeStage(dir string, items []item) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, i := range items {
		path := filepath.Join(dir, i.path)
		if i.link != "" {
			if err := os.Symlink(i.link, path); err != nil {
				return err
			}
			continue
		}
		var err error
		if i.isDir() {
			err = os.Mkdir(path, i.mode)
		} else {
			err = os.WriteFile(path, i.data, i.mode)
		}
		if err != nil {
			return err
		}
		if err := os.Chmod(path, i.mode); err != nil { // whatever the umask says
			return err
		}
	}
	return os.Chmod(dir, 0o755)
}

func padToBlock(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, (info.Size()+4095)/4096*4096)
}
