package fat

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
)

// A table's values, as wide as FAT32's.
const (
	free       = 0
	badCluster = 0x0ffffff7
	endOfChain = 0x0ffffff8 // and above
	endMark    = 0x0fffffff // what we write
)

const (
	tableBlock  = 16 << 10 // bytes of a table that are read at once
	tableBlocks = 64       // that are kept
	// maxPieces bounds how scattered a file may be: a 96 MiB file in 4 KiB clusters has 24,576 of them.
	maxPieces = 1 << 16
)

// table reads one allocation table.
type table struct {
	r    io.ReaderAt
	g    geometry
	at   int64
	mu   sync.Mutex       // guards kept
	kept map[int64][]byte // by block number
}

func newTable(r io.ReaderAt, g geometry, which int) *table {
	return &table{r: r, g: g, at: g.tables[which], kept: map[int64][]byte{}}
}

// next is the entry of a valid cluster, brought to FAT32's width.
func (t *table) next(c uint32) (uint32, error) {
	at := t.g.entryAt(c)
	b, err := t.block(at / tableBlock)
	if err != nil {
		return 0, err
	}
	return entry(t.g.kind, b[at%tableBlock:], c), nil
}

// entry decodes what stands at the beginning of b.
func entry(k kind, b []byte, c uint32) uint32 {
	switch k {
	case fat12:
		n := uint32(binary.LittleEndian.Uint16(b))
		if c%2 == 1 {
			n >>= 4
		}
		return widen(n&0xfff, 0xff7)
	case fat16:
		return widen(uint32(binary.LittleEndian.Uint16(b)), 0xfff7)
	case exfat:
		return exfatEntry(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint32(b) & 0x0fffffff
}

func widen(n, bad uint32) uint32 {
	if n >= bad {
		n += badCluster - bad
	}
	return n
}

// block gives a part of the table; entries never cross a block (FAT12's whole table fits into one).
func (t *table) block(n int64) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b, ok := t.kept[n]; ok {
		return b, nil
	}
	end := t.g.entryAt(t.g.last()) + 4 // two bytes more than FAT12 and FAT16 need; data follows the table
	b := make([]byte, min(tableBlock, end-n*tableBlock))
	if _, err := t.r.ReadAt(b, t.at+n*tableBlock); err != nil {
		return nil, fmt.Errorf("reading the allocation table: %w", err)
	}
	if len(t.kept) >= tableBlocks {
		clear(t.kept)
	}
	t.kept[n] = b
	return b, nil
}

// piece is some clusters of a file that follow each other on the volume.
type piece struct {
	first uint32
	count uint32
	at    int64 // the number of its first cluster within the file
}

// chain follows a file's clusters: want of them; or, with want 0, to the end of the chain and at most most of them.
// A chain that is too short, leaves the volume, or comes to a cluster twice is damaged. A longer one than want is not:
// some systems reserve room.
func (t *table) chain(first uint32, want, most int64) ([]piece, error) {
	var out []piece
	c := first
	for n := int64(0); ; n++ {
		if want > 0 && n == want || want == 0 && n > 0 && c >= endOfChain {
			return out, disjoint(out)
		}
		if !t.g.valid(c) {
			return nil, fmt.Errorf("%w: after %d clusters comes cluster %#x", ErrDamaged, n, c)
		}
		if n >= most {
			return nil, fmt.Errorf("%w: a chain of more than %d clusters", ErrDamaged, most)
		}
		if k := len(out) - 1; k >= 0 && out[k].first+out[k].count == c {
			out[k].count++
		} else if len(out) == maxPieces {
			return nil, fmt.Errorf("%w: a file in more than %d pieces", ErrDamaged, maxPieces)
		} else {
			out = append(out, piece{first: c, count: 1, at: n})
		}
		var err error
		if c, err = t.next(c); err != nil {
			return nil, err
		}
	}
}

// disjoint refuses a chain that comes to a cluster twice.
func disjoint(p []piece) error {
	s := slices.Clone(p)
	slices.SortFunc(s, func(a, b piece) int { return int(int64(a.first) - int64(b.first)) })
	for i := 1; i < len(s); i++ {
		if s[i-1].first+s[i-1].count > s[i].first {
			return fmt.Errorf("%w: a chain comes to cluster %d twice", ErrDamaged, s[i].first)
		}
	}
	return nil
}
