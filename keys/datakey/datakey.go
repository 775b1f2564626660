// Package datakey is the secret that opens a register's data partition, as it is
// sealed in the TPM, kept in escrow, or (without a TPM) written on the disk.
//
// It does not seal, store or open anything. The rule that keeps it small: the bytes
// and what is derived from them; who keeps them is keys/seal and keys/escrow.
//
// The format is described in docs/formats/data.md.
package datakey

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/choba-os/choba/keys/seal"
)

// KeySize is the length of the key for dm-crypt, in bytes: two AES-256 keys.
const KeySize = 64

// State says how far the partition is. It is kept together with the key, so that
// nobody but the register itself can take it back. The zero State is none.
type State byte

// The states.
const (
	Making State = 1 // a first boot has begun; the partition may be made again
	Made   State = 2 // the partition was finished once; it is never made again
)

// Secret is the key and what belongs to it.
type Secret struct {
	State    State
	Identity [16]byte // of the partition; random
	Key      [KeySize]byte

	// Rebound counts how often the secret was taken out of escrow to bind it to a
	// TPM, and Last says when that happened last (seconds since 1970; 0 = never). It
	// lies under the TPM's seal, so that nobody can take it back.
	Rebound uint32
	Last    int64
}

// Version 1 has no Rebound and is written while that is 0.
const (
	version1, version2 = 1, 2
	size1              = 2 + 16 + KeySize
	size2              = size1 + 4 + 8
)

// Encode writes s down.
func (s Secret) Encode() []byte {
	out := append([]byte{version1, byte(s.State)}, s.Identity[:]...)
	out = append(out, s.Key[:]...)
	if s.Rebound == 0 {
		return out
	}
	out[0] = version2
	out = binary.BigEndian.AppendUint32(out, s.Rebound)
	return binary.BigEndian.AppendUint64(out, uint64(s.Last))
}

// Parse reads what Encode wrote and nothing else.
func Parse(text []byte) (Secret, error) {
	one := len(text) == size1 && text[0] == version1
	two := len(text) == size2 && text[0] == version2
	if !one && !two {
		return Secret{}, errors.New("reading the data key: not a secret of a version that is known")
	}
	s := Secret{State: State(text[1])}
	if s.State != Making && s.State != Made {
		return Secret{}, fmt.Errorf("reading the data key: state %d is not known", text[1])
	}
	copy(s.Identity[:], text[2:])
	copy(s.Key[:], text[2+len(s.Identity):])
	if two {
		s.Rebound = binary.BigEndian.Uint32(text[size1:])
		s.Last = int64(binary.BigEndian.Uint64(text[size1+4:]))
		if s.Rebound == 0 || s.Last < 0 {
			return Secret{}, errors.New("reading the data key: not as we would have written it")
		}
	}
	return s, nil
}

// Owner is the password of the TPM's owner that belongs to this key.
func (s Secret) Owner() seal.OwnerSecret { return seal.Owner(s.Key[:]) }

// Mark notes that the secret was taken out of escrow, so many times since it was put
// there. The count stops at its highest value: no number can bring it back to 0.
func (s Secret) Mark(times uint32, now time.Time) Secret {
	s.Rebound += min(times, math.MaxUint32-s.Rebound)
	s.Last = max(now.Unix(), 0)
	return s
}

// Wipe forgets the key.
func (s *Secret) Wipe() { clear(s.Key[:]) }
