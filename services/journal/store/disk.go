package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Disk is the folder in which a journal lies. Names are relative to it. There are two: Dir, and the tests' disk that
// records writes and loses power.
type Disk interface {
	List(dir string) ([]string, error) // names of the files in dir, sorted; none when dir is not there
	Open(name string) (File, error)    // an existing file; fs.ErrNotExist when it is not there
	Create(name string) (File, error)  // a new or emptied file
	MakeDir(name string) error         // no error when it is there
	Rename(from, to string) error
	Remove(name string) error
	SyncDir(dir string) error // makes creation, renaming and removal in dir durable
}

// File is an open file of a Disk.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Sync() error               // fdatasync: what was written is durable when it returns
	Reserve(bytes int64) error // sets room aside up to that size, without changing the file's size
}

// Dir is a folder of the machine, locked for this process.
type Dir struct {
	path string
	lock *os.File
}

// OpenDir takes the folder at path, which must be there. A second taker gets an error until Close: a journal has one
// writer.
func OpenDir(path string) (*Dir, error) {
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("taking the journal's folder: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("taking the journal's folder: another journal has it: %w", err)
	}
	return &Dir{path: path, lock: lock}, nil
}

// Close gives the folder up.
func (d *Dir) Close() error { return d.lock.Close() }

func (d *Dir) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.path, dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (d *Dir) Open(name string) (File, error) {
	f, err := os.OpenFile(filepath.Join(d.path, name), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d *Dir) Create(name string) (File, error) {
	f, err := os.OpenFile(filepath.Join(d.path, name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d *Dir) MakeDir(name string) error {
	err := os.Mkdir(filepath.Join(d.path, name), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (d *Dir) Rename(from, to string) error {
	return os.Rename(filepath.Join(d.path, from), filepath.Join(d.path, to))
}

func (d *Dir) Remove(name string) error { return os.Remove(filepath.Join(d.path, name)) }

func (d *Dir) SyncDir(dir string) error {
	f, err := os.Open(filepath.Join(d.path, dir))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f osFile) Sync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

func (f osFile) Reserve(bytes int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, bytes)
	if errors.Is(err, unix.EOPNOTSUPP) { // a file system without it: room is taken when it is needed
		return nil
	}
	return os.NewSyscallError("fallocate", err)
}

// forget makes the kernel read the file from the disk again: after a failed sync its memory may hold what the disk
// does not (the failed pages count as clean).
func forget(f File) {
	if of, ok := f.(osFile); ok {
		unix.Fadvise(int(of.Fd()), 0, 0, unix.FADV_DONTNEED) // advice: nothing depends on it being taken
	}
}

// IsFull says whether err means that the disk has no room.
func IsFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
