// Package stage writes a release into the slot that is not running: what is on the disk already is taken from there,
// the rest is fetched, every block is checked before it is written, and the head comes last.
//
// The order is image/release's: wipe the head, flush, blocks, flush, tree, flush, head, flush. Cut short anywhere it
// leaves a slot without a head, and the next try keeps every block that was written. Nothing from the source is
// believed: the signed manifest names the tree, and the tree names every block.
//
// It does not choose the release, check its signatures, or put it on trial (init does the last, after checking all of
// it again). The rule that keeps it small: one release, one slot, one pass; memory is bounded whatever is fetched.
package stage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/services/update/delta"
)

// Bounds.
const (
	block     = verity.BlockSize
	chunk     = 1 << 20 // bytes read or written at once
	flushEach = 4 << 20 // bytes between two flushes, so that a sale never waits behind a long one
	holdRoom  = 1024    // old blocks held in memory: 4 MiB
	gap       = 16      // blocks: 64 KiB are fetched for nothing rather than asking twice
	rounds    = 3       // plans made anew because a local block was not what it had been
)

// Ranger is where a release comes from: image/source says what it promises.
type Ranger interface {
	Range(ctx context.Context, path string, from, n int64) (io.ReadCloser, error)
}

// ErrAltered means that the source's bytes are not those of the signed release.
var ErrAltered = errors.New("the source's release is not the one that was signed")

// ErrRoom means that the release does not fit the slot.
var ErrRoom = errors.New("the release does not fit the slot")

// ErrDisk means that the slot could not be read or written.
var ErrDisk = errors.New("the disk does not take the release")

// Release is what is to be written: Manifest must be that of Signed, and must have been checked.
type Release struct {
	Signed   []byte
	Manifest release.Manifest
	Bundle   string // the bundle's path at the source
}

// Stager writes into one slot.
type Stager struct {
	Source  Ranger
	Slot    frame.Device // the slot's device node
	Size    int64        // its bytes
	Running io.ReaderAt  // the running slot's content; nil: it may not be read
	Memory  Memory       // keeps the tree over a power cut; nil: it is fetched again

	Retry   func(ctx context.Context, failures int) error // waits before the source is asked again; an error gives up
	Breathe func(ctx context.Context) error               // called after each flush; nil: at full speed
	Report  func(Counts)                                  // called now and then; nil: nobody is told
}

// Memory keeps a few bytes by name. What Load returns need not be what was kept: it is checked.
type Memory interface {
	Load(name string) []byte // nil when there is none
	Store(name string, data []byte) error
}

// Counts says how far it has come, in bytes.
type Counts struct {
	Total   int64 // of EROFS and tree
	Done    int64 // of Total: in their place
	Fetched int64 // that the source sent
	Written int64 // to the slot, head and tree included
}

// Saved is how much of the release did not have to be fetched.
func (c Counts) Saved() int64 { return max(0, c.Total-c.Fetched) }

// Percent of the release in place, 0 … 100.
func (c Counts) Percent() int {
	if c.Total == 0 {
		return 0
	}
	return int(c.Done * 100 / c.Total)
}

// Put writes the release. When it returns nil, all of it, the head too, is on the disk and flushed. Its errors wrap
// ErrRoom, ErrAltered, ErrDisk, ctx's error, or what the source said.
func (s *Stager) Put(ctx context.Context, r Release) (Counts, error) {
	counts := Counts{Total: r.Manifest.EROFS.Size + r.Manifest.Tree.Size}
	err := s.put(ctx, r, &counts)
	if err != nil {
		return counts, fmt.Errorf("writing version %d into the idle slot: %w", r.Manifest.Version, err)
	}
	return counts, nil
}

func (s *Stager) put(ctx context.Context, r Release, counts *Counts) error {
	head, err := release.EncodeHead(r.Signed)
	if err != nil {
		return err
	}
	if need := counts.Total + layout.HeadSize; s.Size < need || counts.Total > layout.SlotContent {
		return fmt.Errorf("%w: it needs %d bytes of %d", ErrRoom, need, s.Size)
	}
	tree, err := s.tree(ctx, r, counts)
	if err != nil {
		return err
	}
	want, err := verity.Leaves(tree, r.Manifest.Verity)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAltered, err)
	}
	if err := s.replace(make([]byte, layout.HeadSize), layout.HeadOffset(s.Size), counts); err != nil {
		return err
	}
	if err := s.blocks(ctx, r, want, counts); err != nil {
		return err
	}
	if err := s.replace(tree, r.Manifest.EROFS.Size, counts); err != nil {
		return err
	}
	counts.Done = counts.Total
	return s.replace(head, layout.HeadOffset(s.Size), counts)
}

// tree is the release's hash tree, from memory or from the source, as the manifest has it.
func (s *Stager) tree(ctx context.Context, r Release, counts *Counts) ([]byte, error) {
	m := r.Manifest
	name := fmt.Sprintf("%x", m.Tree.SHA256)
	if s.Memory != nil {
		if kept := s.Memory.Load(name); int64(len(kept)) == m.Tree.Size && sha256.Sum256(kept) == m.Tree.SHA256 {
			return kept, nil
		}
	}
	tree := make([]byte, m.Tree.Size) // the manifest's own limits and put's keep it below 1 MiB
	from := s.stream(ctx, r.Bundle, layout.HeadSize+m.EROFS.Size, m.Tree.Size, counts)
	_, err := io.ReadFull(from, tree)
	from.close()
	if err != nil {
		return nil, fmt.Errorf("fetching the hash tree: %w", err)
	}
	if sha256.Sum256(tree) != m.Tree.SHA256 {
		return nil, fmt.Errorf("%w: its hash tree is another", ErrAltered)
	}
	if s.Memory != nil {
		if err := s.Memory.Store(name, tree); err != nil {
			return nil, fmt.Errorf("keeping the hash tree: %w", err)
		}
	}
	return tree, nil
}

// blocks brings every block of the EROFS into its place. A local block that is not what it was when it was looked at
// (a disk that is going bad) makes a new look, and then it is fetched.
func (s *Stager) blocks(ctx context.Context, r Release, want []verity.Hash, counts *Counts) error {
	var err error
	for range rounds {
		err = s.pass(ctx, r, want, counts)
		if !errors.Is(err, errStale) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrDisk, err)
}

func (s *Stager) pass(ctx context.Context, r Release, want []verity.Hash, counts *Counts) error {
	salt := r.Manifest.Verity.Salt
	old, err := hashes(ctx, s.Slot, layout.HeadOffset(s.Size), salt)
	if err != nil {
		return err
	}
	var running []verity.Hash
	if s.Running != nil {
		if running, err = hashes(ctx, s.Running, layout.SlotContent, salt); err != nil {
			return err
		}
	}
	c := carrier{
		Stager: s, release: r, want: want, plan: delta.Make(want, old, running, holdRoom),
		hash: verity.NewHasher(salt), held: map[uint32][]byte{}, counts: counts, pending: make([]byte, 0, chunk),
	}
	counts.Done = 0
	return c.run(ctx)
}

// replace writes data at its place and flushes, unless it lies there already. It flushes in both cases: what another
// run wrote without flushing must not be taken for lasting.
func (s *Stager) replace(data []byte, at int64, counts *Counts) error {
	there := make([]byte, len(data))
	if n, _ := s.Slot.ReadAt(there, at); n < len(data) || string(there) != string(data) {
		if _, err := s.Slot.WriteAt(data, at); err != nil {
			return fmt.Errorf("%w: %w", ErrDisk, err)
		}
		counts.Written += int64(len(data))
	}
	return s.flush()
}

func (s *Stager) flush() error {
	if err := s.Slot.Sync(); err != nil {
		return fmt.Errorf("%w: flushing: %w", ErrDisk, err)
	}
	return nil
}

func (s *Stager) report(c Counts) {
	if s.Report != nil {
		s.Report(c)
	}
}
