// Package stick gives recovery the first usable USB stick as a folder: switched on
// through sysfs, read and written over usbfs, with the FAT volume on it opened by
// image/fat. The kernel mounts nothing and binds no driver.
//
// It is not services/stick: no service runs here, and nobody else guards the ports.
//
// The rule that keeps it small: it joins drivers/usbstick and image/fat, and knows
// neither what a file means nor who wants it.
package stick

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/drivers/usbstick"
	"github.com/choba-os/choba/image/fat"
	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/redeploy"
)

// Finder opens sticks below Root, "/" on the machine.
type Finder struct{ Root string }

// Open opens the first stick that has a FAT volume. act.ErrNoStick when none is there.
func (f Finder) Open(ctx context.Context, write bool) (act.Stick, error) {
	list, err := usbstick.List(f.Root)
	if err != nil {
		return nil, err
	}
	problems := []error{}
	for _, x := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		disk, err := x.Open(usbstick.Options{Write: write})
		if err == nil {
			var s act.Stick
			if s, err = New(disk); err == nil {
				return s, nil
			}
		}
		problems = append(problems, fmt.Errorf("USB stick %s: %w", x.Place, err))
	}
	if len(problems) == 0 {
		return nil, act.ErrNoStick
	}
	return nil, errors.Join(problems...)
}

// Disk is a stick's raw content; *usbstick.Stick is one.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Size() int64
	Name() string
	Close() error
}

// volume is an open stick.
type volume struct {
	disk Disk
	part part
	dir  *fat.Volume
}

// New opens the FAT volume on a stick, and closes the stick when there is none.
func New(d Disk) (act.Stick, error) {
	start, size, err := fat.Find(d, d.Size())
	if err == nil {
		v := &volume{disk: d, part: part{d, start, size}}
		if v.dir, err = fat.Open(v.part, size); err == nil {
			return v, nil
		}
	}
	return nil, errors.Join(err, d.Close())
}

// part is the volume's piece of the stick.
type part struct {
	d           Disk
	start, size int64
}

func (p part) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 || off >= p.size {
		return 0, io.EOF
	}
	if most := p.size - off; int64(len(b)) > most {
		n, err := p.d.ReadAt(b[:most], p.start+off)
		return n, errors.Join(err, io.EOF)
	}
	return p.d.ReadAt(b, p.start+off)
}

func (p part) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 || off > p.size || int64(len(b)) > p.size-off {
		return 0, io.ErrShortWrite
	}
	return p.d.WriteAt(b, p.start+off)
}

func (p part) Sync() error { return p.d.Sync() }

func (v *volume) Name() string { return v.disk.Name() }

func (v *volume) Close() error { return v.disk.Close() }

func (v *volume) Files(path string) (names []string, err error) {
	list, err := v.dir.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if !e.Dir {
			names = append(names, e.Name)
		}
	}
	return names, nil
}

func (v *volume) Open(path string) (redeploy.File, error) { return v.dir.Open(path) }

func (v *volume) Free() (int64, error) { return fat.Free(v.part, v.part.size) }

func (v *volume) Create(name string, content io.Reader, n int64) error {
	if err := fat.Create(v.part, v.part.size, name, content, n); err != nil {
		return err
	}
	dir, err := fat.Open(v.part, v.part.size) // with the new file in it
	if err == nil {
		v.dir = dir
	}
	return err
}
