package act

import (
	"github.com/choba-os/choba/drivers/disk"
)

// Absent is a partition that is not there, for what cannot be done without one: every
// use of it is an error.
type Absent struct{}

// ReadAt is io.ReaderAt.
func (Absent) ReadAt([]byte, int64) (int, error) { return 0, disk.ErrAbsent }

// WriteAt is io.WriterAt.
func (Absent) WriteAt([]byte, int64) (int, error) { return 0, disk.ErrAbsent }

// Sync is frame.Device's.
func (Absent) Sync() error { return disk.ErrAbsent }
