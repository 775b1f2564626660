// Package frame puts a few bytes on a raw disk so that a reader can tell whether
// they are all there: a block of fixed size with a magic, a generation, a length
// and a SHA-256 over everything else in the block, the padding included. Every
// altered bit and every torn write is therefore noticed, wherever it is.
//
//	 0  16  magic, padded with NUL
//	16   8  generation, little endian
//	24   4  length of the payload, little endian
//	28   4  zero
//	32  32  SHA-256 of bytes 0–31, then of all bytes from 64 to the end of the block
//	64   …  payload, then zeros to the end of the block
//
// Pair keeps a thing that changes: two such blocks, written in turns, so that one
// whole copy is on the disk at any instant of a write.
//
// It does not authenticate: whoever can write the disk can write a whole frame.
// What needs that carries a signature inside. The rule that keeps it small: it
// knows nothing of what it frames.
package frame

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// HeaderSize is what a frame needs beside its payload, in bytes.
const HeaderSize = 64

// MagicSize is the room for a magic, in bytes.
const MagicSize = 16

// Why a block is not a frame.
var (
	ErrEmpty    = errors.New("never written")        // all bytes are zero
	ErrMagic    = errors.New("holds something else") // another magic
	ErrChecksum = errors.New("checksum does not fit")
	ErrForm     = errors.New("not well formed") // checksum fits, but we would not have written it
)

// Encode returns a block of size bytes around the payload.
func Encode(magic string, generation uint64, payload []byte, size int) ([]byte, error) {
	if magic == "" || len(magic) > MagicSize || bytes.IndexByte([]byte(magic), 0) >= 0 {
		return nil, fmt.Errorf("framing: magic %q: want 1 to %d bytes without NUL", magic, MagicSize)
	}
	if len(payload) > size-HeaderSize {
		return nil, fmt.Errorf("framing %s: %d bytes, at most %d", magic, len(payload), size-HeaderSize)
	}
	b := make([]byte, size)
	copy(b, magic)
	binary.LittleEndian.PutUint64(b[16:], generation)
	binary.LittleEndian.PutUint32(b[24:], uint32(len(payload)))
	copy(b[HeaderSize:], payload)
	sum := checksum(b)
	copy(b[32:], sum[:])
	return b, nil
}

// Decode returns the payload (a part of block) and its generation, or one of
// ErrEmpty, ErrMagic, ErrChecksum, ErrForm.
func Decode(magic string, block []byte) (payload []byte, generation uint64, err error) {
	if len(block) < HeaderSize {
		return nil, 0, fmt.Errorf("%w: %d bytes", ErrForm, len(block))
	}
	if allZero(block) {
		return nil, 0, ErrEmpty
	}
	var want [MagicSize]byte
	copy(want[:], magic)
	if !bytes.Equal(block[:MagicSize], want[:]) {
		return nil, 0, ErrMagic
	}
	if sum := checksum(block); !bytes.Equal(block[32:64], sum[:]) {
		return nil, 0, ErrChecksum
	}
	n := binary.LittleEndian.Uint32(block[24:])
	if n > uint32(len(block)-HeaderSize) || !allZero(block[28:32]) || !allZero(block[HeaderSize+n:]) {
		return nil, 0, ErrForm
	}
	return block[HeaderSize : HeaderSize+n : HeaderSize+n], binary.LittleEndian.Uint64(block[16:]), nil
}

func checksum(block []byte) (sum [32]byte) {
	h := sha256.New()
	h.Write(block[:32])
	h.Write(block[HeaderSize:])
	h.Sum(sum[:0])
	return sum
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
