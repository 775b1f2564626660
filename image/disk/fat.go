package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/choba-os/choba/image/layout"
)

// FAT32 (Microsoft's specification 1.03) with one file in it. Clusters are one
// sector, since FAT32 needs 65,525 of them and the partition is small; every
// folder takes one cluster; the file lies in one piece.
const (
	reservedMin = 32
	fatCopies   = 2
	minClusters = 65525
	dirEntry    = 32
	endOfChain  = 0x0fffffff
	attrDir     = 0x10
	attrArchive = 0x20
	attrLabel   = 0x08
	fixedDate   = (2020-1980)<<9 | 1<<5 | 1 // 1 January 2020, midnight
	volumeID    = 0xc0ba0001
	volumeLabel = "CHOBA ESP  "
	rootCluster = 2
	fsInfo      = 1 // sector numbers
	backupBoot  = 6
)

type fat struct {
	sectors, reserved, fatSize, clusters int64
	start                                int64 // of the partition on the disk, in sectors
}

func newFAT(start, size int64) (fat, error) {
	f := fat{sectors: size / layout.Sector, start: start / layout.Sector, reserved: reservedMin}
	f.fatSize = ((f.sectors-f.reserved)*4 + layout.Sector - 1) / layout.Sector
	// Let data begin on a whole block, so that flash writes are not split.
	const perBlock = layout.Block / layout.Sector
	f.reserved += -(f.reserved + fatCopies*f.fatSize) & (perBlock - 1)
	f.clusters = f.sectors - f.reserved - fatCopies*f.fatSize
	if f.clusters < minClusters || (f.clusters+2)*4 > f.fatSize*layout.Sector {
		return f, fmt.Errorf("making FAT32: %d bytes do not suit one-sector clusters", size)
	}
	return f, nil
}

// WriteESP writes a FAT32 file system with one file, path, into a partition of
// size bytes that begins at start on its disk and at 0 of w. What it does not
// write must read as zeros.
func WriteESP(w io.WriterAt, start, size int64, path string, data []byte) error {
	f, err := newFAT(start, size)
	if err != nil {
		return err
	}
	names, err := shortNames(path)
	if err != nil {
		return fmt.Errorf("making FAT32: %s: %w", path, err)
	}
	dirs := int64(len(names)) // the root is one of them, the file is none
	fileAt := rootCluster + dirs
	fileClusters := (int64(len(data)) + layout.Sector - 1) / layout.Sector
	if len(data) == 0 || dirs+fileClusters > f.clusters {
		return fmt.Errorf("making FAT32: a file of %d bytes does not fit", len(data))
	}
	used := dirs + fileClusters
	table := f.table(dirs, fileClusters)
	chunks := map[int64][]byte{
		0: f.bootSector(), fsInfo: f.infoSector(used),
		backupBoot: f.bootSector(), backupBoot + fsInfo: f.infoSector(used),
		f.reserved: table, f.reserved + f.fatSize: table,
		f.sector(fileAt): data,
	}
	for i := range names {
		chunks[f.sector(rootCluster+int64(i))] = folder(names, i, len(data))
	}
	for at, chunk := range chunks {
		if _, err := w.WriteAt(chunk, at*layout.Sector); err != nil {
			return fmt.Errorf("writing FAT32: %w", err)
		}
	}
	return nil
}

func (f fat) sector(cluster int64) int64 {
	return f.reserved + fatCopies*f.fatSize + cluster - rootCluster
}

func (f fat) bootSector() []byte {
	le, b := binary.LittleEndian, make([]byte, layout.Sector)
	copy(b, "\xeb\x58\x90CHOBA   ")
	le.PutUint16(b[11:], layout.Sector)
	b[13] = 1 // sectors per cluster
	le.PutUint16(b[14:], uint16(f.reserved))
	b[16] = fatCopies
	b[21] = 0xf8 // fixed disk
	le.PutUint16(b[24:], 63)
	le.PutUint16(b[26:], 255)
	le.PutUint32(b[28:], uint32(f.start))
	le.PutUint32(b[32:], uint32(f.sectors))
	le.PutUint32(b[36:], uint32(f.fatSize))
	le.PutUint32(b[44:], rootCluster)
	le.PutUint16(b[48:], fsInfo)
	le.PutUint16(b[50:], backupBoot)
	b[64], b[66] = 0x80, 0x29
	le.PutUint32(b[67:], volumeID)
	copy(b[71:], volumeLabel+"FAT32   ")
	b[510], b[511] = 0x55, 0xaa
	return b
}

func (f fat) infoSector(used int64) []byte {
	le, b := binary.LittleEndian, make([]byte, layout.Sector)
	copy(b, "RRaA")
	copy(b[484:], "rrAa")
	le.PutUint32(b[488:], uint32(f.clusters-used))
	le.PutUint32(b[492:], uint32(rootCluster+used))
	b[510], b[511] = 0x55, 0xaa
	return b
}

// table returns the used part of the allocation table: one-cluster folders, then
// the file's chain.
func (f fat) table(dirs, file int64) []byte {
	b := make([]byte, (rootCluster+dirs+file)*4)
	put := func(cluster int64, next uint32) { binary.LittleEndian.PutUint32(b[cluster*4:], next) }
	put(0, 0x0ffffff8)
	put(1, endOfChain)
	for c := range dirs {
		put(rootCluster+c, endOfChain)
	}
	first := rootCluster + dirs
	for c := first; c < first+file; c++ {
		put(c, uint32(c+1))
	}
	put(first+file-1, endOfChain)
	return b
}

// folder returns the cluster of folder number i on the way to the file: 0 is the
// root, which holds names[0].
func folder(names []string, i, fileSize int) []byte {
	b := make([]byte, layout.Sector)
	next := rootCluster + uint32(i) + 1
	at := 0
	add := func(name string, attr byte, cluster uint32, size int) {
		e := b[at*dirEntry:]
		copy(e, name)
		e[11] = attr
		binary.LittleEndian.PutUint16(e[16:], fixedDate) // created
		binary.LittleEndian.PutUint16(e[18:], fixedDate) // read
		binary.LittleEndian.PutUint16(e[20:], uint16(cluster>>16))
		binary.LittleEndian.PutUint16(e[24:], fixedDate) // written
		binary.LittleEndian.PutUint16(e[26:], uint16(cluster))
		binary.LittleEndian.PutUint32(e[28:], uint32(size))
		at++
	}
	if i == 0 {
		add(volumeLabel, attrLabel, 0, 0)
	} else {
		parent := next - 2
		if parent == rootCluster {
			parent = 0 // the specification's name for the root in ".."
		}
		add(".          ", attrDir, next-1, 0)
		add("..         ", attrDir, parent, 0)
	}
	if i == len(names)-1 {
		add(names[i], attrArchive, next, fileSize)
	} else {
		add(names[i], attrDir, next, 0)
	}
	return b
}

// shortNames splits a path into its 8.3 names, padded as a folder holds them.
func shortNames(path string) ([]string, error) {
	var out []string
	for _, name := range strings.Split(path, "/") {
		base, ext, _ := strings.Cut(name, ".")
		if base == "" || len(base) > 8 || len(ext) > 3 || strings.Trim(base+ext, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			return nil, errors.New("not a path of upper-case 8.3 names")
		}
		out = append(out, fmt.Sprintf("%-8s%-3s", base, ext))
	}
	return out, nil
}
