package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/frame"
)

const (
	// maxWritable is how many clusters a volume may have that is changed: its table is read into memory.
	maxWritable = 1 << 23
	// maxFiles bounds how long a survey takes.
	maxFiles = 1 << 18
	unknown  = 0xffffffff // free clusters, in the hint
)

// survey is a volume that is going to be changed: what is in use, and the table as it should be.
type survey struct {
	d     frame.Device
	v     *Volume
	g     geometry
	fat   []byte          // the first table, with our changes
	dirty map[int64]bool  // its sectors that were changed
	used  []uint64        // bit by cluster: reachable from the root
	loose map[uint32]bool // taken in a table, and not reachable
	files int
}

// look reads the table and the whole tree. It refuses what it cannot explain: two files in one cluster, a chain that
// ends too early, tables that differ in more than what a cut of ours leaves (a cluster that nothing refers to, free in
// the one and taken in the other).
func look(d frame.Device, size int64) (*survey, error) {
	v, err := Open(d, size)
	if err != nil {
		return nil, err
	}
	g := v.g
	if g.kind != fat16 && g.kind != fat32 || !g.mirrored || g.clusters > maxWritable {
		return nil, fmt.Errorf("%w that is changed here: %s, %d clusters", ErrNotFAT, g.kind, g.clusters)
	}
	s := &survey{d: d, v: v, g: g, fat: make([]byte, g.entryAt(g.last())+4), dirty: map[int64]bool{},
		used: make([]uint64, g.last()/64+1), loose: map[uint32]bool{}}
	if _, err := d.ReadAt(s.fat, g.tables[0]); err != nil {
		return nil, fmt.Errorf("reading the allocation table: %w", err)
	}
	v.table = &table{r: bytes.NewReader(s.fat), g: g, kept: map[int64][]byte{}}
	if err := s.tree(g.root); err != nil {
		return nil, err
	}
	return s, s.compare()
}

// tree marks everything that can be reached.
func (s *survey) tree(root location) error {
	if root.first != 0 {
		if err := s.mark(root.first, 0); err != nil {
			return fmt.Errorf("root folder: %w", err)
		}
	}
	todo := []location{root}
	for len(todo) > 0 {
		nodes, err := s.v.list(todo[0])
		if err != nil {
			return err
		}
		todo = todo[1:]
		for _, n := range nodes {
			if n.dots {
				continue
			}
			if s.files++; s.files > maxFiles {
				return fmt.Errorf("%w: more than %d files", ErrDamaged, maxFiles)
			}
			if n.dir || n.size > 0 || n.where.first != 0 {
				if err := s.mark(n.where.first, n.size); err != nil {
					return fmt.Errorf("%q: %w", n.name(), err)
				}
			}
			if n.dir {
				todo = append(todo, n.where)
			}
		}
	}
	return nil
}

// mark marks a whole chain, which must be long enough for size bytes.
func (s *survey) mark(first uint32, size int64) error {
	pieces, err := s.v.table.chain(first, 0, int64(s.g.clusters))
	if err != nil {
		return err
	}
	total := int64(0)
	for _, p := range pieces {
		for c := p.first; c < p.first+p.count; c++ {
			if s.isUsed(c) {
				return fmt.Errorf("%w: cluster %d belongs to two files", ErrDamaged, c)
			}
			s.used[c/64] |= 1 << (c % 64)
		}
		total += int64(p.count)
	}
	if total*s.g.cluster < size {
		return fmt.Errorf("%w: %d clusters for %d bytes", ErrDamaged, total, size)
	}
	return nil
}

func (s *survey) isUsed(c uint32) bool { return s.used[c/64]>>(c%64)&1 == 1 }

// compare goes through both tables and finds the loose clusters.
func (s *survey) compare() error {
	const step = 1 << 16
	other := make([]byte, step)
	for from := int64(0); from < int64(len(s.fat)); from += step {
		mine := s.fat[from:min(int64(len(s.fat)), from+step)]
		theirs := mine
		if len(s.g.tables) == 2 {
			theirs = other[:len(mine)]
			if _, err := s.d.ReadAt(theirs, s.g.tables[1]+from); err != nil {
				return fmt.Errorf("reading the second allocation table: %w", err)
			}
		}
		width := s.g.entryAt(1)
		for c := max(firstCluster, uint32(from/width)); c <= s.g.last() && s.g.entryAt(c) < from+step; c++ {
			at := s.g.entryAt(c) - from
			if err := s.judge(c, entry(s.g.kind, mine[at:], c), entry(s.g.kind, theirs[at:], c)); err != nil {
				return err
			}
		}
	}
	return nil
}

// judge looks at one cluster in both tables.
func (s *survey) judge(c, one, two uint32) error {
	switch {
	case one != two && (s.isUsed(c) || one != free && two != free):
		return fmt.Errorf("%w: the tables differ at cluster %d: %#x and %#x", ErrDamaged, c, one, two)
	case s.isUsed(c) || one == badCluster || two == badCluster:
	case one != free || two != free:
		s.loose[c] = true
	}
	return nil
}

// room gives n free clusters: the first gap that is large enough, else the first ones there are.
func (s *survey) room(n int64) ([]piece, error) {
	var some []piece
	have := int64(0)
	for c := uint32(firstCluster); c <= s.g.last(); c++ {
		if s.isUsed(c) || s.loose[c] || s.value(c) != free {
			continue
		}
		if k := len(some) - 1; k >= 0 && some[k].first+some[k].count == c {
			some[k].count++
		} else {
			some = append(some, piece{first: c, count: 1, at: have})
		}
		have++
		if last := some[len(some)-1]; int64(last.count) == n {
			return []piece{{first: last.first, count: last.count}}, nil
		}
	}
	if have < n {
		return nil, fmt.Errorf("%w: %d bytes, free are %d", ErrFull, n*s.g.cluster, have*s.g.cluster)
	}
	for i, p := range some {
		if p.at+int64(p.count) >= n {
			some[i].count = uint32(n - p.at)
			return some[:i+1], nil
		}
	}
	return some, nil
}

func (s *survey) value(c uint32) uint32 { return entry(s.g.kind, s.fat[s.g.entryAt(c):], c) }

// put changes a cluster's entry in memory.
func (s *survey) put(c, value uint32) {
	at := s.g.entryAt(c)
	if s.g.kind == fat16 {
		binary.LittleEndian.PutUint16(s.fat[at:], uint16(value))
	} else {
		old := binary.LittleEndian.Uint32(s.fat[at:])
		binary.LittleEndian.PutUint32(s.fat[at:], old&0xf0000000|value&0x0fffffff)
	}
	s.dirty[at/s.g.sector] = true
}

// link makes one chain of the pieces.
func (s *survey) link(pieces []piece) {
	for i, p := range pieces {
		for c := p.first; c < p.first+p.count; c++ {
			next := uint32(endMark)
			if c+1 < p.first+p.count {
				next = c + 1
			} else if i+1 < len(pieces) {
				next = pieces[i+1].first
			}
			s.put(c, next)
		}
	}
}

// store writes the changed sectors into each table, and flushes.
func (s *survey) store() error {
	for _, at := range s.g.tables {
		for n := int64(0); n*s.g.sector < int64(len(s.fat)); n++ {
			if !s.dirty[n] {
				continue
			}
			run := n
			for s.dirty[run] {
				run++
			}
			if err := s.storeSectors(at, n, run); err != nil {
				return err
			}
			n = run
		}
	}
	clear(s.dirty)
	return s.d.Sync()
}

// storeSectors writes some whole sectors of the table. The last one may hold more than the clusters' entries.
func (s *survey) storeSectors(at, from, to int64) error {
	b := make([]byte, (to-from)*s.g.sector)
	n := copy(b, s.fat[from*s.g.sector:])
	if n < len(b) {
		tail := b[n/int(s.g.sector)*int(s.g.sector):]
		if _, err := s.d.ReadAt(tail, at+to*s.g.sector-int64(len(tail))); err != nil {
			return err
		}
		copy(b, s.fat[from*s.g.sector:])
	}
	_, err := s.d.WriteAt(b, at+from*s.g.sector)
	return err
}

// hint writes how many clusters are free and where to look first; it is never read here. unknown is always true.
func (s *survey) hint(count, next uint32) error {
	if s.g.info == 0 {
		return nil
	}
	b := make([]byte, s.g.sector)
	if _, err := s.d.ReadAt(b, s.g.info); err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b[488:], count)
	binary.LittleEndian.PutUint32(b[492:], next)
	_, err := s.d.WriteAt(b, s.g.info)
	return err
}

// finish puts the hint right again and flushes.
func (s *survey) finish() error {
	count, next := uint32(0), uint32(unknown)
	for c := uint32(firstCluster); c <= s.g.last(); c++ {
		if s.value(c) == free {
			if count++; next == unknown {
				next = c
			}
		}
	}
	if err := s.hint(count, next); err != nil {
		return err
	}
	return s.d.Sync()
}

// slotAt is where a slot of a folder lies on the volume.
func (s *survey) slotAt(folder location, slot int) (int64, error) {
	off := int64(slot) * slotSize
	if folder.first == 0 {
		return folder.at + off, nil
	}
	pieces, err := s.v.folderPieces(folder)
	if err != nil {
		return 0, err
	}
	f := File{v: s.v, size: off + 1, set: off + 1, pieces: pieces}
	_, at := f.at(off, 1)
	return at, nil
}

// sectorOf reads the sector that a place is in.
func (s *survey) sectorOf(at int64) (b []byte, start int64, err error) {
	start = at / s.g.sector * s.g.sector
	b = make([]byte, s.g.sector)
	_, err = s.d.ReadAt(b, start)
	return b, start, err
}

// content reads pieces as a file of n bytes.
func (s *survey) content(pieces []piece, n int64) io.Reader {
	return io.NewSectionReader(&File{v: s.v, size: n, set: n, pieces: pieces}, 0, n)
}
