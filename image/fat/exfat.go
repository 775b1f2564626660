package fat

import (
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf16"
)

// exFAT (Microsoft's exFAT file system specification, 1.00), for reading: large sticks come with it.
const (
	exfatBootSectors = 12 // the last of them holds the checksum of the others
	// maxExfatCluster bounds what is read of a folder at once; 32 MiB would be legal, 128 KiB is what 64 GB sticks have.
	maxExfatCluster = 1 << 20

	exfatEnd    = 0x00
	exfatInUse  = 0x80
	exfatFile   = 0x85
	exfatStream = 0xc0
	exfatName   = 0xc1
	exfatUnits  = 15 // UTF-16 units in one name slot
	exfatMost   = 18 // secondary slots of a file with the longest name

	exfatPossible = 0x01 // there are clusters
	exfatNoChain  = 0x02 // and they follow each other
)

// exfatGeometry reads section 3.1's boot sector and checks the boot region's checksum.
func exfatGeometry(r io.ReaderAt, b []byte, size int64) (geometry, error) {
	le := binary.LittleEndian
	sectorShift, clusterShift, tables := int(b[108]), int(b[109]), int64(b[110])
	if sectorShift < 9 || sectorShift > 12 || int64(1)<<min(sectorShift+clusterShift, 62) > maxExfatCluster || tables < 1 || tables > 2 {
		return geometry{}, fmt.Errorf("%w: exFAT with sectors of 2^%d and clusters of 2^%d sectors", ErrNotFAT, sectorShift, clusterShift)
	}
	g := geometry{kind: exfat, sector: 1 << sectorShift, cluster: 1 << (sectorShift + clusterShift), clusters: le.Uint32(b[92:]),
		root: location{first: le.Uint32(b[96:])}, active: int(le.Uint16(b[106:]) & 1)}
	sectors, table, length, heap := le.Uint64(b[72:]), int64(le.Uint32(b[80:])), int64(le.Uint32(b[84:])), int64(le.Uint32(b[88:]))
	g.data = heap * g.sector
	for i := range tables {
		g.tables = append(g.tables, (table+i*length)*g.sector)
	}
	switch {
	case sectors > uint64(size)/uint64(g.sector):
		return geometry{}, fmt.Errorf("%w: its head says %d sectors, there are %d bytes", ErrDamaged, sectors, size)
	case g.clusters == 0 || g.clusters > maxCluster32 || g.active >= len(g.tables) || !g.valid(g.root.first):
		return geometry{}, fmt.Errorf("%w: %d clusters, root in %d", ErrDamaged, g.clusters, g.root.first)
	case table < 2*exfatBootSectors || (int64(g.last())+1)*4 > length*g.sector || table+tables*length > heap:
		return geometry{}, fmt.Errorf("%w: tables of %d sectors at %d", ErrDamaged, length, table)
	case g.data+int64(g.clusters)*g.cluster > int64(sectors)*g.sector:
		return geometry{}, fmt.Errorf("%w: %d clusters at %d leave the volume", ErrDamaged, g.clusters, g.data)
	}
	return g, g.bootChecksum(r)
}

// bootChecksum compares the checksum of the boot region (section 3.4).
func (g geometry) bootChecksum(r io.ReaderAt) error {
	b := make([]byte, exfatBootSectors*g.sector)
	if _, err := r.ReadAt(b, 0); err != nil {
		return err
	}
	end, sum := len(b)-int(g.sector), uint32(0)
	for i, c := range b[:end] {
		if i != 106 && i != 107 && i != 112 { // flags and fill level change
			sum = sum>>1 | sum<<31
			sum += uint32(c)
		}
	}
	for i := end; i < len(b); i += 4 {
		if binary.LittleEndian.Uint32(b[i:]) != sum {
			return fmt.Errorf("%w: the checksum of the boot region does not fit", ErrDamaged)
		}
	}
	return nil
}

// exfatEntry brings a table's value into FAT32's form.
func exfatEntry(n uint32) uint32 {
	switch {
	case n == 0xffffffff:
		return endMark
	case n >= badCluster:
		return badCluster
	}
	return n
}

// parseExfat reads the slots of a whole folder. A set of slots whose checksum does not fit is left out.
func parseExfat(b []byte) []node {
	var out []node
	for i := 0; (i+1)*slotSize <= len(b) && b[i*slotSize] != exfatEnd; i++ {
		s := b[i*slotSize:]
		count := int(s[1])
		if s[0] != exfatFile || count < 2 || count > exfatMost || len(s) < (count+1)*slotSize {
			continue
		}
		if n, ok := exfatSet(s[:(count+1)*slotSize]); ok {
			n.slot = i
			out = append(out, n)
			i += count
		}
	}
	return out
}

// exfatSet reads the slots of one file: its own, where it lies, its name.
func exfatSet(s []byte) (node, bool) {
	le := binary.LittleEndian
	stream := s[slotSize : 2*slotSize]
	length := int(stream[3])
	if exfatSum(s) != le.Uint16(s[2:]) || stream[0] != exfatStream || length == 0 || length > (len(s)/slotSize-2)*exfatUnits {
		return node{}, false
	}
	var units []uint16
	for at := 2 * slotSize; at < len(s); at += slotSize {
		if s[at] != exfatName {
			break
		}
		for u := at + 2; u < at+slotSize; u += 2 {
			units = append(units, le.Uint16(s[u:]))
		}
	}
	if len(units) < length {
		return node{}, false
	}
	flags, size, valid := stream[1], le.Uint64(stream[24:]), le.Uint64(stream[8:])
	if size > 1<<62 || valid > size {
		return node{}, false
	}
	n := node{long: fit(string(utf16.Decode(units[:length]))), dir: le.Uint16(s[4:])&attrDir != 0}
	n.size, n.unset = int64(size), int64(size-valid)
	if flags&exfatPossible != 0 {
		n.where = location{first: le.Uint32(stream[20:]), whole: flags&exfatNoChain != 0}
	}
	if n.dir {
		n.where.size, n.size = n.size, 0
	}
	return n, true
}

// exfatSum is the checksum of a set of slots (section 6.3.3).
func exfatSum(s []byte) (sum uint16) {
	for i, c := range s {
		if i != 2 && i != 3 {
			sum = sum>>1 | sum<<15
			sum += uint16(c)
		}
	}
	return sum
}
