package fat

import (
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A folder's slots (Microsoft's specification 1.03, sections 6 and 7).
const (
	attrVolume = 0x08
	attrDir    = 0x10
	attrLong   = 0x0f
	attrMask   = 0x3f

	slotEnd     = 0x00
	slotFree    = 0xe5
	slotKanji   = 0x05 // stands for a first byte 0xe5
	longLast    = 0x40
	longUnits   = 13 // UTF-16 units in one slot
	maxLong     = 20 // slots of one name
	lowerBase   = 0x08
	lowerSuffix = 0x10

	// maxSlots is what the specification allows in one folder: 2 MiB.
	maxSlots = 65536
)

// node is one file or folder as its folder has it.
type node struct {
	long, short string // either may be empty
	dir         bool
	size        int64
	unset       int64 // exFAT: bytes at its end that were never written and read as zeros
	where       location
	slot        int  // the number of its short slot in the folder
	dots        bool // "." or ".."
}

// name is what a person sees; empty when nothing that could be shown is there.
func (n node) name() string {
	if n.long != "" {
		return n.long
	}
	return n.short
}

// is tells whether the entry goes by that name.
func (n node) is(name string) bool {
	return n.long != "" && strings.EqualFold(n.long, name) || n.short != "" && strings.EqualFold(n.short, name)
}

// parseFolder reads the slots of a whole folder. Slots that make no sense are left out; what they would have named
// cannot be reached.
func parseFolder(k kind, b []byte) []node {
	var out []node
	var long longName
	for i := 0; (i+1)*slotSize <= len(b); i++ {
		s := b[i*slotSize:][:slotSize]
		if s[0] == slotEnd {
			break
		}
		switch attr := s[11] & attrMask; {
		case s[0] == slotFree:
			long = longName{}
		case attr == attrLong:
			long.add(s)
		case attr&attrVolume != 0:
			long = longName{}
		default:
			n := node{long: long.text(s[:11]), short: shortName(s), dir: attr&attrDir != 0, slot: i}
			n.where.first = uint32(binary.LittleEndian.Uint16(s[26:]))
			if k == fat32 {
				n.where.first |= uint32(binary.LittleEndian.Uint16(s[20:])&0x0fff) << 16
			}
			n.dots = s[0] == '.'
			if !n.dir {
				n.size = int64(binary.LittleEndian.Uint32(s[28:]))
			}
			out, long = append(out, n), longName{}
		}
	}
	return out
}

// longName gathers the slots of one long name, which come last part first.
type longName struct {
	units []uint16
	next  int // the number that the next slot must have; 0: nothing gathered, or complete
	sum   byte
	whole bool
}

func (l *longName) add(s []byte) {
	number := int(s[0] &^ longLast)
	switch {
	case s[0]&longLast != 0 && number >= 1 && number <= maxLong:
		*l = longName{units: make([]uint16, number*longUnits), next: number, sum: s[13]}
	case l.next == 0 || number != l.next || s[13] != l.sum:
		*l = longName{}
		return
	}
	if l.next == 0 {
		return
	}
	part := l.units[(number-1)*longUnits:][:0]
	for _, field := range [][]byte{s[1:11], s[14:26], s[28:32]} {
		for ; len(field) > 0; field = field[2:] {
			part = append(part, binary.LittleEndian.Uint16(field))
		}
	}
	l.next--
	l.whole = l.next == 0
}

// text is the long name that belongs to this short one, or empty.
func (l *longName) text(short []byte) string {
	if !l.whole || l.sum != sumOf(short) {
		return ""
	}
	units := l.units
	for i, u := range units {
		if u == 0 {
			units = units[:i]
			break
		}
	}
	return fit(string(utf16.Decode(units)))
}

// sumOf is the checksum of a short name in the slots of its long one.
func sumOf(short []byte) (sum byte) {
	for _, c := range short[:11] {
		sum = sum>>1 | sum<<7
		sum += c
	}
	return sum
}

// fit returns a name as it is, or empty when no system would make it.
func fit(name string) string {
	if name == "" || name == "." || name == ".." || utf8.RuneCountInString(name) > 255 {
		return ""
	}
	for _, r := range name {
		if r == utf8.RuneError || !unicode.IsPrint(r) && !unicode.In(r, unicode.Zs) || strings.ContainsRune(`"*/:<>?\|`, r) {
			return ""
		}
	}
	return name
}

// shortName reads the name of a short slot; empty when it is not plain ASCII (it is in a code page that nobody named
// then, and has a long name beside it).
func shortName(s []byte) string {
	base, suffix := strings.TrimRight(string(s[:8]), " "), strings.TrimRight(string(s[8:11]), " ")
	if base == "" || strings.ContainsAny(base+suffix, " \"*+,./:;<=>?[\\]|") {
		return ""
	}
	for _, c := range []byte(base + suffix) {
		if c < 0x20 || c > 0x7e {
			return ""
		}
	}
	if s[12]&lowerBase != 0 {
		base = strings.ToLower(base)
	}
	if s[12]&lowerSuffix != 0 {
		suffix = strings.ToLower(suffix)
	}
	if suffix == "" {
		return base
	}
	return base + "." + suffix
}
