package fat

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
)

// maxDepth is how many folders a path may go through.
const maxDepth = 16

// Volume is an open volume. Its methods may be used by several goroutines at once.
type Volume struct {
	r     io.ReaderAt
	g     geometry
	table *table
}

// Open reads the head of a volume of size bytes. Errors: ErrNotFAT, ErrDamaged, or the disk's.
func Open(r io.ReaderAt, size int64) (*Volume, error) {
	g, err := readGeometry(r, size)
	if err != nil {
		return nil, fmt.Errorf("opening FAT volume: %w", err)
	}
	return &Volume{r: r, g: g, table: newTable(r, g, g.active)}, nil
}

// Kind is "FAT12", "FAT16", "FAT32" or "exFAT".
func (v *Volume) Kind() string { return v.g.kind.String() }

// Entry is one file or folder.
type Entry struct {
	Name string // the long name where there is one, else the short one; always printable, without '/'
	Dir  bool
	Size int64 // bytes; 0 for a folder
}

// ReadDir lists a folder ("" is the root) in the order of the disk, without "." and "..", labels and what has no name
// that could be written. Errors: ErrMissing, ErrDamaged, or the disk's.
func (v *Volume) ReadDir(path string) ([]Entry, error) {
	nodes, err := v.readDir(path)
	if err != nil {
		return nil, fmt.Errorf("reading folder %q: %w", path, err)
	}
	var out []Entry
	for _, n := range nodes {
		if name := n.name(); name != "" && !n.dots {
			out = append(out, Entry{Name: name, Dir: n.dir, Size: n.size})
		}
	}
	return out, nil
}

func (v *Volume) readDir(path string) ([]node, error) {
	at, err := v.walk(path)
	if err != nil {
		return nil, err
	}
	return v.list(at)
}

// Open opens a file by its path, "metadata/root.json", case ignored as on every FAT. The whole chain of its clusters is
// checked here. Errors: ErrMissing, ErrDamaged, or the disk's.
func (v *Volume) Open(path string) (*File, error) {
	f, err := v.open(path)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	return f, nil
}

func (v *Volume) open(path string) (*File, error) {
	dir, name := split(path)
	nodes, err := v.readDir(dir)
	if err != nil {
		return nil, err
	}
	n, err := find(nodes, name)
	if err != nil {
		return nil, err
	}
	if n.dir {
		return nil, fmt.Errorf("%w: it is a folder", ErrMissing)
	}
	f := &File{v: v, size: n.size, set: n.size - n.unset}
	f.pieces, err = v.pieces(n)
	return f, err
}

// pieces are where a file's content is.
func (v *Volume) pieces(n node) ([]piece, error) {
	if n.size == 0 {
		return nil, nil
	}
	clusters := (n.size + v.g.cluster - 1) / v.g.cluster
	if clusters > int64(v.g.clusters) {
		return nil, fmt.Errorf("%w: a file of %d bytes is larger than its volume", ErrDamaged, n.size)
	}
	if n.where.whole {
		if !v.g.valid(n.where.first) || int64(n.where.first)+clusters-1 > int64(v.g.last()) {
			return nil, fmt.Errorf("%w: a file leaves its volume", ErrDamaged)
		}
		return []piece{{first: n.where.first, count: uint32(clusters)}}, nil
	}
	return v.table.chain(n.where.first, clusters, clusters)
}

func split(path string) (dir, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// walk finds a folder.
func (v *Volume) walk(path string) (location, error) {
	at := v.g.root
	if path == "" {
		return at, nil
	}
	names := strings.Split(path, "/")
	if len(names) > maxDepth {
		return at, fmt.Errorf("%w: more than %d folders deep", ErrMissing, maxDepth)
	}
	for _, name := range names {
		nodes, err := v.list(at)
		if err != nil {
			return at, err
		}
		n, err := find(nodes, name)
		if err != nil {
			return at, err
		}
		if !n.dir {
			return at, fmt.Errorf("%w: %q is no folder", ErrMissing, name)
		}
		at = n.where
	}
	return at, nil
}

// find picks the entry of that name; two of them are damage.
func find(nodes []node, name string) (node, error) {
	var hit []node
	for _, n := range nodes {
		if !n.dots && n.is(name) {
			hit = append(hit, n)
		}
	}
	switch len(hit) {
	case 0:
		return node{}, ErrMissing
	case 1:
		return hit[0], nil
	}
	return node{}, fmt.Errorf("%w: %q is there %d times", ErrDamaged, name, len(hit))
}

func (v *Volume) list(at location) ([]node, error) {
	b, err := v.folder(at)
	if err != nil {
		return nil, err
	}
	if v.g.kind == exfat {
		return parseExfat(b), nil
	}
	return parseFolder(v.g.kind, b), nil
}

// folder reads a whole folder, at most maxSlots of it.
func (v *Volume) folder(at location) ([]byte, error) {
	if at.at > 0 {
		b := make([]byte, at.size) // at most 2 MiB: its number of slots has 16 bits
		_, err := v.r.ReadAt(b, at.at)
		return b, err
	}
	pieces, err := v.folderPieces(at)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, p := range pieces {
		b := make([]byte, int64(p.count)*v.g.cluster)
		if _, err := v.r.ReadAt(b, v.g.clusterAt(p.first)); err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

func (v *Volume) folderPieces(at location) ([]piece, error) {
	most := max(1, int64(maxSlots*slotSize)/v.g.cluster)
	if at.whole {
		return v.pieces(node{size: min(at.size, most*v.g.cluster), where: at})
	}
	return v.table.chain(at.first, 0, most)
}

// File is an open file.
type File struct {
	v      *Volume
	size   int64
	set    int64 // what lies behind reads as zeros
	pieces []piece
}

// Size is the file's length in bytes.
func (f *File) Size() int64 { return f.size }

// ReadAt is io.ReaderAt.
func (f *File) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("reading a file: negative offset")
	}
	for n < len(b) {
		if off+int64(n) >= f.size {
			return n, io.EOF
		}
		part, at := f.at(off+int64(n), int64(len(b)-n))
		m, err := f.v.r.ReadAt(b[n:n+int(part)], at)
		if from := max(0, f.set-off-int64(n)); from < int64(m) {
			clear(b[n+int(from) : n+m])
		}
		n += m
		if err != nil && m < int(part) {
			return n, err
		}
	}
	return n, nil
}

// at says where on the volume a place in the file is, and how many of the wanted bytes follow there.
func (f *File) at(off, want int64) (n, at int64) {
	cluster := off / f.v.g.cluster
	i := sort.Search(len(f.pieces), func(i int) bool { return f.pieces[i].at > cluster }) - 1
	p := f.pieces[i]
	inside := off - p.at*f.v.g.cluster
	return min(want, f.size-off, int64(p.count)*f.v.g.cluster-inside), f.v.g.clusterAt(p.first) + inside
}
