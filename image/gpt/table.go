package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"

	"github.com/choba-os/choba/image/layout"
)

// Where the first table's entries lie: the usual place, and another that shares no 4 KiB with the header.
const (
	place1 = 2
	place2 = 40

	headerSize = 92
)

// table is one of the two tables: a header, in sectors, and the entries as they are on the disk.
type table struct {
	here, other uint64 // its own header, the other table's
	first, last uint64 // usable by partitions
	place       uint64 // of the entries
	id          [16]byte
	raw         []byte
}

// asFirst is the first table of a disk with this last sector, the entries at one of the two places.
func (t table) asFirst(last, place uint64) table {
	return table{here: 1, other: last, first: firstUsable, last: last - tableBlocks - 1, place: place, id: t.id, raw: t.raw}
}

// asSecond is the second table of a disk with this last sector.
func (t table) asSecond(last uint64) table {
	return table{here: last, other: 1, first: firstUsable, last: last - tableBlocks - 1, place: last - tableBlocks, id: t.id, raw: t.raw}
}

// encode is the header's sector.
func (t table) encode() []byte {
	b := make([]byte, layout.Sector)
	le := binary.LittleEndian
	copy(b, "EFI PART")
	le.PutUint32(b[8:], 0x00010000)
	le.PutUint32(b[12:], headerSize)
	le.PutUint64(b[24:], t.here)
	le.PutUint64(b[32:], t.other)
	le.PutUint64(b[40:], t.first)
	le.PutUint64(b[48:], t.last)
	copy(b[56:], t.id[:])
	le.PutUint64(b[72:], t.place)
	le.PutUint32(b[80:], entries)
	le.PutUint32(b[84:], entrySize)
	le.PutUint32(b[88:], crc32.ChecksumIEEE(t.raw))
	le.PutUint32(b[16:], crc32.ChecksumIEEE(b[:headerSize]))
	return b
}

// readTable reads the table whose header is in sector here of a disk with this last sector.
func readTable(r io.ReaderAt, here, last uint64) (table, error) {
	le := binary.LittleEndian
	h := make([]byte, layout.Sector)
	if _, err := r.ReadAt(h, int64(here)*layout.Sector); err != nil {
		return table{}, err
	}
	if string(h[:8]) != "EFI PART" {
		return table{}, errors.New("no GPT header")
	}
	t := table{here: here, other: le.Uint64(h[32:]), first: le.Uint64(h[40:]), last: le.Uint64(h[48:]),
		place: le.Uint64(h[72:]), id: [16]byte(h[56:72])}
	if err := t.checkPlaces(last); err != nil {
		return table{}, err
	}
	t.raw = make([]byte, entries*entrySize)
	if _, err := r.ReadAt(t.raw, int64(t.place)*layout.Sector); err != nil {
		return table{}, err
	}
	// Both checksums are in the header, so that one comparison is for them and for each field.
	if !bytes.Equal(h[:headerSize], t.encode()[:headerSize]) {
		return table{}, errors.New("a checksum or a field of the header does not fit")
	}
	return t, t.checkEntries()
}

func (t table) checkPlaces(last uint64) error {
	switch {
	case t.first < place1+tableBlocks || t.first > firstUsable || t.here == 1 && t.first < t.place+tableBlocks:
		return fmt.Errorf("its first usable sector is %d", t.first)
	case t.here == 1 && (t.other > last || t.other < firstUsable+tableBlocks):
		return errors.New("it is of another, larger disk")
	case t.here == 1 && t.place != place1 && t.place != place2:
		return fmt.Errorf("its entries are in sector %d", t.place)
	case t.here == 1 && t.last != t.other-tableBlocks-1:
		return errors.New("its last usable sector is not before the second table")
	case t.here != 1 && t.asSecond(last).place != t.place:
		return fmt.Errorf("its entries are in sector %d", t.place)
	case t.here != 1 && (t.other != 1 || t.last != last-tableBlocks-1):
		return errors.New("it is of another disk")
	}
	return nil
}

// used gives each entry that is a partition, in the order of the table.
func (t table) used() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for i := range entries {
			b := t.raw[i*entrySize:][:entrySize]
			if len(bytes.Trim(b[:16], "\x00")) > 0 && !yield(i, b) {
				return
			}
		}
	}
}

// checkEntries wants partitions inside the usable sectors, in the order of the disk.
func (t table) checkEntries() error {
	free := t.first
	for i, b := range t.used() {
		first, last := binary.LittleEndian.Uint64(b[32:]), binary.LittleEndian.Uint64(b[40:])
		if first < free || last < first || last > t.last {
			return fmt.Errorf("partition %d: sectors %d to %d, want some of %d to %d", i+1, first, last, free, t.last)
		}
		free = last + 1
	}
	return nil
}

func (t table) list() []Entry {
	var out []Entry
	for _, b := range t.used() {
		out = append(out, decodeEntry(b))
	}
	return out
}

// minSize is of a disk with room for both tables and the gap before the first partition.
const minSize = layout.Align + (tableBlocks+2)*layout.Sector

func checkSize(size int64) error {
	if size < minSize {
		return fmt.Errorf("reading partition table: a disk of %d bytes", size)
	}
	return nil
}

// Read reads the first table and compares it with its twin at the end of the disk. Any difference or wrong checksum
// is an error.
func Read(r io.ReaderAt, size int64) ([]Entry, error) {
	if err := checkSize(size); err != nil {
		return nil, err
	}
	last := lastSector(size)
	first, err := readTable(r, 1, last)
	if err != nil {
		return nil, fmt.Errorf("reading first partition table: %w", err)
	}
	second, err := readTable(r, last, last)
	if err != nil {
		return nil, fmt.Errorf("reading second partition table: %w", err)
	}
	if first.other != last || first.id != second.id || !bytes.Equal(first.raw, second.raw) {
		return nil, errors.New("reading partition table: its two copies differ")
	}
	return first.list(), nil
}

// load reads the first table, wherever it says the second is, or the second at the end of the disk when the first is
// not whole.
func load(r io.ReaderAt, size int64) (table, error) {
	if err := checkSize(size); err != nil {
		return table{}, err
	}
	last := lastSector(size)
	t, first := readTable(r, 1, last)
	if first == nil {
		return t, nil
	}
	t, second := readTable(r, last, last)
	if second == nil {
		return t, nil
	}
	return table{}, fmt.Errorf("reading partition table: first: %w; second: %w", first, second)
}
