package fat

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/image/frame"
)

// ErrUntidy comes with an error that happened after the instant: the new file is in place, what it needed no longer
// was not given back. The next change does that.
var ErrUntidy = errors.New("the file is in place, tidying failed")

const maxFile = 1<<32 - 1

// Replace puts n bytes of content in the place of the file at path, which must be there, on a FAT16 or FAT32 volume of
// size bytes. The order of its writes is in the package's comment. On any error the old file is there, unless the error
// is ErrUntidy. Errors: ErrMissing, ErrFull (there must be room for both), ErrDamaged, ErrNotFAT, ErrUntidy, or the
// disk's.
func Replace(d frame.Device, size int64, path string, content io.Reader, n int64) error {
	if err := replace(d, size, path, content, n); err != nil {
		return fmt.Errorf("replacing %q: %w", path, err)
	}
	return nil
}

func replace(d frame.Device, size int64, path string, content io.Reader, n int64) error {
	s, err := look(d, size)
	if err != nil {
		return err
	}
	dir, name := split(path)
	folder, err := s.v.walk(dir)
	if err != nil {
		return err
	}
	nodes, err := s.v.list(folder)
	if err != nil {
		return err
	}
	old, err := find(nodes, name)
	if err != nil {
		return err
	}
	if old.dir {
		return fmt.Errorf("%w: it is a folder", ErrMissing)
	}
	at, err := s.slotAt(folder, old.slot)
	if err != nil {
		return err
	}
	if err := s.collect(); err != nil {
		return err
	}
	pieces, err := s.bring(content, n)
	if err != nil {
		return err
	}
	if err := s.turn(at, pieces[0].first, n); err != nil {
		return err
	}
	if err := s.release(old.where.first); err != nil {
		return fmt.Errorf("%w: %w", ErrUntidy, err)
	}
	return nil
}

// collect frees what an earlier cut left.
func (s *survey) collect() error {
	if err := s.hint(unknown, unknown); err != nil {
		return err
	}
	if len(s.loose) == 0 {
		return nil // the hint may go out with the next flush
	}
	for c := range s.loose {
		s.put(c, free)
	}
	clear(s.loose)
	return s.store()
}

// bring writes the content into free clusters, proves that it is there, and links them. Nothing refers to them yet.
func (s *survey) bring(content io.Reader, n int64) ([]piece, error) {
	if n <= 0 || n > maxFile {
		return nil, fmt.Errorf("a file of %d bytes: want 1 to %d", n, int64(maxFile))
	}
	pieces, err := s.room((n + s.g.cluster - 1) / s.g.cluster)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	if err := s.write(pieces, io.TeeReader(io.LimitReader(content, n), sum), n); err != nil {
		return nil, err
	}
	if err := s.d.Sync(); err != nil {
		return nil, err
	}
	if err := forget(s.d); err != nil {
		return nil, err
	}
	back := sha256.New()
	if _, err := io.Copy(back, s.content(pieces, n)); err != nil {
		return nil, fmt.Errorf("reading back: %w", err)
	}
	if !bytes.Equal(sum.Sum(nil), back.Sum(nil)) {
		return nil, errors.New("reading back: the disk gives other bytes than were written")
	}
	s.link(pieces)
	return pieces, s.store()
}

// write fills clusters, the last one to its end.
func (s *survey) write(pieces []piece, content io.Reader, n int64) error {
	const step = 1 << 20
	buf := make([]byte, max(step, s.g.cluster))
	for _, p := range pieces {
		at, left := s.g.clusterAt(p.first), int64(p.count)*s.g.cluster
		for left > 0 {
			b := buf[:min(left, int64(len(buf)))]
			have := min(n, int64(len(b)))
			if _, err := io.ReadFull(content, b[:have]); err != nil {
				return fmt.Errorf("reading the new content, %d bytes before its end: %w", n, err)
			}
			clear(b[have:])
			if _, err := s.d.WriteAt(b, at); err != nil {
				return err
			}
			at, left, n = at+int64(len(b)), left-int64(len(b)), n-have
		}
	}
	return nil
}

// forget drops what the kernel keeps of a device in memory, so that reading back asks the disk. What was written is
// flushed by now. Other kinds of device remember nothing, or forget by themselves.
func forget(d frame.Device) error {
	f, ok := d.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var advice error
	err = raw.Control(func(fd uintptr) { advice = unix.Fadvise(int(fd), 0, 0, unix.FADV_DONTNEED) })
	return errors.Join(err, advice)
}

// turn is the instant: one sector with another first cluster and size.
func (s *survey) turn(at int64, first uint32, n int64) error {
	b, start, err := s.sectorOf(at)
	if err != nil {
		return err
	}
	setSlot(b[at-start:], first, n)
	if _, err := s.d.WriteAt(b, start); err != nil {
		return err
	}
	return s.d.Sync()
}

func setSlot(slot []byte, first uint32, n int64) {
	binary.LittleEndian.PutUint16(slot[20:], uint16(first>>16))
	binary.LittleEndian.PutUint16(slot[26:], uint16(first))
	binary.LittleEndian.PutUint32(slot[28:], uint32(n))
}

// release frees the old chain.
func (s *survey) release(first uint32) error {
	if first != 0 {
		clear(s.v.table.kept) // the table has changed since it was read
		pieces, err := s.v.table.chain(first, 0, int64(s.g.clusters))
		if err != nil {
			return err
		}
		for _, p := range pieces {
			for c := p.first; c < p.first+p.count; c++ {
				s.put(c, free)
			}
		}
		if err := s.store(); err != nil {
			return err
		}
	}
	return s.finish()
}
