package verity

import (
	"crypto/sha256"
	"fmt"
	"hash"
)

// Leaves checks a tree from its root down and returns the hashes of the data blocks, in their order: an index by
// which anybody who holds some of the blocks already can tell which ones those are.
func Leaves(tree []byte, p Params) ([]Hash, error) {
	if want := TreeBlocks(p.Blocks) * BlockSize; uint64(len(tree)) != want {
		return nil, fmt.Errorf("hash tree of %d bytes, want %d: %w", len(tree), want, ErrCorrupt)
	}
	flat, err := checkTree(tree, p)
	if err != nil {
		return nil, err
	}
	leaves := make([]Hash, p.Blocks)
	for i := range leaves {
		leaves[i] = Hash(flat[i*sha256.Size:])
	}
	return leaves, nil
}

// Hasher hashes blocks under one salt. It is for one goroutine at a time.
type Hasher struct {
	salt []byte
	h    hash.Hash
}

// NewHasher hashes as a tree with this salt does.
func NewHasher(salt []byte) *Hasher { return &Hasher{salt: salt, h: sha256.New()} }

// Sum is the hash of one block.
func (s *Hasher) Sum(block []byte) (out Hash) {
	s.h.Reset()
	s.h.Write(s.salt)
	s.h.Write(block)
	s.h.Sum(out[:0])
	return out
}
