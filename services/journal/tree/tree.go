// Package tree is the Merkle tree over the entries (RFC 6962, by golang.org/x/mod/sumdb/tlog): its right edge, with
// which it grows without reading anything back, and the list of its hashes, from which proofs are made.
//
// The list holds 32 bytes a hash in tlog's order (StoredHashIndex): appending entry n appends the leaf and every
// subtree that it completes. It can be made again from the entries, and tiles can be cut from it.
//
// It is not the log and knows no entries, signatures or file names. The rule that keeps it small: hashes in, hashes out.
package tree

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Edge is a tree of Size leaves, held by the roots of its complete subtrees, largest first: one for each bit that is
// set in Size. The zero value is the empty tree.
type Edge struct {
	Size   uint64
	Hashes []tlog.Hash
}

// NewEdge checks that there are as many hashes as a tree of that size has complete subtrees.
func NewEdge(size uint64, hashes []tlog.Hash) (Edge, error) {
	if size >= 1<<62 || bits.OnesCount64(size) != len(hashes) {
		return Edge{}, fmt.Errorf("an edge of %d hashes for a tree of %d entries", len(hashes), size)
	}
	return Edge{Size: size, Hashes: hashes}, nil
}

// Append gives the tree with one leaf more, and the hashes that it adds to the list, in the list's order.
func (e Edge) Append(leaf tlog.Hash) (Edge, []tlog.Hash) {
	done := bits.TrailingZeros64(e.Size + 1) // subtrees that the leaf completes
	keep := len(e.Hashes) - done
	added := make([]tlog.Hash, 1, 1+done)
	added[0] = leaf
	for i := len(e.Hashes) - 1; i >= keep; i-- {
		leaf = tlog.NodeHash(e.Hashes[i], leaf)
		added = append(added, leaf)
	}
	next := make([]tlog.Hash, 0, keep+1)
	next = append(append(next, e.Hashes[:keep]...), leaf)
	return Edge{Size: e.Size + 1, Hashes: next}, added
}

// Root is the tree's root hash.
func (e Edge) Root() tlog.Hash {
	n := len(e.Hashes)
	if n == 0 {
		root, _ := tlog.TreeHash(0, nil) // reads nothing
		return root
	}
	root := e.Hashes[n-1]
	for i := n - 2; i >= 0; i-- {
		root = tlog.NodeHash(e.Hashes[i], root)
	}
	return root
}

// EdgeOf reads the edge of the tree of that size from a list.
func EdgeOf(size uint64, r tlog.HashReader) (Edge, error) {
	if size >= 1<<62 {
		return Edge{}, errors.New("reading a tree's edge: the size is absurd")
	}
	var at []int64
	for done := uint64(0); done < size; {
		level := bits.Len64(size-done) - 1
		at = append(at, tlog.StoredHashIndex(level, int64(done>>level)))
		done += 1 << level
	}
	hashes, err := r.ReadHashes(at)
	if err != nil {
		return Edge{}, fmt.Errorf("reading a tree's edge: %w", err)
	}
	return NewEdge(size, hashes)
}

// Count is the number of hashes in the list of a tree of that size.
func Count(size uint64) int64 { return tlog.StoredHashCount(int64(size)) }
