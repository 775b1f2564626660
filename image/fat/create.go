package fat

import (
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
	// maxName keeps all slots of a name inside one sector of 512 bytes.
	maxName = 13 * 15
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
	plan, err := s.plan(folder, b, slots)
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
	setSlot(plan.short, pieces[0].first, n)
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

// plan is what is written into a folder, sector by sector, with a flush after each. Only the last one is seen.
type plan struct {
	sectors []planned
	short   []byte // the short slot, inside one of them
}

type planned struct {
	at   int64
	data []byte
}

// plan finds a gap for the slots inside one sector of the folder: among deleted slots, behind the last one, or at the
// beginning of the sector after that. The folder is never made longer.
func (s *survey) plan(folder location, b, slots []byte) (plan, error) {
	per, need := int(s.g.sector/slotSize), len(slots)/slotSize
	end := 0
	for end*slotSize < len(b) && b[end*slotSize] != slotEnd {
		end++
	}
	total := len(b) / slotSize
	at, gap := -1, 0
	for i := 0; i < end && at < 0; i++ {
		if i%per == 0 || b[i*slotSize] != slotFree {
			gap = 0
		}
		if b[i*slotSize] == slotFree {
			gap++
		}
		if gap == need {
			at = i - need + 1
		}
	}
	if at < 0 {
		at = end
		if end%per+need > per {
			at = (end/per + 1) * per
		}
	}
	if at+need > total {
		return plan{}, fmt.Errorf("%w: the folder has no gap for a name of %d slots", ErrFull, need)
	}
	return s.sectors(folder, b, slots, at, end)
}

// sectors turns a gap into the writes that fill it.
func (s *survey) sectors(folder location, b, slots []byte, at, end int) (plan, error) {
	per, need := int(s.g.sector/slotSize), len(slots)/slotSize
	var p plan
	sector := func(first int, change func(data []byte)) error {
		where, err := s.slotAt(folder, first)
		if err != nil {
			return err
		}
		data := append([]byte(nil), b[first*slotSize:(first+per)*slotSize]...)
		change(data)
		p.sectors = append(p.sectors, planned{where, data})
		return nil
	}
	// What lies behind the end may be anything; it must go on being behind the end.
	if next := at + need; at >= end && next%per == 0 && next*slotSize < len(b) && b[next*slotSize] != slotEnd {
		if err := sector(next, func(d []byte) { clear(d[:slotSize]) }); err != nil {
			return p, err
		}
	}
	first := at / per * per
	if err := sector(first, func(d []byte) {
		copy(d[(at-first)*slotSize:], slots)
		if at >= end && (at+need)%per != 0 {
			clear(d[(at-first+need)*slotSize:][:slotSize])
		}
		p.short = d[(at-first+need-1)*slotSize:][:slotSize]
	}); err != nil {
		return p, err
	}
	if at > end { // the slots between become deleted ones, and what follows is seen
		from := end / per * per
		return p, sector(from, func(d []byte) {
			for i := end; i < at; i++ {
				clear(d[(i-from)*slotSize:][:slotSize])
				d[(i-from)*slotSize] = slotFree
			}
		})
	}
	return p, nil
}

// carry writes a plan.
func (s *survey) carry(p plan) error {
	for _, w := range p.sectors {
		if _, err := s.d.WriteAt(w.data, w.at); err != nil {
			return err
		}
		if err := s.d.Sync(); err != nil {
			return err
		}
	}
	return nil
}
