package fat

import (
	"errors"
	"io"

	"github.com/choba-os/choba/image/frame"
)

// Replace puts n bytes of content in the place of the file at path, which must be there, on a FAT16 or FAT32 volume of
// size bytes. The order of its writes is in the package's comment. On any error before the instant the old file is
// there; an error after it (in tidying) leaves the new one. Errors: ErrMissing, ErrFull (there must be room for both),
// ErrDamaged, ErrNotFAT, or the disk's.
func Replace(d frame.Device, size int64, path string, content io.Reader, n int64) error {
	return errors.New("replacing file: not yet")
}

// Create adds a file of n bytes to a folder that is there. Clusters that nothing refers to are left alone: the volume
// is somebody's stick. Errors: ErrExists, ErrMissing (the folder), ErrName, ErrFull, ErrDamaged, ErrNotFAT, or the disk's.
func Create(d frame.Device, size int64, path string, content io.Reader, n int64) error {
	return errors.New("creating file: not yet")
}
