package fat

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The kinds of volume.
type kind int

const (
	fat12 kind = 12
	fat16 kind = 16
	fat32 kind = 32
	exfat kind = 64
)

func (k kind) String() string {
	if k == exfat {
		return "exFAT"
	}
	return fmt.Sprintf("FAT%d", int(k))
}

// geometry is where things lie on a volume, in bytes from its beginning.
type geometry struct {
	kind     kind
	sector   int64    // bytes
	cluster  int64    // bytes
	clusters uint32   // their number; the first is number 2
	tables   []int64  // the allocation tables: one or two
	active   int      // the table that counts
	mirrored bool     // both tables are kept alike
	root     location // the root folder
	data     int64    // cluster 2
	info     int64    // the free-cluster hint of FAT32, 0 without one
}

// location is where a file or folder lies: in clusters, or (the root of FAT12 and FAT16) in one place.
type location struct {
	first uint32 // cluster; 0 when at and size say it
	at    int64  // 0 when it is in clusters
	size  int64
	whole bool // exFAT: the clusters follow each other, the table has no word of it
}

const (
	firstCluster = 2
	bootSize     = 512
	slotSize     = 32
	// maxCluster is what Windows makes at most; exFAT allows more.
	maxCluster      = 64 << 10
	maxCluster12    = 4084
	maxCluster16    = 65524
	maxCluster32    = 0x0ffffff5
	mirrorOff       = 0x80
	infoSignature1  = 0x41615252
	infoSignature2  = 0x61417272
	infoSignature3  = 0xaa550000
	bootSignatureAt = 510
)

// readGeometry reads and checks the head of a volume of size bytes (Microsoft's specification 1.03, section 3).
func readGeometry(r io.ReaderAt, size int64) (geometry, error) {
	b := make([]byte, bootSize)
	if size < bootSize {
		return geometry{}, fmt.Errorf("%w: %d bytes", ErrNotFAT, size)
	}
	if _, err := r.ReadAt(b, 0); err != nil {
		return geometry{}, err
	}
	if b[bootSignatureAt] != 0x55 || b[bootSignatureAt+1] != 0xaa {
		return geometry{}, fmt.Errorf("%w: no boot sector", ErrNotFAT)
	}
	switch string(b[3:11]) {
	case "EXFAT   ":
		return exfatGeometry(r, b, size)
	case "NTFS    ":
		return geometry{}, fmt.Errorf("%w: it is NTFS", ErrNotFAT)
	}
	return fatGeometry(r, b, size)
}

func fatGeometry(r io.ReaderAt, b []byte, size int64) (geometry, error) {
	le := binary.LittleEndian
	g := geometry{sector: int64(le.Uint16(b[11:])), mirrored: true}
	perCluster, reserved, copies, slots := int64(b[13]), int64(le.Uint16(b[14:])), int64(b[16]), int64(le.Uint16(b[17:]))
	sectors, tableSectors := int64(le.Uint16(b[19:])), int64(le.Uint16(b[22:]))
	if sectors == 0 {
		sectors = int64(le.Uint32(b[32:]))
	}
	wide := tableSectors == 0
	if wide {
		tableSectors = int64(le.Uint32(b[36:]))
	}
	g.cluster = perCluster * g.sector
	rootSectors := int64(0)
	switch {
	case !power(g.sector, 512, 4096) || !power(perCluster, 1, 128) || g.cluster > maxCluster:
		return geometry{}, fmt.Errorf("%w: sectors of %d and clusters of %d bytes", ErrNotFAT, g.sector, g.cluster)
	case reserved == 0 || copies < 1 || copies > 2 || tableSectors == 0:
		return geometry{}, fmt.Errorf("%w: %d reserved sectors, %d tables of %d", ErrNotFAT, reserved, copies, tableSectors)
	case wide == (slots != 0) || slots*slotSize%g.sector != 0:
		return geometry{}, fmt.Errorf("%w: a root folder of %d entries", ErrNotFAT, slots)
	case sectors*g.sector > size:
		return geometry{}, fmt.Errorf("%w: its head says %d bytes, there are %d", ErrDamaged, sectors*g.sector, size)
	}
	rootSectors = slots * slotSize / g.sector
	first := reserved + copies*tableSectors + rootSectors
	count := (sectors - first) / perCluster
	if sectors <= first || count < 1 || count > maxCluster32 {
		return geometry{}, fmt.Errorf("%w: no room for files in %d sectors", ErrDamaged, sectors)
	}
	g.clusters, g.data = uint32(count), first*g.sector
	for i := range copies {
		g.tables = append(g.tables, (reserved+i*tableSectors)*g.sector)
	}
	g.root = location{at: g.data - rootSectors*g.sector, size: rootSectors * g.sector}
	switch {
	case wide:
		g.kind = fat32
		if err := g.wide(r, b, reserved); err != nil {
			return geometry{}, err
		}
	case count <= maxCluster12:
		g.kind = fat12
	case count <= maxCluster16:
		g.kind = fat16
	default:
		return geometry{}, fmt.Errorf("%w: %d clusters with short tables", ErrDamaged, count)
	}
	if (int64(g.last())+1)*int64(g.kind) > tableSectors*g.sector*8 {
		return geometry{}, fmt.Errorf("%w: a table of %d sectors for %d clusters", ErrDamaged, tableSectors, count)
	}
	return g, nil
}

// wide reads what only FAT32 has.
func (g *geometry) wide(r io.ReaderAt, b []byte, reserved int64) error {
	le := binary.LittleEndian
	flags, version := le.Uint16(b[40:]), le.Uint16(b[42:])
	g.root = location{first: le.Uint32(b[44:])}
	if version != 0 || !g.valid(g.root.first) {
		return fmt.Errorf("%w: version %#x, root in cluster %d", ErrDamaged, version, g.root.first)
	}
	if flags&mirrorOff != 0 {
		g.mirrored, g.active = false, int(flags&0xf)
		if g.active >= len(g.tables) {
			return fmt.Errorf("%w: table %d counts, there are %d", ErrDamaged, g.active, len(g.tables))
		}
	}
	at := int64(le.Uint16(b[48:]))
	if at == 0 || at >= reserved {
		return nil
	}
	info := make([]byte, bootSize)
	if _, err := r.ReadAt(info, at*g.sector); err != nil {
		return err
	}
	if le.Uint32(info) == infoSignature1 && le.Uint32(info[484:]) == infoSignature2 && le.Uint32(info[508:]) == infoSignature3 {
		g.info = at * g.sector
	}
	return nil
}

func power(n, least, most int64) bool { return n >= least && n <= most && n&(n-1) == 0 }

// last is the number of the last cluster.
func (g geometry) last() uint32 { return g.clusters + firstCluster - 1 }

func (g geometry) valid(c uint32) bool { return c >= firstCluster && c <= g.last() }

// clusterAt is where a valid cluster begins.
func (g geometry) clusterAt(c uint32) int64 { return g.data + int64(c-firstCluster)*g.cluster }

// entryAt is where a cluster's entry begins in a table.
func (g geometry) entryAt(c uint32) int64 {
	switch g.kind {
	case fat12:
		return int64(c) * 3 / 2
	case fat16:
		return int64(c) * 2
	}
	return int64(c) * 4
}
