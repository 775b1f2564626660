package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Storage is the state partition, or a file in a test. Sync returns when all
// that was written lies on the medium.
type Storage interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Where the two copies lie on the state partition, in bytes, and how long one may be.
const (
	Copy1Offset = 1 << 20
	Copy2Offset = 1<<20 + 64<<10
	CopySize    = 4096
)

// Each copy is
//
//	8  magic "CHOBABLB"
//	8  generation, big endian, from 1
//	4  length of the blob, big endian
//	32 SHA-256 over everything else of the copy
//	.. the blob, then zeros up to CopySize
const (
	storeMagic = "CHOBABLB"
	storeHead  = 8 + 8 + 4 + sha256.Size
)

// ErrNone: no key was ever sealed on this disk; both copies are blank.
var ErrNone = errors.New("no sealed key on the disk")

// ErrDamaged: something was written, and none of it can be read. It is never
// to be taken for a first boot.
var ErrDamaged = errors.New("both copies of the sealed key are unreadable")

// Stored is what the disk holds.
type Stored struct {
	// Blobs has one or two keys, the newest first. The older is of use when
	// the power went between sealing to a new boot image and starting it.
	Blobs []Blob
	// Trouble says in words which copy could not be read; empty when both could.
	Trouble string
}

type copyState struct {
	generation uint64 // 0: none
	blob       Blob
	blank      bool
	err        error
}

// Load reads the sealed keys from the state partition.
func Load(from io.ReaderAt) (Stored, error) {
	copies := readCopies(from)
	newest := 0
	if copies[1].generation > copies[0].generation {
		newest = 1
	}
	var s Stored
	for _, i := range []int{newest, 1 - newest} {
		c := copies[i]
		if c.generation > 0 {
			s.Blobs = append(s.Blobs, c.blob)
		} else if !c.blank {
			s.Trouble = fmt.Sprintf("copy %d of the sealed key: %v", i+1, c.err)
		}
	}
	switch {
	case len(s.Blobs) > 0:
		return s, nil
	case copies[0].blank && copies[1].blank:
		return Stored{}, ErrNone
	}
	return Stored{}, fmt.Errorf("%w: copy 1: %v; copy 2: %v", ErrDamaged, copies[0].err, copies[1].err)
}

// Save writes b as the newest key over the older or unreadable copy. The other
// copy is left alone: whenever the power goes, one of them is whole.
func Save(to Storage, b Blob) error {
	blob := b.Encode()
	if len(blob) > CopySize-storeHead {
		return fmt.Errorf("storing sealed key: it has %d bytes, want at most %d", len(blob), CopySize-storeHead)
	}
	copies := readCopies(to)
	weaker, offset := 0, int64(Copy1Offset)
	if copies[0].generation > copies[1].generation {
		weaker, offset = 1, Copy2Offset
	}
	next := copies[1-weaker].generation + 1
	if _, err := to.WriteAt(encodeCopy(next, blob), offset); err != nil {
		return fmt.Errorf("storing sealed key: %w", err)
	}
	if err := to.Sync(); err != nil {
		return fmt.Errorf("storing sealed key: %w", err)
	}
	return nil
}

func readCopies(from io.ReaderAt) (copies [2]copyState) {
	for i, offset := range []int64{Copy1Offset, Copy2Offset} {
		buf := make([]byte, CopySize)
		if _, err := from.ReadAt(buf, offset); err != nil {
			copies[i] = copyState{err: err}
			continue
		}
		copies[i] = parseCopy(buf)
	}
	return copies
}

func encodeCopy(generation uint64, blob []byte) []byte {
	buf := make([]byte, CopySize)
	copy(buf, storeMagic)
	binary.BigEndian.PutUint64(buf[8:], generation)
	binary.BigEndian.PutUint32(buf[16:], uint32(len(blob)))
	copy(buf[storeHead:], blob)
	sum := copySum(buf)
	copy(buf[20:], sum[:])
	return buf
}

func parseCopy(buf []byte) copyState {
	if bytes.Equal(buf, make([]byte, len(buf))) {
		return copyState{blank: true, err: errors.New("blank")}
	}
	if len(buf) != CopySize || string(buf[:8]) != storeMagic {
		return copyState{err: errors.New("not a sealed key's copy")}
	}
	want, got := copySum(buf), buf[20:storeHead]
	if !bytes.Equal(got, want[:]) {
		return copyState{err: fmt.Errorf("checksum: got %x…, want %x…", got[:4], want[:4])}
	}
	generation, n := binary.BigEndian.Uint64(buf[8:]), int(binary.BigEndian.Uint32(buf[16:]))
	if generation == 0 || n > CopySize-storeHead || len(bytes.TrimRight(buf[storeHead+n:], "\x00")) != 0 {
		return copyState{err: errors.New("generation or length cannot be")}
	}
	blob, err := ParseBlob(buf[storeHead : storeHead+n])
	if err != nil {
		return copyState{err: err}
	}
	return copyState{generation: generation, blob: blob}
}

// copySum is the SHA-256 over a copy without the sum's own field.
func copySum(buf []byte) [sha256.Size]byte {
	return sha256.Sum256(append(append([]byte{}, buf[:20]...), buf[storeHead:]...))
}
