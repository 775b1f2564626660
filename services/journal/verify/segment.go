package verify

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/choba-os/choba/services/journal/chain"
	"github.com/choba-os/choba/services/journal/segment"
)

// clockSlack is how far the wall clock may go back without a remark: what a time service corrects in passing.
const clockSlack = time.Second

// segment verifies one file. An error is of reading.
func (r *reader) segment(first uint64, last bool) error {
	r.file = segment.FileName(first)
	f, err := os.Open(filepath.Join(r.path, r.file))
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	size := st.Size()
	r.report.Segments++
	r.report.Bytes += size
	if last {
		if end, err := segment.Blank(f, 0, size); err != nil || end == 0 {
			return errors.Join(err, r.blank(first)) // begun and never written: the log ends in the one before
		}
	}
	p := parse(f, size)
	defer p.stop()
	good, known, ended := int64(0), false, error(nil)
	for ended == nil {
		batch := p.next()
		for _, it := range batch.items {
			if !known {
				if known = true; !r.head(it, first, size) {
					return nil
				}
				continue
			}
			if !r.item(it) {
				return nil
			}
			if it.kind == segment.KindCheckpoint {
				good = it.at + it.length
			}
		}
		ended = batch.end
	}
	var damage *segment.Damage
	if !errors.Is(ended, io.EOF) && !errors.As(ended, &damage) {
		return ended
	}
	if !known {
		r.lose(BadHead, 0, ended)
		return nil
	}
	return r.tail(f, good, size, last, damage)
}

func (r *reader) blank(first uint64) error {
	if r.chain == nil || r.chain.Covered == first && first > 0 {
		return nil
	}
	r.found(Finding{Code: Gap, File: r.file, Offset: -1, Entry: int64(r.chain.Covered), Detail: "an empty segment that is not the next one"})
	return nil
}

// head judges a segment's first record, and takes hold of the log there when it was lost before.
func (r *reader) head(it item, first uint64, size int64) bool {
	h, err := segment.ParseHead(it.body)
	switch {
	case it.kind != segment.KindHead:
		err = errors.New("the first record is no head")
	case err == nil && (h.First != first || h.Bytes != size):
		err = fmt.Errorf("it says that it begins with entry %d and has %d bytes; the file has %d", h.First, h.Bytes, size)
	}
	if err != nil {
		r.lose(BadHead, it.at, err)
		return false
	}
	if r.chain != nil {
		if err = r.chain.Continue(h); err == nil {
			return true
		}
		if h.First > r.chain.Edge.Size {
			r.found(Finding{Code: Gap, File: r.file, Offset: -1, Entry: int64(r.chain.Edge.Size), Detail: err.Error()})
			r.chain = nil
		} else {
			r.lose(BadHead, it.at, err)
		}
	}
	return r.hold(h, it.at)
}

func (r *reader) hold(h segment.Head, at int64) bool {
	c, err := chain.Start(h)
	if err != nil {
		r.lose(BadHead, at, err)
		return false
	}
	for _, want := range []string{r.opt.Device, r.device} {
		if want != "" && c.DeviceKey != want {
			r.lose(Stranger, at, fmt.Errorf("the device key is %s, want %s", c.DeviceKey, want))
			return false
		}
	}
	r.device = c.DeviceKey
	if r.report.Origin == "" {
		r.report.Origin, r.report.Device = c.Origin, c.DeviceKey
	}
	r.chain, r.counted = c, h.First
	r.hashes.seek(h.First)
	return true
}

// item judges one record behind the head. It gives false when the rest of the segment cannot be judged.
func (r *reader) item(it item) bool {
	switch {
	case it.err != nil:
		r.lose(BadEntry, it.at, it.err)
		return false
	case it.kind == segment.KindEntry:
		return r.entry(it)
	case it.kind == segment.KindCheckpoint:
		sig, err := r.chain.Commit(it.body)
		if err != nil {
			r.lose(BadRecord, it.at, err)
			return false
		}
		r.committed(it, sig)
		return true
	}
	r.lose(BadRecord, it.at, fmt.Errorf("a %v has no place here", it.kind))
	return false
}

func (r *reader) entry(it item) bool {
	before := r.chain.Last
	added, err := r.chain.Entry(it.entry, it.leaf)
	if err != nil {
		r.lose(BadEntry, it.at, err)
		return false
	}
	e := it.entry
	if back := before.Wall.Sub(e.Wall); !before.Wall.IsZero() && back > clockSlack {
		r.remark(Finding{Code: ClockBack, File: r.file, Offset: it.at, Entry: int64(e.Seq), Since: before.Wall, Detail: back.String()})
	}
	switch e.Kind {
	case chain.KindSession:
		r.report.Sessions++
	case chain.KindRecovered:
		r.remark(Finding{Code: Recovered, File: r.file, Offset: it.at, Entry: int64(e.Seq), Since: e.Wall, Detail: string(e.Content)})
	}
	if r.report.First.IsZero() {
		r.report.First = e.Wall
	}
	r.report.Last = e.Wall
	r.hashes.compare(r, added)
	return true
}

// committed counts a checkpoint that fits, and has its signature checked beside.
func (r *reader) committed(it item, sig chain.Signature) {
	r.report.Checkpoints++
	r.report.Entries += r.chain.Covered - r.counted
	r.counted = r.chain.Covered
	r.report.Head = r.chain.Checkpoint
	r.checks.add(check{sig, Finding{Code: Signature, File: r.file, Offset: it.at, Entry: int64(r.chain.Covered) - 1, Since: r.report.Last}})
	if h := r.opt.Head; h != nil && h.Origin == r.chain.Origin && h.Size == r.chain.Covered && h.Root == r.chain.Root {
		r.seen = true
	}
}

// tail judges what lies behind the last record; damage is what ended the reading, if not zeros.
func (r *reader) tail(f *os.File, good, size int64, last bool, damage *segment.Damage) error {
	end, err := segment.Blank(f, good, size)
	if err != nil || end == good {
		return err
	}
	code, at, cause := BadTail, good, fmt.Errorf("%d bytes behind the last checkpoint", end-good)
	if damage != nil {
		code, at, cause = BadRecord, damage.Offset, damage
	}
	if last {
		torn, err := segment.Torn(f, good, size)
		if err == nil && torn > good {
			code, at = Unfinished, good
		}
	}
	r.lose(code, at, cause)
	return nil
}
