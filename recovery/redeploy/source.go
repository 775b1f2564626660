package redeploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/source"
)

// Slots offers what lies whole in this register's own slots and is kept from booting
// by the slot record alone: it missed ready too often, or its last writing was cut off
// before the record said so. What failed its trial is offered only when a person asks.
func Slots(r Register, anew bool) Source { return slots{r, anew} }

type slots struct {
	r    Register
	anew bool
}

func (s slots) Kind() Kind { return OtherSlot }

func (s slots) Offers(context.Context) (out []Offer, err error) {
	rec, _, err := slot.Load(s.r.State)
	if err != nil {
		rec = slot.Default()
	}
	for _, n := range slot.Names() {
		if !s.may(rec.Slot(n)) || s.r.Slots[n].Device == nil {
			continue
		}
		signed, err := release.ReadHead(s.r.Slots[n], s.r.Slots[n].Size)
		if err == nil {
			out = append(out, Offer{Where: "slot " + string(n), Signed: signed, in: n})
		}
	}
	if len(out) == 0 {
		return nil, ErrNothing
	}
	return out, nil
}

func (s slots) may(x slot.Slot) bool {
	switch x.State {
	case slot.Good, slot.Unknown:
		return s.anew || x.Unready >= slot.UnreadyLimit
	case slot.Empty, "":
		return true
	}
	return s.anew
}

// FactoryOf offers the factory release.
func FactoryOf(r Register) Source { return factory{r.Factory} }

type factory struct{ p Part }

func (f factory) Kind() Kind { return Factory }

func (f factory) Offers(context.Context) ([]Offer, error) {
	if f.p.Device == nil {
		return nil, fmt.Errorf("%w: there is no factory partition", ErrNothing)
	}
	signed, err := release.ReadHead(f.p, f.p.Size)
	if err != nil {
		return nil, err
	}
	return []Offer{{Where: layout.Factory, Signed: signed, Parts: partsOf(f.p)}}, nil
}

// Folder is the files of a stick. Paths have no leading slash; a file or folder that is
// not there gives an error that wraps fs.ErrNotExist.
type Folder interface {
	Files(path string) ([]string, error) // names of plain files
	Open(path string) (File, error)
}

// File is an open file.
type File interface {
	io.ReaderAt
	Size() int64
}

// Bounds of what is read from a stick or a server before anything is checked.
const (
	maxFiles  = 64
	bundleExt = ".choba"
	bundleDir = "bundles"
)

// StickOf offers the bundles in a folder: the one that latest/… names, all in bundles/,
// and all beside it. ErrNothing when open says that there is no stick.
func StickOf(product, hardware string, open func(context.Context) (Folder, error)) Source {
	return stick{source.LatestPath(product, hardware), open}
}

type stick struct {
	latest string
	open   func(context.Context) (Folder, error)
}

func (s stick) Kind() Kind { return Stick }

func (s stick) Offers(ctx context.Context) ([]Offer, error) {
	dir, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	var paths []string
	if signed, err := head(dir, s.latest, release.MaxNote); err == nil {
		if path, err := source.BundlePath(signed); err == nil {
			paths = append(paths, path)
		}
	}
	for _, in := range []string{bundleDir, ""} {
		names, err := dir.Files(in)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, n := range names {
			if strings.HasSuffix(strings.ToLower(n), bundleExt) {
				paths = append(paths, strings.TrimPrefix(in+"/"+n, "/"))
			}
		}
	}
	return s.bundles(dir, paths)
}

func (s stick) bundles(dir Folder, paths []string) (out []Offer, err error) {
	seen := map[string]bool{}
	var problems []error
	for _, p := range paths {
		if seen[p] || len(out) >= maxFiles {
			continue
		}
		seen[p] = true
		f, err := dir.Open(p)
		if err == nil {
			var b *release.Bundle
			if b, err = release.OpenBundle(io.NewSectionReader(f, 0, f.Size())); err == nil {
				out = append(out, Offer{Where: p, Signed: b.Signed, Parts: fromFile(f)})
				continue
			}
		}
		problems = append(problems, fmt.Errorf("%s: %w", p, err))
	}
	if len(out) == 0 {
		return nil, errors.Join(append([]error{ErrNothing}, problems...)...)
	}
	return out, nil
}

func fromFile(f File) func(context.Context, release.Manifest) (erofs, tree io.Reader, end func() error, err error) {
	return func(_ context.Context, m release.Manifest) (io.Reader, io.Reader, func() error, error) {
		at := int64(layout.HeadSize)
		return io.NewSectionReader(f, at, m.EROFS.Size), io.NewSectionReader(f, at+m.EROFS.Size, m.Tree.Size), func() error { return nil }, nil
	}
}

// head reads a small file whole.
func head(dir Folder, path string, most int64) ([]byte, error) {
	f, err := dir.Open(path)
	if err != nil {
		return nil, err
	}
	if f.Size() > most {
		return nil, fmt.Errorf("%s: %d bytes, at most %d", path, f.Size(), most)
	}
	b := make([]byte, f.Size())
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, err
	}
	return b, nil
}

// Server gives files by their path, from a byte on. A file that is not there gives an
// error that wraps fs.ErrNotExist.
type Server interface {
	Get(ctx context.Context, path string, from int64) (io.ReadCloser, error)
}

// NetworkOf offers the release that latest/… on a server names. Freshness is not asked
// for here: the threshold of signatures and the floor protect what is taken.
func NetworkOf(product, hardware string, connect func(context.Context) (Server, error)) Source {
	return network{source.LatestPath(product, hardware), connect}
}

type network struct {
	latest  string
	connect func(context.Context) (Server, error)
}

func (s network) Kind() Kind { return Network }

func (s network) Offers(ctx context.Context) ([]Offer, error) {
	server, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	r, err := server.Get(ctx, s.latest, 0)
	if err != nil {
		return nil, err
	}
	signed, err := io.ReadAll(io.LimitReader(r, release.MaxNote+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if len(signed) > release.MaxNote {
		return nil, fmt.Errorf("%s: more than %d bytes", s.latest, release.MaxNote)
	}
	path, err := source.BundlePath(signed)
	if err != nil {
		return nil, err
	}
	return []Offer{{Where: path, Signed: signed, Parts: fromServer(server, path)}}, nil
}

func fromServer(s Server, path string) func(context.Context, release.Manifest) (erofs, tree io.Reader, end func() error, err error) {
	return func(ctx context.Context, m release.Manifest) (io.Reader, io.Reader, func() error, error) {
		r := &resumed{ctx: ctx, s: s, path: path, at: layout.HeadSize, end: layout.HeadSize + m.EROFS.Size + m.Tree.Size}
		return io.LimitReader(r, m.EROFS.Size), io.LimitReader(r, m.Tree.Size), r.close, nil
	}
}

// resumed reads on where a broken connection ended, a few times.
type resumed struct {
	ctx     context.Context
	s       Server
	path    string
	at, end int64
	r       io.ReadCloser
	failed  int // in a row, without a byte in between
}

const maxBroken = 5

func (r *resumed) Read(b []byte) (int, error) {
	for {
		if r.at >= r.end {
			return 0, io.EOF
		}
		n, err := r.try(b[:min(int64(len(b)), r.end-r.at)])
		r.at += int64(n)
		if n > 0 {
			r.failed = 0
			return n, nil
		}
		if err == nil {
			continue
		}
		_ = r.close()
		if r.failed++; r.failed >= maxBroken || r.ctx.Err() != nil || errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("fetching %s at byte %d: %w", r.path, r.at, err)
		}
	}
}

func (r *resumed) try(b []byte) (n int, err error) {
	if r.r == nil {
		if r.r, err = r.s.Get(r.ctx, r.path, r.at); err != nil {
			r.r = nil
			return 0, err
		}
	}
	n, err = r.r.Read(b)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (r *resumed) close() error {
	if r.r == nil {
		return nil
	}
	err := r.r.Close()
	r.r = nil
	return err
}
