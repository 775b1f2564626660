package tree

import (
	"fmt"
	"io"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// Storage is where a list lies: hash i at offset 32*i.
type Storage interface {
	io.ReaderAt
	io.WriterAt
}

// List is the hashes of a growing tree. The newest may still be in memory only: losing them costs nothing, since they
// can be made again from the entries. One goroutine appends; any may read.
type List struct {
	file Storage

	mu     sync.RWMutex // guards stored and recent
	stored int64        // hashes in file
	recent []tlog.Hash  // those after them
}

// NewList is a list of which the first stored hashes are in file.
func NewList(file Storage, stored int64) *List { return &List{file: file, stored: stored} }

// Append puts hashes at the end, in memory.
func (l *List) Append(hashes ...tlog.Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent = append(l.recent, hashes...)
}

// Len is the number of hashes.
func (l *List) Len() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.stored + int64(len(l.recent))
}

// Flush writes to the file what is in memory only. It does not sync. After an error everything is still readable,
// and the next Flush tries again.
func (l *List) Flush() error {
	l.mu.RLock()
	at, text := l.stored*tlog.HashSize, make([]byte, 0, len(l.recent)*tlog.HashSize)
	n := len(l.recent)
	for _, h := range l.recent {
		text = append(text, h[:]...)
	}
	l.mu.RUnlock()
	if n == 0 {
		return nil
	}
	if _, err := l.file.WriteAt(text, at); err != nil {
		return fmt.Errorf("writing the list of hashes: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stored += int64(n)
	l.recent = append([]tlog.Hash(nil), l.recent[n:]...)
	return nil
}

// ReadHashes gives the hashes at those places of the list.
func (l *List) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	hashes := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		switch {
		case at < 0 || at >= l.stored+int64(len(l.recent)):
			return nil, fmt.Errorf("reading the list of hashes: no hash %d", at)
		case at >= l.stored:
			hashes[i] = l.recent[at-l.stored]
		default:
			if _, err := l.file.ReadAt(hashes[i][:], at*tlog.HashSize); err != nil {
				return nil, fmt.Errorf("reading the list of hashes: hash %d: %w", at, err)
			}
		}
	}
	return hashes, nil
}
