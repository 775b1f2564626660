// Package fat reads FAT12, FAT16 and FAT32 volumes that anybody may have made, and changes such a volume in two ways
// only: it replaces a file (the boot image on the ESP) and it adds one (what is exported to a stick).
//
// The reader is for sticks out of a stranger's pocket: every chain, folder and name is bounded, nothing is allocated by
// a header's word, and what cannot be right is an error, never a guess. Two names for one thing are refused too.
//
// A power cut at any instant leaves the file of before or the file of after. That stands on one assumption about the
// disk: a 512-byte sector is written whole or not at all, and what was written before a flush that returned is there.
// Between two flushes sectors may reach the disk in any order, or not at all. Replace therefore goes:
//
//	free clusters that nothing refers to (an earlier cut left them)   flush
//	the new content into free clusters                                flush, read back, compare
//	its chain into both tables                                        flush
//	one sector of the folder: first cluster and size                  flush   ← the instant
//	the old chain out of both tables                                  flush
//	the free-cluster hint                                             flush
//
// It is not a file system: it makes no folder, deletes and renames nothing, never writes FAT12 or exFAT. The rule that
// keeps it small: one change is one sector, everything before it is invisible and everything after it is tidying.
package fat

import (
	"errors"
	"io"
	"io/fs"

	"github.com/choba-os/choba/image/frame"
)

// Why a volume or a file cannot be used. Other errors are the disk's own.
var (
	ErrNotFAT  = errors.New("not a FAT file system")     // the text says what it is, where that is known
	ErrDamaged = errors.New("the file system is damaged") // or made to mislead
	ErrMissing = fs.ErrNotExist
	ErrExists  = fs.ErrExist
	ErrFull    = errors.New("no room on the file system")
	ErrName    = errors.New("not a name for a file here")
)

// Find says where on a disk of size bytes the first FAT volume lies: on all of it, or in a partition of an MBR or GPT.
// Errors: ErrNotFAT, or the disk's.
func Find(r io.ReaderAt, size int64) (start, length int64, err error) {
	return 0, 0, errors.New("finding a FAT volume: not yet")
}

// Open reads the head of a volume of size bytes. Errors: ErrNotFAT, ErrDamaged, or the disk's.
func Open(r io.ReaderAt, size int64) (*Volume, error) {
	return nil, errors.New("opening FAT volume: not yet")
}

// Volume is an open volume. Its methods may be used by several goroutines at once.
type Volume struct{}

// Entry is one file or folder.
type Entry struct {
	Name string // the long name where there is one, else the short one; always printable, without '/'
	Dir  bool
	Size int64 // bytes; 0 for a folder
}

// ReadDir lists a folder ("" is the root) in the order of the disk, without "." and "..", labels and what has no name
// that could be written. Errors: ErrMissing, ErrDamaged, or the disk's.
func (v *Volume) ReadDir(path string) ([]Entry, error) {
	return nil, errors.New("reading folder: not yet")
}

// Open opens a file by its path, "metadata/root.json", case ignored as on every FAT. The whole chain of its clusters is
// checked here. Errors: ErrMissing, ErrDamaged, or the disk's.
func (v *Volume) Open(path string) (*File, error) {
	return nil, errors.New("opening file: not yet")
}

// File is an open file: an io.ReaderAt of Size bytes.
type File struct{ size int64 }

// Size is the file's length in bytes.
func (f *File) Size() int64 { return f.size }

// ReadAt is io.ReaderAt.
func (f *File) ReadAt(b []byte, off int64) (int, error) {
	return 0, errors.New("reading file: not yet")
}

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
