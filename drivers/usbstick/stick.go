// Package usbstick reads (and, when asked to, writes) a USB memory stick without the kernel's help: SCSI commands in
// the bulk-only transport (USB Mass Storage Class, Bulk-Only Transport 1.0), carried by usbfs requests on an open file.
//
// The stick is nobody's friend: every length it names is compared with what was asked for, every answer with its
// command, every wait has an end. A stick that lies, stalls, forgets or leaves is an error and never more than that. One
// command is under way at a time; nothing that the stick says decides how much memory is taken.
//
// It knows no partitions and no files, drives no second unit of a card reader, and changes nothing on a stick that was
// not opened for writing. The rule that keeps it small: blocks in, blocks out, in the order asked.
package usbstick

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// What can be wrong with a stick. Once ErrGone was returned, it always is.
var (
	ErrGone     = errors.New("the stick was pulled out")
	ErrEmpty    = errors.New("there is no medium in it")
	ErrProtocol = errors.New("the stick does not keep to the protocol")
	ErrMedium   = errors.New("the stick cannot read or write the place")
	ErrReadOnly = errors.New("the stick cannot be written")
	ErrKind     = errors.New("not a memory stick that can be used")
)

const (
	window    = 64 << 10 // what one command reads
	windows   = 16       // that are kept
	maxBlocks = 1 << 41  // 1 PiB in blocks of 512
)

// Options say how a stick is used. The zero value only reads.
type Options struct {
	Write bool
	// Wait replaces time.Sleep between two questions whether a stick is ready.
	Wait func(time.Duration)
}

// Stick is an open stick. It is an io.ReaderAt and io.WriterAt; it may be used by several goroutines at once.
type Stick struct {
	name   string
	block  int64 // bytes
	blocks int64
	write  bool

	mu   sync.Mutex // guards what follows
	t    *transport
	gone error
	kept []kept // the last one used is the last
}

// kept is a window of the stick in memory.
type kept struct {
	at   int64 // byte offset, a multiple of window
	data []byte
}

// New starts a stick behind a bus: asks what it is, waits until it is ready (about ten seconds at most), asks how large
// it is. It owns the bus from then on, and closes it when it returns an error.
func New(bus Bus, o Options) (*Stick, error) {
	if o.Wait == nil {
		o.Wait = time.Sleep
	}
	s := &Stick{t: &transport{bus: bus}, write: o.Write}
	if err := s.start(o.Wait); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a USB stick: %w", err), bus.Close())
	}
	return s, nil
}

func (s *Stick) start(wait func(time.Duration)) error {
	var err error
	if s.name, err = s.t.inquiry(); err != nil {
		return err
	}
	if err := s.t.ready(wait); err != nil {
		return err
	}
	blocks, block, err := s.t.capacity()
	if err != nil {
		return err
	}
	if block < 512 || block > 4096 || block&(block-1) != 0 || blocks == 0 || blocks > maxBlocks {
		return fmt.Errorf("%w: %d blocks of %d bytes", ErrKind, blocks, block)
	}
	s.blocks, s.block, s.t.fixed = int64(blocks), int64(block), true
	return nil
}

// Name is what the stick calls itself, made printable; empty when it says nothing.
func (s *Stick) Name() string { return s.name }

// Size is the stick's size in bytes, as it says.
func (s *Stick) Size() int64 { return s.blocks * s.block }

// Close gives the stick back. What was written is flushed by Sync, not by Close.
func (s *Stick) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = errors.New("the stick was closed")
	return s.t.bus.Close()
}

// ReadAt is io.ReaderAt, with a read-ahead of at most 64 KiB.
func (s *Stick) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("reading the stick: negative offset")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone != nil {
		return 0, fmt.Errorf("reading the stick: %w", s.gone)
	}
	for n < len(b) {
		at := off + int64(n)
		if at >= s.Size() {
			return n, io.EOF
		}
		w, err := s.window(at / window * window)
		if err != nil {
			return n, fmt.Errorf("reading the stick at %d: %w", at, err)
		}
		n += copy(b[n:], w[at%window:])
	}
	return n, nil
}

// window gives the part of the stick that begins there. Call with mu held.
func (s *Stick) window(at int64) ([]byte, error) {
	if i := slices.IndexFunc(s.kept, func(k kept) bool { return k.at == at }); i >= 0 {
		k := s.kept[i]
		s.kept = append(slices.Delete(s.kept, i, i+1), k)
		return k.data, nil
	}
	data := make([]byte, min(window, s.Size()-at))
	if err := s.move(readTen, readSixteen, at, data, true); err != nil {
		return nil, err
	}
	if len(s.kept) == windows {
		s.kept = slices.Delete(s.kept, 0, 1)
	}
	s.kept = append(s.kept, kept{at, data})
	return data, nil
}

// WriteAt is io.WriterAt for whole blocks. Errors: ErrReadOnly when the stick was not opened for writing.
func (s *Stick) WriteAt(b []byte, off int64) (n int, err error) {
	switch {
	case !s.write:
		return 0, fmt.Errorf("writing the stick: it was opened for reading: %w", ErrReadOnly)
	case off < 0 || off > s.Size() || int64(len(b)) > s.Size()-off:
		return 0, fmt.Errorf("writing the stick: %d bytes at %d of %d: %w", len(b), off, s.Size(), io.ErrShortWrite)
	case off%s.block != 0 || int64(len(b))%s.block != 0:
		return 0, fmt.Errorf("writing the stick: %d bytes at %d are not whole blocks of %d", len(b), off, s.block)
	case off+int64(len(b)) > s.block<<32:
		return 0, fmt.Errorf("writing the stick: %d is further than it is written", off)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for n < len(b) {
		part := b[n:min(len(b), n+window)]
		at := off + int64(n)
		s.kept = slices.DeleteFunc(s.kept, func(k kept) bool { return k.at < at+int64(len(part)) && at < k.at+window })
		if err := s.move(writeTen, 0, at, part, false); err != nil {
			return n, fmt.Errorf("writing the stick at %d: %w", at, err)
		}
		n += len(part)
	}
	return n, nil
}

// Sync asks the stick to write what it holds back. A stick that does not know the question holds nothing back. What was
// read before is forgotten, so that reading back asks the stick again.
func (s *Stick) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = nil
	if s.gone != nil {
		return s.gone
	}
	err := s.t.do([]byte{synchronizeCache, 0, 0, 0, 0, 0, 0, 0, 0, 0}, nil, true, slow)
	if errors.Is(err, errUnknownCommand) {
		return nil
	}
	return s.told(err, "flushing the stick")
}

// told remembers that a stick is gone. Call with mu held.
func (s *Stick) told(err error, doing string) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrGone) {
		s.gone = err
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// move reads or writes whole blocks. Call with mu held.
func (s *Stick) move(ten, sixteen byte, at int64, data []byte, in bool) error {
	if s.gone != nil {
		return s.gone
	}
	lba, count := uint64(at/s.block), uint32(int64(len(data))/s.block)
	cdb := make([]byte, 10, 16)
	cdb[0] = ten
	binary.BigEndian.PutUint32(cdb[2:], uint32(lba))
	binary.BigEndian.PutUint16(cdb[7:], uint16(count))
	if lba+uint64(count) > 1<<32 {
		cdb = make([]byte, 16)
		cdb[0] = sixteen
		binary.BigEndian.PutUint64(cdb[2:], lba)
		binary.BigEndian.PutUint32(cdb[10:], count)
	}
	return s.told(s.t.do(cdb, data, in, slow), fmt.Sprintf("block %d", lba))
}
