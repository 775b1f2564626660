package authenticode

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Offsets of the PE/COFF specification, revision 11; optional header PE32+.
const (
	offsetPE       = 0x3c // in the DOS header: where the PE signature is
	coffSize       = 24   // signature and COFF header
	offsetSections = 6    // from the PE signature: number of sections
	offsetOptSize  = 20   // from the PE signature: size of the optional header
	magicPE32Plus  = 0x20b
	optHeaders     = 60  // in the optional header: size of all headers
	optChecksum    = 64  // in the optional header: checksum, 4 bytes
	optDirectories = 108 // in the optional header: number of directories
	optCertificate = 144 // in the optional header: certificate table, 8 bytes
	optNeeded      = optCertificate + 8
	certificateDir = 4
	sectionSize    = 40
)

// layout is where the hash's parts of a file are.
type layout struct {
	checksum  int // of the 4 bytes that are not hashed
	directory int // of the 8 bytes that are not hashed
	headers   int // size of all headers
	sections  []span
	hashed    int // end of headers and sections
	table     int // certificate table; the end of the file if there is none
	tableSize int
}

type span struct{ from, to int }

// parse finds the parts and refuses files whose parts overlap, leave gaps or
// reach outside: their hash would not cover every byte that gets loaded.
func parse(pe []byte) (layout, error) {
	le := binary.LittleEndian
	if len(pe) < offsetPE+4 || pe[0] != 'M' || pe[1] != 'Z' {
		return layout{}, errors.New("no DOS header")
	}
	if uint64(len(pe)) > 1<<31 {
		return layout{}, errors.New("larger than 2 GiB")
	}
	at := int(le.Uint32(pe[offsetPE:]))
	if at < offsetPE+4 || at > len(pe)-coffSize-optNeeded || string(pe[at:at+4]) != "PE\x00\x00" {
		return layout{}, errors.New("no PE header")
	}
	opt := at + coffSize
	if le.Uint16(pe[opt:]) != magicPE32Plus {
		return layout{}, errors.New("not a 64-bit PE file")
	}
	optSize := int(le.Uint16(pe[at+offsetOptSize:]))
	if optSize < optNeeded || le.Uint32(pe[opt+optDirectories:]) <= certificateDir {
		return layout{}, errors.New("no room for a certificate table")
	}
	l := layout{checksum: opt + optChecksum, directory: opt + optCertificate}
	l.headers = int(le.Uint32(pe[opt+optHeaders:]))
	count, first := int(le.Uint16(pe[at+offsetSections:])), opt+optSize
	if l.headers > len(pe) || first+count*sectionSize > l.headers {
		return layout{}, errors.New("headers are larger than they say")
	}
	if err := l.findTable(pe); err != nil {
		return layout{}, err
	}
	return l, l.findSections(pe[first : first+count*sectionSize])
}

func (l *layout) findTable(pe []byte) error {
	le := binary.LittleEndian
	l.table, l.tableSize = len(pe), 0
	at, size := int(le.Uint32(pe[l.directory:])), int(le.Uint32(pe[l.directory+4:]))
	if at == 0 && size == 0 {
		return nil
	}
	if at%alignment != 0 || at < l.headers || size < entryHeader || at+size != len(pe) {
		return fmt.Errorf("certificate table at %d, %d bytes, is not the end of the file", at, size)
	}
	l.table, l.tableSize = at, size
	return nil
}

func (l *layout) findSections(table []byte) error {
	le := binary.LittleEndian
	for ; len(table) > 0; table = table[sectionSize:] {
		size, from := int(le.Uint32(table[16:])), int(le.Uint32(table[20:]))
		if size > 0 {
			l.sections = append(l.sections, span{from, from + size})
		}
	}
	slices.SortFunc(l.sections, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	l.hashed = l.headers
	for _, s := range l.sections {
		if s.from != l.hashed {
			return fmt.Errorf("section at %d, but the part before it ends at %d", s.from, l.hashed)
		}
		l.hashed = s.to
	}
	if l.hashed > l.table {
		return fmt.Errorf("sections end at %d, behind the file's contents", l.hashed)
	}
	return nil
}

// hash covers, since parse allows no gaps, the file from end to end but for the
// two holes and the table, with zeros up to a multiple of 8.
func (l layout) hash(pe []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write(pe[:l.checksum])
	h.Write(pe[l.checksum+4 : l.directory])
	h.Write(pe[l.directory+8 : l.table])
	h.Write(make([]byte, pad(l.table)))
	return [sha256.Size]byte(h.Sum(nil))
}
