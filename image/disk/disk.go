// Package disk writes a whole register disk into a file, without root and without
// foreign tools: partition table, ESP with the boot image, both slots and the
// factory release, the slot record. The state of the rest is a hole in the file.
//
// It is not part of any register: recovery and update write single partitions
// through image/release and image/slot, as this package does.
//
// The rule that keeps it small: it places what others made; same inputs, same bytes.
package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/choba-os/choba/image/gpt"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
)

// Contents is what goes onto a disk.
type Contents struct {
	Boot    []byte // signed boot image
	Release release.Release
	Signed  []byte      // its signed manifest
	EROFS   io.ReaderAt // Release.EROFS.Size bytes
	Tree    io.ReaderAt // Release.Tree.Size bytes
}

// Build writes the disk image file, sparse. It writes beside the path and renames,
// so that a build that was cut short leaves the old image. A file that already
// holds the same bytes is left as it is: a bench machine may live on top of it.
func Build(path string, c Contents) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("making disk image: %w", err)
	}
	defer f.Close()
	if err := c.write(f); err != nil {
		return fmt.Errorf("making disk image: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("making disk image: %w", err)
	}
	if same(tmp, path) {
		return os.Remove(tmp)
	}
	return os.Rename(tmp, path)
}

// same says whether two files hold the same bytes; a file that cannot be read is not the same.
func same(a, b string) bool {
	x, errX := os.Open(a)
	y, errY := os.Open(b)
	if err := errors.Join(errX, errY); err != nil {
		return false
	}
	defer x.Close()
	defer y.Close()
	p, q := make([]byte, layout.MiB), make([]byte, layout.MiB)
	for {
		n, errX := io.ReadFull(x, p)
		m, errY := io.ReadFull(y, q)
		if !bytes.Equal(p[:n], q[:m]) {
			return false
		}
		if errX != nil || errY != nil {
			return ended(errX) && ended(errY)
		}
	}
}

func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

func (c Contents) write(f *os.File) error {
	if err := f.Truncate(layout.DiskSize); err != nil {
		return err
	}
	parts, err := gpt.Place(layout.Disk(), layout.DiskSize)
	if err != nil {
		return err
	}
	if err := gpt.Write(f, layout.DiskSize, layout.DiskGUID, parts); err != nil {
		return err
	}
	for _, e := range parts {
		if err := c.fill(e, partition{f, e}); err != nil {
			return fmt.Errorf("partition %s: %w", e.Name, err)
		}
	}
	return nil
}

func (c Contents) fill(e gpt.Entry, p partition) error {
	switch e.Name {
	case layout.ESP:
		return WriteESP(p, e.Start, e.Size, layout.BootFile, c.Boot)
	case layout.State:
		return slot.Store(p, Flashed(c.Release))
	case layout.SlotA, layout.SlotB, layout.Factory:
		m := c.Release.Manifest
		return release.WriteSlot(p, e.Size, m, c.Signed,
			io.NewSectionReader(c.EROFS, 0, m.EROFS.Size), io.NewSectionReader(c.Tree, 0, m.Tree.Size))
	}
	return nil
}

// Flashed is the slot record of a freshly flashed disk: the same release in both
// slots, a preferred.
func Flashed(r release.Release) slot.Record {
	s := slot.Slot{State: slot.Good, Version: r.Version, Manifest: r.ID}
	return slot.Record{A: s, B: s, Preferred: slot.A, Reason: fmt.Sprintf("flashed with version %d", r.Version)}
}

// partition is a window into the disk file that cannot be left.
type partition struct {
	f *os.File
	e gpt.Entry
}

func (p partition) ReadAt(b []byte, off int64) (int, error) {
	return io.NewSectionReader(p.f, p.e.Start, p.e.Size).ReadAt(b, off)
}

func (p partition) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(b)) > p.e.Size {
		return 0, fmt.Errorf("writing %d bytes at %d of %d: %w", len(b), off, p.e.Size, io.ErrShortWrite)
	}
	if len(b) > 0 && isZero(b) {
		return len(b), nil // stays a hole: the file is fresh
	}
	return p.f.WriteAt(b, p.e.Start+off)
}

// Sync does nothing: a disk image is built again, not recovered.
func (p partition) Sync() error { return nil }

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
