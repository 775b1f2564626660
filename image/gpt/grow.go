package gpt

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
)

// Growth is what Grow found or made.
type Growth struct {
	Part    Entry // as it stands in the table now
	Number  int   // of the partition, from 1, as the kernel counts
	Changed bool  // the table was written
}

// Grow lets the disk's last partition, which must have this name, end where a disk of this size ends at most, and moves
// the second table to the disk's end. It shrinks nothing and leaves every other entry as it is; a partition that
// already ends there is left as it is, too. An error before the first write says what is not as expected.
//
// Power may go at any time. The second table is written at the disk's end first, where no table and no partition is
// yet; then the first table's entries, beside those that count; then its header, in one sector. A header torn in
// itself leaves the second table, from which the firmware writes the first again, or the next Grow does.
func Grow(disk frame.Device, size int64, name string) (Growth, error) {
	t, err := load(disk, size)
	if err != nil {
		return Growth{}, err
	}
	g, err := t.lastNamed(name)
	if err != nil {
		return Growth{}, fmt.Errorf("growing partition %s: %w", name, err)
	}
	last := lastSector(size)
	if t.here != 1 { // the only whole table is the second: the first again, before anything else is touched
		if t, err = t.writeFirst(disk, last, place1); err != nil {
			return Growth{}, fmt.Errorf("mending the partition table: %w", err)
		}
		g.Changed = true
	}
	if g.Part.Start+g.Part.Size >= end(size) {
		return g, nil
	}
	grown := t
	grown.raw = bytes.Clone(t.raw)
	entry := grown.raw[(g.Number-1)*entrySize:][:entrySize]
	binary.LittleEndian.PutUint64(entry[40:], uint64(end(size)/layout.Sector-1))
	if err := grown.writeSecond(disk, last); err != nil {
		return Growth{}, fmt.Errorf("growing partition %s: %w", name, err)
	}
	if _, err := grown.writeFirst(disk, last, place1+place2-t.place); err != nil {
		return Growth{}, fmt.Errorf("growing partition %s: %w", name, err)
	}
	return Growth{Part: decodeEntry(entry), Number: g.Number, Changed: true}, nil
}

// lastNamed is the last partition, if it has this name.
func (t table) lastNamed(name string) (Growth, error) {
	var g Growth
	for i, b := range t.used() {
		if g.Part.Name == name {
			return Growth{}, fmt.Errorf("partition %d lies behind it", i+1)
		}
		g = Growth{Part: decodeEntry(b), Number: i + 1}
	}
	if g.Part.Name != name {
		return Growth{}, fmt.Errorf("the last partition is %q", g.Part.Name)
	}
	return g, nil
}

func (t table) writeSecond(disk frame.Device, last uint64) error {
	t = t.asSecond(last)
	if err := writeSectors(disk, t.place, t.raw); err != nil {
		return err
	}
	if err := writeSectors(disk, t.here, t.encode()); err != nil {
		return err
	}
	return disk.Sync()
}

// writeFirst writes the first table. Its entries are on the disk before the header names them.
func (t table) writeFirst(disk frame.Device, last, place uint64) (table, error) {
	t = t.asFirst(last, place)
	if err := writeSectors(disk, t.place, t.raw); err != nil {
		return t, err
	}
	if err := disk.Sync(); err != nil {
		return t, err
	}
	if err := writeSectors(disk, t.here, t.encode()); err != nil {
		return t, err
	}
	return t, disk.Sync()
}
