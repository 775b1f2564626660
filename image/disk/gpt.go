package disk

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"unicode/utf16"

	"github.com/choba-os/choba/image/layout"
)

// GPT as in the UEFI Specification 2.10, chapter 5: 128 entries of 128 bytes, one
// table behind the protective MBR and its twin at the end of the disk.
const (
	entries     = 128
	entrySize   = 128
	tableBlocks = entries * entrySize / layout.Sector
	gptHeader   = 92
	maxName     = 36 // UTF-16 units
)

// Entry is a partition as it stands on a disk. Start and Size are in bytes.
type Entry struct {
	Name, Type, GUID string
	Start, Size      int64
}

// Place lays the partitions out on a disk of the given size.
func Place(parts []layout.Partition, size int64) ([]Entry, error) {
	end := (size/layout.Sector - tableBlocks - 1) * layout.Sector / layout.Align * layout.Align
	at := int64(layout.Align)
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

// WriteGPT writes the protective MBR and both tables.
func WriteGPT(w io.WriterAt, size int64, guid string, parts []Entry) error {
	table := make([]byte, entries*entrySize)
	if len(parts) > entries {
		return fmt.Errorf("writing partition table: %d partitions", len(parts))
	}
	for i, e := range parts {
		if err := e.encode(table[i*entrySize:]); err != nil {
			return fmt.Errorf("writing partition table: %s: %w", e.Name, err)
		}
	}
	last := uint64(size/layout.Sector) - 1
	first, err := header(1, last, 2, guid, last, table)
	if err != nil {
		return fmt.Errorf("writing partition table: %w", err)
	}
	second, err := header(last, 1, last-tableBlocks, guid, last, table)
	if err != nil {
		return fmt.Errorf("writing partition table: %w", err)
	}
	for _, part := range []struct {
		lba  uint64
		data []byte
	}{{0, protectiveMBR(last)}, {1, first}, {2, table}, {last - tableBlocks, table}, {last, second}} {
		if _, err := w.WriteAt(part.data, int64(part.lba)*layout.Sector); err != nil {
			return fmt.Errorf("writing partition table: %w", err)
		}
	}
	return nil
}

func protectiveMBR(last uint64) []byte {
	b := make([]byte, layout.Sector)
	copy(b[446:], []byte{0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0})
	binary.LittleEndian.PutUint32(b[458:], uint32(min(last, 0xffffffff)))
	b[510], b[511] = 0x55, 0xaa
	return b
}

func header(here, other, table uint64, guid string, last uint64, entriesTable []byte) ([]byte, error) {
	b := make([]byte, layout.Sector)
	id, err := guidBytes(guid)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	copy(b, "EFI PART")
	le.PutUint32(b[8:], 0x00010000)
	le.PutUint32(b[12:], gptHeader)
	le.PutUint64(b[24:], here)
	le.PutUint64(b[32:], other)
	le.PutUint64(b[40:], 2+tableBlocks)
	le.PutUint64(b[48:], last-tableBlocks-1)
	copy(b[56:], id)
	le.PutUint64(b[72:], table)
	le.PutUint32(b[80:], entries)
	le.PutUint32(b[84:], entrySize)
	le.PutUint32(b[88:], crc32.ChecksumIEEE(entriesTable))
	le.PutUint32(b[16:], crc32.ChecksumIEEE(b[:gptHeader]))
	return b, nil
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

// ReadGPT reads the first table and compares it with its twin at the end of the
// disk. Any difference or wrong checksum is an error.
func ReadGPT(r io.ReaderAt, size int64) ([]Entry, error) {
	last := uint64(size/layout.Sector) - 1
	first, err := readTable(r, 1, last)
	if err != nil {
		return nil, fmt.Errorf("reading first partition table: %w", err)
	}
	second, err := readTable(r, last, 1)
	if err != nil {
		return nil, fmt.Errorf("reading second partition table: %w", err)
	}
	if string(first) != string(second) {
		return nil, errors.New("reading partition table: its two copies differ")
	}
	var out []Entry
	for i := range entries {
		b := first[i*entrySize:][:entrySize]
		if binary.LittleEndian.Uint64(b) == 0 && binary.LittleEndian.Uint64(b[8:]) == 0 {
			continue
		}
		out = append(out, decodeEntry(b))
	}
	return out, nil
}

func readTable(r io.ReaderAt, here, other uint64) ([]byte, error) {
	le := binary.LittleEndian
	h := make([]byte, layout.Sector)
	if _, err := r.ReadAt(h, int64(here)*layout.Sector); err != nil {
		return nil, err
	}
	if string(h[:8]) != "EFI PART" || le.Uint32(h[12:]) != gptHeader {
		return nil, errors.New("no GPT header")
	}
	sum := le.Uint32(h[16:])
	le.PutUint32(h[16:], 0)
	if crc32.ChecksumIEEE(h[:gptHeader]) != sum {
		return nil, errors.New("header checksum does not fit")
	}
	if le.Uint64(h[24:]) != here || le.Uint64(h[32:]) != other || le.Uint32(h[80:]) != entries || le.Uint32(h[84:]) != entrySize {
		return nil, errors.New("header is for another disk")
	}
	table := make([]byte, entries*entrySize)
	if _, err := r.ReadAt(table, int64(le.Uint64(h[72:]))*layout.Sector); err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(table) != le.Uint32(h[88:]) {
		return nil, errors.New("table checksum does not fit")
	}
	return table, nil
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
