package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/choba-os/choba/image/frame"
)

// createdDate is 1 January 2020: there is no clock here that could be believed.
const createdDate = (2020-1980)<<9 | 1<<5 | 1

const (
	attrArchive = 0x20
	shortUpper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	longASCII   = shortUpper + "abcdefghijklmnopqrstuvwxyz. ()+,;=[]!#$%&'@^`{}~"
	// atomic is how many slots the disk writes whole or not at all, whatever the volume calls a sector.
	atomic = bootSize / slotSize
	// maxName keeps all slots of a name inside one sector of the disk.
	maxName = 13 * (atomic - 1)
)

// Create adds a file of n bytes to a folder that is there. Clusters that nothing refers to are left alone: the volume
// is somebody's stick. The name is plain ASCII. Errors: ErrExists, ErrMissing (the folder), ErrName, ErrFull (also a
// folder without a gap), ErrDamaged, ErrNotFAT, ErrUntidy, or the disk's.
func Create(d frame.Device, size int64, path string, content io.Reader, n int64) error {
	if err := create(d, size, path, content, n); err != nil {
		return fmt.Errorf("creating %q: %w", path, err)
	}
	return nil
}

func create(d frame.Device, size int64, path string, content io.Reader, n int64) error {
	dir, name := split(path)
	if len(name) > maxName || strings.Trim(name, longASCII) != "" || strings.Trim(name, ". ") != name || name == "" {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	s, err := look(d, size)
	if err != nil {
		return err
	}
	folder, err := s.v.walk(dir)
	if err != nil {
		return err
	}
	b, err := s.v.folder(folder)
	if err != nil {
		return err
	}
	for _, n := range parseFolder(s.g.kind, b) {
		if n.is(name) {
			return ErrExists
		}
	}
	slots, err := nameSlots(name, b)
	if err != nil {
		return err
	}
	at, end, err := gap(b, len(slots)/slotSize)
	if err != nil {
		return err
	}
	if err := s.hint(unknown, unknown); err != nil {
		return err
	}
	pieces, err := s.bring(content, n)
	if err != nil {
		return err
	}
	setSlot(slots[len(slots)-slotSize:], pieces[0].first, n)
	plan, err := s.plan(folder, b, slots, at, end)
	if err != nil {
		return err
	}
	if err := s.carry(plan); err != nil {
		return err
	}
	if err := s.finish(); err != nil {
		return fmt.Errorf("%w: %w", ErrUntidy, err)
	}
	return nil
}

// nameSlots are the slots of a new file in a folder: those of its long name, if it needs one, then the short one, still
// without clusters.
func nameSlots(name string, folder []byte) ([]byte, error) {
	short, plain := plainShort(name)
	if !plain {
		var err error
		if short, err = freeShort(name, folder); err != nil {
			return nil, err
		}
	}
	slot := make([]byte, slotSize)
	copy(slot, short)
	slot[11] = attrArchive
	binary.LittleEndian.PutUint16(slot[16:], createdDate)
	binary.LittleEndian.PutUint16(slot[18:], createdDate)
	binary.LittleEndian.PutUint16(slot[24:], createdDate)
	if plain {
		return slot, nil
	}
	return append(longSlots(name, short), slot...), nil
}

// plainShort is the name as a short slot has it, when that says all of it.
func plainShort(name string) (short string, ok bool) {
	base, suffix, dot := strings.Cut(name, ".")
	ok = base != "" && len(base) <= 8 && len(suffix) <= 3 && dot == (suffix != "") && strings.Trim(base+suffix, shortUpper) == ""
	return fmt.Sprintf("%-8s%-3s", base, suffix), ok
}

// freeShort makes a short name that nothing else in the folder has.
func freeShort(name string, folder []byte) (string, error) {
	taken := map[string]bool{}
	for i := 0; i+slotSize <= len(folder) && folder[i] != slotEnd; i += slotSize {
		taken[string(folder[i:i+11])] = true
	}
	keep := func(s string, most int) string {
		s = strings.Map(func(r rune) rune {
			if !strings.ContainsRune(shortUpper, r) {
				return -1
			}
			return r
		}, strings.ToUpper(s))
		return s[:min(len(s), most)]
	}
	base, suffix := name, ""
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		base, suffix = name[:i], keep(name[i+1:], 3)
	}
	for n := 1; n < 100_000; n++ {
		tail := fmt.Sprintf("~%d", n)
		short := fmt.Sprintf("%-8s%-3s", keep(base, 8-len(tail))+tail, suffix)
		if !taken[short] {
			return short, nil
		}
	}
	return "", fmt.Errorf("%w: too many files with names like %q", ErrFull, name)
}

// longSlots are the slots of a long name, last part first.
func longSlots(name, short string) []byte {
	count := (len(name) + longUnits - 1) / longUnits
	units := make([]uint16, count*longUnits)
	for i := range units {
		switch {
		case i < len(name):
			units[i] = uint16(name[i]) // plain ASCII
		case i > len(name):
			units[i] = 0xffff
		}
	}
	sum := sumOf([]byte(short))
	var out []byte
	for number := count; number > 0; number-- {
		s := make([]byte, slotSize)
		s[0], s[11], s[13] = byte(number), attrLong, sum
		if number == count {
			s[0] |= longLast
		}
		part := units[(number-1)*longUnits:]
		for _, field := range [][]byte{s[1:11], s[14:26], s[28:32]} {
			for ; len(field) > 0; field = field[2:] {
				binary.LittleEndian.PutUint16(field, part[0])
				part = part[1:]
			}
		}
		out = append(out, s...)
	}
	return out
}

// gap finds room for some slots inside one of the disk's sectors: among deleted slots, behind the last one, or at the
// beginning of the sector after that. end is where the folder ends. The folder is never made longer.
func gap(b []byte, need int) (at, end int, err error) {
	for end*slotSize < len(b) && b[end*slotSize] != slotEnd {
		end++
	}
	at = -1
	for i, wide := 0, 0; i < end && at < 0; i++ {
		if i%atomic == 0 || b[i*slotSize] != slotFree {
			wide = 0
		}
		if b[i*slotSize] == slotFree {
			wide++
		}
		if wide == need {
			at = i - need + 1
		}
	}
	if at < 0 {
		at = end
		if end%atomic+need > atomic {
			at = (end/atomic + 1) * atomic
		}
	}
	if at+need > len(b)/slotSize {
		return 0, 0, fmt.Errorf("%w: the folder has no gap for a name of %d slots", ErrFull, need)
	}
	return at, end, nil
}

// planned is a sector of the volume as it is written into a folder.
type planned struct {
	at   int64
	data []byte
}

// plan turns a gap into the writes that fill it, in their order. Each changes one of the disk's sectors, and what the
// last one changes is seen. The folder's bytes b become those of afterwards.
func (s *survey) plan(folder location, b, slots []byte, at, end int) (p []planned, err error) {
	per, need := int(s.g.sector/slotSize), len(slots)/slotSize
	sector := func(first int, change func(part []byte)) error {
		change(b[first*slotSize:][:bootSize])
		whole := first / per * per
		where, err := s.slotAt(folder, whole)
		p = append(p, planned{where, bytes.Clone(b[whole*slotSize:][:s.g.sector])})
		return err
	}
	// What lies behind the end may be anything; it must go on being behind the end.
	if next := at + need; at >= end && next%atomic == 0 && next*slotSize < len(b) && b[next*slotSize] != slotEnd {
		if err := sector(next, func(d []byte) { clear(d[:slotSize]) }); err != nil {
			return p, err
		}
	}
	first := at / atomic * atomic
	if err := sector(first, func(d []byte) {
		copy(d[(at-first)*slotSize:], slots)
		if at >= end && (at+need)%atomic != 0 {
			clear(d[(at-first+need)*slotSize:][:slotSize])
		}
	}); err != nil {
		return p, err
	}
	if at > end { // the slots between become deleted ones, and what follows is seen
		from := end / atomic * atomic
		return p, sector(from, func(d []byte) {
			for i := end; i < at; i++ {
				clear(d[(i-from)*slotSize:][:slotSize])
				d[(i-from)*slotSize] = slotFree
			}
		})
	}
	return p, nil
}

// carry writes a plan, with a flush after each sector.
func (s *survey) carry(p []planned) error {
	for _, w := range p {
		if _, err := s.d.WriteAt(w.data, w.at); err != nil {
			return err
		}
		if err := s.d.Sync(); err != nil {
			return err
		}
	}
	return nil
}
