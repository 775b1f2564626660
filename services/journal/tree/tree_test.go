package tree_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/choba-os/choba/services/journal/tree"
)

// memory is a list's file; full makes every write fail.
type memory struct {
	text []byte
	full bool
}

func (m *memory) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > int64(len(m.text)) {
		return 0, errors.New("short")
	}
	return copy(p, m.text[at:]), nil
}

func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	if m.full {
		return 0, errors.New("full")
	}
	if need := int(at) + len(p); need > len(m.text) {
		m.text = append(m.text, make([]byte, need-len(m.text))...)
	}
	return copy(m.text[at:], p), nil
}

func leaf(n uint64) tlog.Hash { return tlog.RecordHash(fmt.Appendf(nil, "entry %d", n)) }

// The tree is golang.org/x/mod's: every edge, root, stored hash and proof of the first 300 trees is compared with it.
func TestAgainstTlog(t *testing.T) {
	file := &memory{}
	list := tree.NewList(file, 0)
	edge := tree.Edge{}
	for n := range uint64(300) {
		root, err := tlog.TreeHash(int64(n), list)
		require.NoError(t, err)
		require.Equal(t, root, edge.Root())
		want, err := tlog.StoredHashesForRecordHash(int64(n), leaf(n), list)
		require.NoError(t, err)
		next, added := edge.Append(leaf(n))
		require.Equal(t, want, added)
		require.Equal(t, n, edge.Size, "the old edge stays as it was")
		edge = next
		list.Append(added...)
		require.Equal(t, tree.Count(n+1), list.Len())
		if n%7 == 0 {
			require.NoError(t, list.Flush())
		}
		read, err := tree.EdgeOf(n+1, list)
		require.NoError(t, err)
		require.Equal(t, edge, read)
		for _, i := range []uint64{0, n / 2, n} {
			path, err := tlog.ProveRecord(int64(n+1), int64(i), list)
			require.NoError(t, err)
			require.NoError(t, tlog.CheckRecord(path, int64(n+1), edge.Root(), int64(i), leaf(i)))
		}
	}
}

func TestEdgeRefusesTheWrongNumberOfHashes(t *testing.T) {
	_, err := tree.NewEdge(3, make([]tlog.Hash, 1))
	require.Error(t, err)
	_, err = tree.NewEdge(0, make([]tlog.Hash, 1))
	require.Error(t, err)
	_, err = tree.NewEdge(1<<62, make([]tlog.Hash, 1))
	require.Error(t, err)
	_, err = tree.EdgeOf(5, tree.NewList(&memory{}, 0))
	require.Error(t, err)
}

func TestListKeepsWhatCannotBeWritten(t *testing.T) {
	file := &memory{full: true}
	list := tree.NewList(file, 0)
	list.Append(leaf(0), leaf(1))
	require.Error(t, list.Flush())
	list.Append(leaf(2))
	got, err := list.ReadHashes([]int64{2, 0})
	require.NoError(t, err)
	require.Equal(t, []tlog.Hash{leaf(2), leaf(0)}, got)
	file.full = false
	require.NoError(t, list.Flush())
	again := tree.NewList(file, 3)
	got, err = again.ReadHashes([]int64{1})
	require.NoError(t, err)
	require.Equal(t, []tlog.Hash{leaf(1)}, got)
	_, err = again.ReadHashes([]int64{3})
	require.Error(t, err)
	_, err = again.ReadHashes([]int64{-1})
	require.Error(t, err)
}
