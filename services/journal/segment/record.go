// Package segment is the files in which the log lies: records one after another in a file of fixed size that was
// filled with zeros beforehand. docs/formats/journal.md is the format's page.
//
// A record is sixteen bytes and a body; numbers have 32 bits, little end first:
//
//	 0  F5 43 4A  marks a record; F5 is never in UTF-8 text, so no body of ours can look like one
//	 3  kind      'H' head of the segment, 'E' entry, 'C' checkpoint
//	 4  length    of the body
//	 8  begin     where the commit that the record belongs to begins in the file
//	12  sum       CRC-32C over kind, length, begin and body
//
// A segment is commits: one or more entries and the checkpoint that covers them; the first has the segment's head
// before its entries. What lies after the last checkpoint is zeros, or was never acknowledged.
//
// The sum finds accidents and tells a torn write from a whole one; against people there are the tree and the
// signatures, which are not this package's business. The rule that keeps it small: bytes and places, no meaning.
package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Kind says what a record's body is.
type Kind byte

// The kinds of record.
const (
	KindHead       Kind = 'H'
	KindEntry      Kind = 'E'
	KindCheckpoint Kind = 'C'
)

func (k Kind) String() string {
	switch k {
	case KindHead:
		return "head"
	case KindEntry:
		return "entry"
	case KindCheckpoint:
		return "checkpoint"
	}
	return fmt.Sprintf("kind %#02x", byte(k))
}

// Sizes of records.
const (
	HeadBytes = 16        // before a record's body
	MaxBody   = 128 << 10 // of a record
	MaxRecord = HeadBytes + MaxBody
)

var mark = []byte{0xF5, 0x43, 0x4A}

// Record is one record; Body is not copied.
type Record struct {
	Kind  Kind
	Begin int64 // offset of its commit
	Body  []byte
}

// Len is the number of bytes that the record takes.
func (r Record) Len() int64 { return HeadBytes + int64(len(r.Body)) }

// What can be wrong with a record.
var (
	ErrMark   = errors.New("no record begins here")
	ErrKind   = errors.New("the record's kind is not known")
	ErrLength = errors.New("the record's length is absurd")
	ErrShort  = errors.New("the record goes on behind the end of the file")
	ErrSum    = errors.New("the record's checksum is wrong")
	ErrBegin  = errors.New("the record belongs to another commit")
)

// Append writes a record behind b. A body longer than MaxBody is the caller's fault.
func Append(b []byte, r Record) []byte {
	if len(r.Body) == 0 || len(r.Body) > MaxBody || !known(r.Kind) || r.Begin < 0 || r.Begin > MaxBytes {
		panic(fmt.Sprintf("segment: a %v of %d bytes in a commit at %d", r.Kind, len(r.Body), r.Begin))
	}
	b = append(b, mark...)
	b = append(b, byte(r.Kind))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.Body)))
	b = binary.LittleEndian.AppendUint32(b, uint32(r.Begin))
	b = binary.LittleEndian.AppendUint32(b, sum(b[len(b)-9:], r.Body))
	return append(b, r.Body...)
}

// Parse reads the record at the beginning of b.
func Parse(b []byte) (Record, error) {
	kind, length, err := parseHead(b)
	if err != nil {
		return Record{}, err
	}
	if len(b) < HeadBytes+length {
		return Record{}, ErrShort
	}
	body := b[HeadBytes : HeadBytes+length]
	if binary.LittleEndian.Uint32(b[12:]) != sum(b[3:12], body) {
		return Record{}, ErrSum
	}
	return Record{Kind: kind, Begin: int64(binary.LittleEndian.Uint32(b[8:])), Body: body}, nil
}

func parseHead(b []byte) (kind Kind, length int, err error) {
	if len(b) < HeadBytes {
		return 0, 0, ErrShort
	}
	if b[0] != mark[0] || b[1] != mark[1] || b[2] != mark[2] {
		return 0, 0, ErrMark
	}
	if !known(Kind(b[3])) {
		return 0, 0, ErrKind
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if n == 0 || n > MaxBody || binary.LittleEndian.Uint32(b[8:]) > MaxBytes {
		return 0, 0, ErrLength
	}
	return Kind(b[3]), int(n), nil
}

func known(k Kind) bool { return k == KindHead || k == KindEntry || k == KindCheckpoint }

func sum(head, body []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli) // kept by the package, not made anew
	return crc32.Update(crc32.Update(0, table, head), table, body)
}
