// Package verity builds and checks dm-verity hash trees: those that veritysetup
// makes with --no-superblock --hash=sha256 --data-block-size=4096
// --hash-block-size=4096 (format 1: the salt comes before the block). It also
// writes the line of text by which the kernel takes such a tree.
//
// Layout of a tree: the highest level first, each level padded with zeros to whole
// blocks of 128 hashes. Data of a single block has no tree; its hash is the root.
//
// It does not talk to the device-mapper (drivers/dm does) and signs nothing. The
// rule that keeps it small: one hash, one block size, one format.
package verity

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// BlockSize is the size of data and hash blocks, in bytes.
const BlockSize = 4096

// MaxSalt is the longest salt, in bytes (the kernel's limit is 256; ours is one hash).
const MaxSalt = 32

// Hash is a SHA-256.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

const perBlock = BlockSize / sha256.Size

// Params is all that is needed to check a volume.
type Params struct {
	Root      Hash
	Salt      []byte
	Blocks    uint64 // of data, from the start of the device
	HashStart uint64 // block number of the tree's first block
}

// ErrCorrupt means that data or tree differ from what was hashed.
var ErrCorrupt = errors.New("is corrupted")

// TreeBlocks returns how many hash blocks the tree over this many data blocks has.
func TreeBlocks(blocks uint64) uint64 {
	var n uint64
	for blocks > 1 {
		blocks = (blocks + perBlock - 1) / perBlock
		n += blocks
	}
	return n
}

// Build reads blocks data blocks and returns the tree's bytes and the root hash.
// The memory that it takes is the tree: 1/127 of the data.
func Build(data io.Reader, blocks uint64, salt []byte) (tree []byte, root Hash, err error) {
	if blocks == 0 {
		return nil, root, errors.New("building hash tree: no data")
	}
	if len(salt) > MaxSalt {
		return nil, root, fmt.Errorf("building hash tree: salt of %d bytes, at most %d", len(salt), MaxSalt)
	}
	level, err := hashBlocks(data, blocks, salt)
	if err != nil {
		return nil, root, fmt.Errorf("building hash tree: %w", err)
	}
	var levels [][]byte
	for len(level) > sha256.Size {
		level = append(level, make([]byte, -len(level)&(BlockSize-1))...)
		levels = append(levels, level)
		if level, err = hashBlocks(bytes.NewReader(level), uint64(len(level)/BlockSize), salt); err != nil {
			return nil, root, fmt.Errorf("building hash tree: %w", err)
		}
	}
	for i := len(levels) - 1; i >= 0; i-- {
		tree = append(tree, levels[i]...)
	}
	copy(root[:], level)
	return tree, root, nil
}

// hashBlocks returns the hashes of n blocks, one after the other.
func hashBlocks(r io.Reader, n uint64, salt []byte) ([]byte, error) {
	out := make([]byte, 0, (n*sha256.Size+BlockSize-1)/BlockSize*BlockSize)
	block := make([]byte, BlockSize)
	h := sha256.New()
	for i := range n {
		if _, err := io.ReadFull(r, block); err != nil {
			return nil, fmt.Errorf("block %d of %d: %w", i, n, err)
		}
		h.Reset()
		h.Write(salt)
		h.Write(block)
		out = h.Sum(out)
	}
	return out, nil
}

// Verify reads the whole volume, tree first, and names the first bad block. It is
// nil when the kernel would accept every block.
func Verify(dev io.ReaderAt, p Params) error {
	tree := make([]byte, TreeBlocks(p.Blocks)*BlockSize)
	if n, err := dev.ReadAt(tree, int64(p.HashStart)*BlockSize); n < len(tree) {
		return fmt.Errorf("reading hash tree: %w", err)
	}
	leaves, err := checkTree(tree, p)
	if err != nil {
		return err
	}
	block := make([]byte, BlockSize)
	for i := range p.Blocks {
		if n, err := dev.ReadAt(block, int64(i)*BlockSize); n < len(block) {
			return fmt.Errorf("reading data block %d: %w", i, err)
		}
		if sum := hashBlock(block, p.Salt); !bytes.Equal(sum[:], leaves[i*sha256.Size:][:sha256.Size]) {
			return fmt.Errorf("data block %d %w", i, ErrCorrupt)
		}
	}
	return nil
}

// checkTree checks every level against the one above it and returns the hashes of
// the data blocks.
func checkTree(tree []byte, p Params) (leaves []byte, err error) {
	var sizes []uint64 // blocks of each level, lowest first
	for n := p.Blocks; n > 1; {
		n = (n + perBlock - 1) / perBlock
		sizes = append(sizes, n)
	}
	above, at := p.Root[:], uint64(0)
	for l := len(sizes) - 1; l >= 0; l-- {
		level := tree[at*BlockSize : (at+sizes[l])*BlockSize]
		for i := range sizes[l] {
			sum := hashBlock(level[i*BlockSize:][:BlockSize], p.Salt)
			if !bytes.Equal(sum[:], above[i*sha256.Size:][:sha256.Size]) {
				return nil, fmt.Errorf("hash block %d %w", p.HashStart+at+i, ErrCorrupt)
			}
		}
		above, at = level, at+sizes[l]
	}
	return above, nil
}

func hashBlock(block, salt []byte) Hash {
	h := sha256.New()
	h.Write(salt)
	h.Write(block)
	return Hash(h.Sum(nil))
}

// Sectors returns the size of the mapped volume in 512-byte sectors, as a
// device-mapper table wants it.
func (p Params) Sectors() uint64 { return p.Blocks * (BlockSize / 512) }

// Table returns the parameters of a "verity" target over one device that holds
// data and tree. A bad block panics the kernel, so that nothing runs on after it;
// key names the user key in the thread's keyring that holds the root hash's
// signature.
func Table(dev string, p Params, key string) string {
	salt := hex.EncodeToString(p.Salt)
	if salt == "" {
		salt = "-"
	}
	return strings.Join([]string{
		"1", dev, dev,
		fmt.Sprint(BlockSize), fmt.Sprint(BlockSize), fmt.Sprint(p.Blocks), fmt.Sprint(p.HashStart),
		"sha256", p.Root.String(), salt,
		"3", "panic_on_corruption", "root_hash_sig_key_desc", key,
	}, " ")
}
