// Package disk finds the product's disk: the one that has every named GPT
// partition, each exactly once, as the kernel shows them in sysfs.
//
// It reads no partition table itself and opens nothing for writing; whether what
// lies in a partition is genuine is for others to check.
//
// The rule that keeps it small: names in, paths out; anything missing or doubled
// is an error that says where.
package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Partition is one partition of the product's disk.
type Partition struct {
	Name string // GPT name, e.g. "choba-a"
	Path string // its node, e.g. "/dev/vda3"
	Size int64  // bytes
	Disk string // the disk's name, e.g. "vda"
}

// Disk is the product's disk with the partitions that were asked for.
type Disk struct {
	Name  string // e.g. "vda"
	Parts map[string]Partition
}

// Why no disk was found; errors.Is finds them.
var (
	ErrAbsent  = errors.New("no such partition")
	ErrDoubled = errors.New("more than one partition of this name")
	ErrSpread  = errors.New("the partitions lie on different disks")
)

// Find looks once for partitions of the names below root, "/" on the machine.
func Find(root string, names ...string) (Disk, error) {
	all, err := list(root)
	if err != nil {
		return Disk{}, err
	}
	d := Disk{Parts: map[string]Partition{}}
	for _, name := range names {
		var hits []Partition
		for _, p := range all {
			if p.Name == name {
				hits = append(hits, p)
			}
		}
		switch {
		case len(hits) == 0:
			return Disk{}, fmt.Errorf("finding partition %s: %w", name, ErrAbsent)
		case len(hits) > 1:
			return Disk{}, fmt.Errorf("finding partition %s: %w: %s and %s", name, ErrDoubled, hits[0].Path, hits[1].Path)
		case d.Name != "" && d.Name != hits[0].Disk:
			return Disk{}, fmt.Errorf("finding partition %s: %w: %s and %s", name, ErrSpread, d.Name, hits[0].Disk)
		}
		d.Name, d.Parts[name] = hits[0].Disk, hits[0]
	}
	return d, nil
}

// pollEvery is how often Wait looks again while drivers still probe.
const pollEvery = 20 * time.Millisecond

// Wait is Find for a machine that is still starting: it looks again until
// everything is there or ctx ends. Doubled names are refused at once.
func Wait(ctx context.Context, root string, names ...string) (Disk, error) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		d, err := Find(root, names...)
		if err == nil || !errors.Is(err, ErrAbsent) {
			return d, err
		}
		select {
		case <-ctx.Done():
			return Disk{}, err
		case <-tick.C:
		}
	}
}

// list gives every partition that has a GPT name, in the order of its kernel name.
func list(root string) ([]Partition, error) {
	dir := filepath.Join(root, "sys/class/block")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing block devices: %w", err)
	}
	var all []Partition
	for _, e := range entries {
		uevent, err := os.ReadFile(filepath.Join(dir, e.Name(), "uevent"))
		if err != nil {
			continue // it went away in between
		}
		fields := parseUevent(string(uevent))
		if fields["DEVTYPE"] != "partition" || fields["PARTNAME"] == "" {
			continue
		}
		p, err := partition(root, dir, e.Name(), fields)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Path < all[j].Path })
	return all, nil
}

func partition(root, dir, node string, fields map[string]string) (Partition, error) {
	text, err := os.ReadFile(filepath.Join(dir, node, "size"))
	if err != nil {
		return Partition{}, fmt.Errorf("reading size of %s: %w", node, err)
	}
	sectors, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || sectors < 0 || sectors > 1<<53 {
		return Partition{}, fmt.Errorf("reading size of %s: %q is no number of sectors", node, text)
	}
	// In sysfs a partition is a folder inside its disk's folder.
	real, err := filepath.EvalSymlinks(filepath.Join(dir, node))
	if err != nil {
		return Partition{}, fmt.Errorf("finding the disk of %s: %w", node, err)
	}
	return Partition{Name: fields["PARTNAME"], Size: sectors * 512, Disk: filepath.Base(filepath.Dir(real)),
		Path: filepath.Join(root, "dev", fields["DEVNAME"])}, nil
}

// parseUevent reads KEY=value lines; lines of another form are left out.
func parseUevent(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
			fields[k] = v
		}
	}
	return fields
}
