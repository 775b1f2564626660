// Package gpt is the partition table of a register's disk: written when the disk is made, read again, and let grow
// when the disk proves to be larger than the image that was flashed.
//
// The format is GPT as in the UEFI Specification 2.10, chapter 5, with sectors of 512 bytes and 128 entries of 128:
//
//	sector 0               protective MBR
//	sector 1               first header
//	sectors 2–33 or 40–71  its entries; the header says where
//	1 MiB …                partitions, at whole MiB
//	last 33 sectors        entries again, second header
//
// Two places for the first entries, so that the first table changes by the one sector of its header: the kernel takes
// the second table only when it is told to on its command line, so the first must be whole at every instant.
//
// It is not a partition editor: it makes no table of unlike entries, moves nothing and shrinks nothing. It knows of no
// device; disks are handed in. The rule that keeps it small: what its own writer would not have written, it refuses.
package gpt

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"github.com/choba-os/choba/image/layout"
)

const (
	entries     = 128
	entrySize   = 128
	tableBlocks = entries * entrySize / layout.Sector
	firstUsable = layout.Align / layout.Sector
	maxName     = 36 // UTF-16 units
)

// Entry is a partition as it stands on a disk. Start and Size are in bytes.
type Entry struct {
	Name, Type, GUID string
	Start, Size      int64
}

// end is where the last partition of a disk of this size ends at most.
func end(size int64) int64 {
	return (size/layout.Sector - tableBlocks - 1) * layout.Sector / layout.Align * layout.Align
}

// Place lays the partitions out on a disk of the given size.
func Place(parts []layout.Partition, size int64) ([]Entry, error) {
	end, at := end(size), int64(layout.Align)
	var out []Entry
	for i, p := range parts {
		e := Entry{p.Name, p.Type, p.GUID, at, p.Size}
		if p.Size == 0 && i == len(parts)-1 {
			e.Size = end - at
		}
		if e.Size <= 0 || e.Size%layout.Align != 0 || at+e.Size > end {
			return nil, fmt.Errorf("laying out the disk: partition %s: %d bytes at %d do not fit into %d", p.Name, e.Size, at, size)
		}
		out = append(out, e)
		at += e.Size
	}
	return out, nil
}

// Write writes the protective MBR and both tables.
func Write(w io.WriterAt, size int64, guid string, parts []Entry) error {
	t := table{raw: make([]byte, entries*entrySize)}
	if len(parts) > entries {
		return fmt.Errorf("writing partition table: %d partitions", len(parts))
	}
	for i, e := range parts {
		if err := e.encode(t.raw[i*entrySize:]); err != nil {
			return fmt.Errorf("writing partition table: %s: %w", e.Name, err)
		}
	}
	id, err := guidBytes(guid)
	if err != nil {
		return fmt.Errorf("writing partition table: %w", err)
	}
	t.id = [16]byte(id)
	last := lastSector(size)
	second := t.asSecond(last)
	for _, part := range []struct {
		lba  uint64
		data []byte
	}{{0, protectiveMBR(last)}, {1, t.asFirst(last, place1).encode()}, {place1, t.raw}, {second.place, t.raw}, {last, second.encode()}} {
		if err := writeSectors(w, part.lba, part.data); err != nil {
			return fmt.Errorf("writing partition table: %w", err)
		}
	}
	return nil
}

func lastSector(size int64) uint64 { return uint64(size/layout.Sector) - 1 }

func writeSectors(w io.WriterAt, lba uint64, data []byte) error {
	_, err := w.WriteAt(data, int64(lba)*layout.Sector)
	return err
}

func protectiveMBR(last uint64) []byte {
	b := make([]byte, layout.Sector)
	copy(b[446:], []byte{0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0})
	binary.LittleEndian.PutUint32(b[458:], uint32(min(last, 0xffffffff)))
	b[510], b[511] = 0x55, 0xaa
	return b
}

func (e Entry) encode(b []byte) error {
	kind, err := guidBytes(e.Type)
	if err != nil {
		return err
	}
	id, err := guidBytes(e.GUID)
	if err != nil {
		return err
	}
	name := utf16.Encode([]rune(e.Name))
	if len(name) > maxName {
		return errors.New("name is too long")
	}
	copy(b, kind)
	copy(b[16:], id)
	binary.LittleEndian.PutUint64(b[32:], uint64(e.Start/layout.Sector))
	binary.LittleEndian.PutUint64(b[40:], uint64((e.Start+e.Size)/layout.Sector-1))
	for i, u := range name {
		binary.LittleEndian.PutUint16(b[56+2*i:], u)
	}
	return nil
}

func decodeEntry(b []byte) Entry {
	le := binary.LittleEndian
	var name []uint16
	for i := range maxName {
		u := le.Uint16(b[56+2*i:])
		if u == 0 {
			break
		}
		name = append(name, u)
	}
	start, end := int64(le.Uint64(b[32:])), int64(le.Uint64(b[40:]))+1
	return Entry{
		Name: string(utf16.Decode(name)), Type: guidText(b), GUID: guidText(b[16:]),
		Start: start * layout.Sector, Size: (end - start) * layout.Sector,
	}
}

// guidBytes turns a GUID's text into its mixed-endian form (UEFI appendix A).
func guidBytes(text string) ([]byte, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != 16 || len(text) != 36 {
		return nil, fmt.Errorf("GUID %q", text)
	}
	swap(b)
	return b, nil
}

func guidText(b []byte) string {
	c := append([]byte(nil), b[:16]...)
	swap(c)
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", c[:4], c[4:6], c[6:8], c[8:10], c[10:]))
}

func swap(b []byte) {
	b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
	b[4], b[5], b[6], b[7] = b[5], b[4], b[7], b[6]
}
