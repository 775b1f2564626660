package stage

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/services/update/delta"
)

// errStale means that a block on this disk is not what it was when the plan was made.
var errStale = errors.New("a block on the disk is not what it was a moment ago")

// carrier carries one plan out.
type carrier struct {
	*Stager
	release Release
	want    []verity.Hash
	plan    delta.Plan
	hash    *verity.Hasher
	held    map[uint32][]byte // old blocks that were overwritten before their turn
	counts  *Counts

	runs []delta.Run
	body *stream // of the first of runs, when it is open
	next uint32  // the block that body gives next

	pending []byte // blocks checked and not written yet, in one piece
	first   int    // the number of the first of them
	dirty   int    // bytes written since the last flush
}

func (c *carrier) run(ctx context.Context) error {
	defer c.closeBody()
	c.runs = c.plan.Runs(gap)
	buf := make([]byte, block)
	for i, step := range c.plan {
		if i%256 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			c.report(*c.counts)
		}
		if step.From != delta.Keep {
			if err := c.place(ctx, i, step, buf); err != nil {
				return err
			}
		}
		c.counts.Done += block
	}
	if err := c.write(); err != nil {
		return err
	}
	return c.flush()
}

// place brings one block into its place.
func (c *carrier) place(ctx context.Context, i int, step delta.Step, buf []byte) error {
	if step.Hold {
		if err := c.hold(uint32(i)); err != nil {
			return err
		}
	}
	if err := c.take(ctx, i, step, buf); err != nil {
		return err
	}
	if c.hash.Sum(buf) != c.want[i] {
		if step.From == delta.Fetch {
			return fmt.Errorf("%w: block %d", ErrAltered, i)
		}
		return fmt.Errorf("block %d: %w", step.Block, errStale)
	}
	if len(c.pending) == cap(c.pending) || c.first+len(c.pending)/block != i {
		if err := c.write(); err != nil {
			return err
		}
		c.first = i
	}
	c.pending = append(c.pending, buf...)
	if c.dirty >= flushEach {
		return c.pause(ctx)
	}
	return nil
}

// take reads a block from where the plan says.
func (c *carrier) take(ctx context.Context, i int, step delta.Step, buf []byte) error {
	switch step.From {
	case delta.Running:
		return local(c.Running, buf, step.Block)
	case delta.Twin:
		if at := int(step.Block) - c.first; at >= 0 && at < len(c.pending)/block {
			copy(buf, c.pending[at*block:])
			return nil
		}
		return local(c.Slot, buf, step.Block)
	case delta.Old:
		if b, ok := c.held[step.Block]; ok {
			copy(buf, b)
			delete(c.held, step.Block)
			return nil
		}
		return local(c.Slot, buf, step.Block)
	}
	return c.fetch(ctx, uint32(i), buf)
}

func local(r io.ReaderAt, buf []byte, number uint32) error {
	if n, err := r.ReadAt(buf, int64(number)*block); n < block {
		return fmt.Errorf("reading block %d: %v: %w", number, err, errStale)
	}
	return nil
}

func (c *carrier) hold(number uint32) error {
	b := make([]byte, block)
	if err := local(c.Slot, b, number); err != nil {
		return err
	}
	c.held[number] = b
	return nil
}

// fetch reads a block from the source: from the request that is open, when the block lies in its run.
func (c *carrier) fetch(ctx context.Context, number uint32, buf []byte) error {
	for c.body == nil || number >= c.runs[0].First+c.runs[0].Count {
		if c.body != nil {
			c.closeBody()
			c.runs = c.runs[1:]
			continue
		}
		run := c.runs[0]
		c.body = c.stream(ctx, c.release.Bundle, layout.HeadSize+int64(run.First)*block, int64(run.Count)*block, c.counts)
		c.next = run.First
	}
	for ; c.next <= number; c.next++ { // blocks in the gaps are read over
		if _, err := io.ReadFull(c.body, buf); err != nil {
			return fmt.Errorf("fetching block %d: %w", number, err)
		}
	}
	return nil
}

func (c *carrier) closeBody() {
	if c.body != nil {
		c.body.close()
		c.body = nil
	}
}

// write writes what is pending.
func (c *carrier) write() error {
	if len(c.pending) == 0 {
		return nil
	}
	if _, err := c.Slot.WriteAt(c.pending, int64(c.first)*block); err != nil {
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
	c.dirty += len(c.pending)
	c.counts.Written += int64(len(c.pending))
	c.pending = c.pending[:0]
	return nil
}

func (c *carrier) pause(ctx context.Context) error {
	c.dirty = 0
	if err := c.flush(); err != nil {
		return err
	}
	if c.Breathe == nil {
		return nil
	}
	return c.Breathe(ctx)
}
