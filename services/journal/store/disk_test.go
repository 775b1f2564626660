package store_test

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/journal/store"
)

// tape is a disk that records everything done to it, and can be asked what would be on it had the power failed after
// any of those steps. What was not synced is there or not, sector by sector; a sector is never half old, half new.
type tape struct {
	mu    sync.Mutex // guards everything
	ops   []op
	names map[string]*inode
	base  int   // steps that copy made; the power does not fail in them
	free  int64 // bytes that may still be taken; below 0 there is no limit
	fail  error // of every later write and sync
}

type inode struct {
	id   int
	text []byte
}

type op struct {
	what string // create, write, sync, rename, remove, syncdir, mark
	id   int
	name string
	to   string
	at   int64
	text []byte
	mark int
}

const sector = 512

func newTape() *tape { return &tape{names: map[string]*inode{}, free: -1} }

// mark notes what the test knows at this moment.
func (d *tape) mark(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ops = append(d.ops, op{what: "mark", mark: n})
}

func (d *tape) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.ops)
}

func (d *tape) List(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for name := range d.names {
		if path.Dir(name) == path.Clean(dir) {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (d *tape) Open(name string) (store.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, ok := d.names[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &tapeFile{d, n}, nil
}

func (d *tape) Create(name string) (store.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free == 0 {
		return nil, unix.ENOSPC
	}
	n := &inode{id: len(d.ops) + 1}
	d.names[name] = n
	d.ops = append(d.ops, op{what: "create", id: n.id, name: name})
	return &tapeFile{d, n}, nil
}

func (d *tape) MakeDir(string) error { return nil }

func (d *tape) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ops = append(d.ops, op{what: "rename", name: from, to: to})
	return rename(d.names, from, to)
}

func rename(names map[string]*inode, from, to string) error {
	n, ok := names[from]
	if !ok {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	names[to] = n
	delete(names, from)
	return nil
}

func (d *tape) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, ok := d.names[name]; ok && d.free >= 0 {
		d.free += int64(len(n.text))
	}
	delete(d.names, name)
	d.ops = append(d.ops, op{what: "remove", name: name})
	return nil
}

func (d *tape) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ops = append(d.ops, op{what: "syncdir", name: path.Clean(dir)})
	return d.fail
}

type tapeFile struct {
	d *tape
	n *inode
}

func (f *tapeFile) ReadAt(p []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if at >= int64(len(f.n.text)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.text[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *tapeFile) WriteAt(p []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.fail != nil {
		return 0, f.d.fail
	}
	if grown := at + int64(len(p)) - int64(len(f.n.text)); grown > 0 && f.d.free >= 0 {
		if f.d.free -= grown; f.d.free < 0 {
			f.d.free = 0
			return 0, unix.ENOSPC
		}
	}
	f.n.write(p, at)
	f.d.ops = append(f.d.ops, op{what: "write", id: f.n.id, at: at, text: slices.Clone(p)})
	return len(p), nil
}

func (n *inode) write(p []byte, at int64) {
	if need := int(at) + len(p); need > len(n.text) {
		n.text = append(n.text, make([]byte, need-len(n.text))...)
	}
	copy(n.text[at:], p)
}

func (f *tapeFile) Close() error        { return nil }
func (f *tapeFile) Reserve(int64) error { return nil }

func (f *tapeFile) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.n.text)), nil
}

func (f *tapeFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.d.ops = append(f.d.ops, op{what: "sync", id: f.n.id})
	return f.d.fail
}

// fate decides for each unsynced sector of a write whether it reached the disk.
type fate struct {
	name  string
	write func(r *rand.Rand, i, n int) bool // sector i of n of one write
	names func(r *rand.Rand, n int) int     // how many of n unsynced changes of names, in their order
}

var fates = []fate{
	{"nothing", func(*rand.Rand, int, int) bool { return false }, func(*rand.Rand, int) int { return 0 }},
	{"everything", func(*rand.Rand, int, int) bool { return true }, func(_ *rand.Rand, n int) int { return n }},
	{"the first sector", func(_ *rand.Rand, i, _ int) bool { return i == 0 }, func(_ *rand.Rand, n int) int { return n }},
	{"all but the first", func(_ *rand.Rand, i, _ int) bool { return i > 0 }, func(*rand.Rand, int) int { return 0 }},
	{"all but the last", func(_ *rand.Rand, i, n int) bool { return i < n-1 }, func(_ *rand.Rand, n int) int { return n }},
	{"chance", func(r *rand.Rand, _, _ int) bool { return r.IntN(2) == 0 }, func(r *rand.Rand, n int) int { return r.IntN(n + 1) }},
}

// cut gives the disk as it is after a power cut behind the first n steps, and the last mark before it.
func (d *tape) cut(n int, how fate, r *rand.Rand) (*tape, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	mark := 0
	synced := map[int]int{} // by inode: the last step that made it durable
	dirs := map[string]int{}
	for i, o := range d.ops[:n] {
		switch o.what {
		case "sync":
			synced[o.id] = i
		case "syncdir":
			dirs[o.name] = i
		case "mark":
			mark = o.mark
		}
	}
	files := map[int]*inode{}
	names := map[string]*inode{}
	durable := func(i int, name string) bool { last, ok := dirs[path.Dir(name)]; return ok && i < last }
	pending := 0
	for i, o := range d.ops[:n] {
		if slices.Contains([]string{"create", "rename", "remove"}, o.what) && !durable(i, target(o)) {
			pending++
		}
	}
	take := how.names(r, pending)
	for i, o := range d.ops[:n] {
		switch o.what {
		case "create", "rename", "remove":
			if o.what == "create" {
				files[o.id] = &inode{id: o.id}
			}
			if !durable(i, target(o)) {
				if take == 0 {
					continue
				}
				take--
			}
			apply(names, files, o)
		case "write":
			last, ok := synced[o.id]
			write(files[o.id], o, ok && i < last, how, r)
		}
	}
	return &tape{names: names, free: -1}, mark
}

// target is the name whose folder must be synced for the step to last.
func target(o op) string {
	if o.what == "rename" {
		return o.to
	}
	return o.name
}

func apply(names map[string]*inode, files map[int]*inode, o op) {
	switch o.what {
	case "create":
		names[o.name] = files[o.id]
	case "rename":
		rename(names, o.name, o.to) // of a name that did not last: nothing to rename
	case "remove":
		delete(names, o.name)
	}
}

func write(n *inode, o op, durable bool, how fate, r *rand.Rand) {
	if n == nil {
		panic(fmt.Sprintf("a write to inode %d, which was never made", o.id))
	}
	first, last := o.at/sector, (o.at+int64(len(o.text))-1)/sector
	for s := first; s <= last; s++ {
		from, to := max(o.at, s*sector), min(o.at+int64(len(o.text)), (s+1)*sector)
		if durable || how.write(r, int(s-first), int(last-first+1)) {
			n.write(o.text[from-o.at:to-o.at], from)
		}
	}
}

// copy is a disk with the same files and an empty tape.
func (d *tape) copy() *tape {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := newTape()
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		n := &inode{id: len(out.ops) + 1, text: slices.Clone(d.names[name].text)}
		out.names[name] = n
		// so that a later cut finds what is there already
		out.ops = append(out.ops, op{what: "create", id: n.id, name: name}, op{what: "write", id: n.id, text: slices.Clone(n.text)}, op{what: "sync", id: n.id})
	}
	out.ops = append(out.ops, op{what: "syncdir", name: "."}, op{what: "syncdir", name: "log"})
	out.base = len(out.ops)
	return out
}

// log are the names in the log folder.
func (d *tape) log() []string {
	names, _ := d.List("log")
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, ".segment") })
}
