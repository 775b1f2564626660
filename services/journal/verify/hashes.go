package verify

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/choba-os/choba/services/journal/segment"
	"github.com/choba-os/choba/services/journal/tree"
)

const hashesName = "hashes"

// hashList reads the list of hashes alongside the entries. The list proves nothing by itself: it can be made anew.
// But a list that is longer than the log tells of entries that are gone.
type hashList struct {
	file  *os.File // nil when there is no list
	in    *bufio.Reader
	at    int64 // number of the next hash
	few   bool  // a hash was missing
	wrong bool  // a hash was wrong: said once
}

func (r *reader) openHashes() error {
	f, err := os.Open(filepath.Join(r.path, hashesName))
	if errors.Is(err, fs.ErrNotExist) {
		r.hashes = &hashList{few: true}
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the list of hashes: %w", err)
	}
	r.hashes = &hashList{file: f}
	r.hashes.seek(0)
	return nil
}

func (l *hashList) close() {
	if l.file != nil {
		l.file.Close()
	}
}

// seek goes to the hashes of the entry with that number.
func (l *hashList) seek(entry uint64) {
	if l.file == nil {
		return
	}
	l.at = tree.Count(entry)
	l.in = bufio.NewReaderSize(io.NewSectionReader(l.file, l.at*tlog.HashSize, 1<<62), 32<<10)
}

// compare takes the hashes that an entry adds.
func (l *hashList) compare(r *reader, added []tlog.Hash) {
	if l.file == nil {
		return
	}
	for _, want := range added {
		var got tlog.Hash
		_, err := io.ReadFull(l.in, got[:])
		switch {
		case err != nil || got == tlog.Hash{}:
			l.few = true
		case got != want && !l.wrong:
			l.wrong = true
			r.found(Finding{Code: BadHashes, File: hashesName, Offset: l.at * tlog.HashSize, Entry: int64(r.chain.Edge.Size) - 1,
				Detail: fmt.Sprintf("hash %d is %s, want %s", l.at, got, want)})
		}
		l.at++
	}
}

// end looks behind the last hash.
func (l *hashList) end(r *reader) error {
	if l.file != nil {
		st, err := l.file.Stat()
		if err != nil {
			return fmt.Errorf("reading the list of hashes: %w", err)
		}
		from := tree.Count(r.chain.Covered) * tlog.HashSize
		end, err := segment.Blank(l.file, from, st.Size())
		if err != nil {
			return fmt.Errorf("reading the list of hashes: %w", err)
		}
		if end > from {
			r.found(Finding{Code: MoreHashes, File: hashesName, Offset: from, Entry: int64(r.chain.Covered),
				Detail: fmt.Sprintf("%d bytes more than %d entries have", end-from, r.chain.Covered)})
		}
	}
	if l.few {
		r.remark(Finding{Code: FewHashes, File: hashesName, Offset: -1, Entry: -1})
	}
	return nil
}
