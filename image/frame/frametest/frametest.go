// Package frametest is a raw disk in memory whose power can be cut, for the tests of
// what is stored in frames.
//
// It is for tests only, is not a model of a drive's cache, and knows nothing of frames.
// The rule that keeps it small: it writes sectors until the power goes; what that
// leaves behind is the test's to judge.
package frametest

import (
	"bytes"
	"errors"
	"io"

	"github.com/choba-os/choba/image/layout"
)

// ErrPower is what a write or flush gives once the power is gone.
var ErrPower = errors.New("power cut")

// Disk writes whole sectors, one after the other. A write that was not flushed may be
// lost on a real disk; here it is applied at once: losing it is the same as a cut
// before it.
type Disk struct {
	Data    []byte
	Left    int  // sectors still written before the power goes; -1 = for ever
	Reverse bool // the last sector of a request is written first
	Syncs   int  // flushes so far
}

// New returns a blank disk of so many bytes whose power stays on.
func New(size int) *Disk { return &Disk{Data: make([]byte, size), Left: -1} }

// Clone returns a disk of its own with the same content.
func (d *Disk) Clone() *Disk {
	c := *d
	c.Data = bytes.Clone(d.Data)
	return &c
}

// ReadAt is io.ReaderAt; reading needs no power.
func (d *Disk) ReadAt(b []byte, off int64) (int, error) {
	return bytes.NewReader(d.Data).ReadAt(b, off)
}

// WriteAt is io.WriterAt.
func (d *Disk) WriteAt(b []byte, off int64) (int, error) {
	if int(off)+len(b) > len(d.Data) {
		return 0, io.ErrShortWrite
	}
	n := (len(b) + layout.Sector - 1) / layout.Sector
	for i := range n {
		if d.Left == 0 {
			return 0, ErrPower
		}
		d.Left--
		at := i * layout.Sector
		if d.Reverse {
			at = (n - 1 - i) * layout.Sector
		}
		copy(d.Data[int(off)+at:], b[at:min(at+layout.Sector, len(b))])
	}
	return len(b), nil
}

// Sync counts the flush.
func (d *Disk) Sync() error {
	if d.Left == 0 {
		return ErrPower
	}
	d.Syncs++
	return nil
}
