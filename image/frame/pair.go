package frame

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

// Device is a raw disk or partition. Sync returns when what was written before
// survives a power cut. An *os.File is one.
type Device interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Pair says where the two copies of a thing are kept.
type Pair struct {
	Magic  string
	Offset [2]int64 // of the copies; they must not overlap
	Size   int      // of one copy, in bytes

	// Check, when set, says what is wrong with a payload of a whole frame. A copy that
	// it refuses counts as unreadable: the other one is used and kept. Without it the
	// newer whole frame counts, whatever it holds.
	Check func(payload []byte) error
}

// ErrUnreadable means that neither copy could be read. Why each could not is in
// Found.Problem.
var ErrUnreadable = errors.New("neither copy can be read")

// ErrConflict means that two different copies claim the same generation, which no
// sequence of Stores and power cuts leaves behind.
var ErrConflict = errors.New("the copies differ under one generation")

// Found is what Load saw.
type Found struct {
	Payload    []byte   // of the newer copy
	Older      []byte   // of the other one; nil when it is not readable
	Generation uint64   // of Payload
	Copy       int      // 1 or 2; 0 = neither
	Problem    [2]error // what is wrong with copy 1 and copy 2; nil = readable
}

// Load reads both copies and returns the newer of the readable ones. One damaged
// copy is no error, but stands in Found.Problem. Errors: ErrUnreadable, ErrConflict.
func (p Pair) Load(r io.ReaderAt) (Found, error) {
	var f Found
	var got [2][]byte
	var gen [2]uint64
	for i := range 2 {
		got[i], gen[i], f.Problem[i] = p.read(r, i)
	}
	switch {
	case f.Problem[0] != nil && f.Problem[1] != nil:
		return f, fmt.Errorf("%w: first: %w; second: %w", ErrUnreadable, f.Problem[0], f.Problem[1])
	case f.Problem[0] == nil && f.Problem[1] == nil && gen[0] == gen[1]:
		if string(got[0]) != string(got[1]) {
			return f, ErrConflict
		}
		f.Copy = 1
	case f.Problem[1] != nil || f.Problem[0] == nil && gen[0] > gen[1]:
		f.Copy = 1
	default:
		f.Copy = 2
	}
	f.Payload, f.Generation, f.Older = got[f.Copy-1], gen[f.Copy-1], got[2-f.Copy]
	return f, nil
}

func (p Pair) read(r io.ReaderAt, i int) ([]byte, uint64, error) {
	block := make([]byte, p.Size)
	if n, err := r.ReadAt(block, p.Offset[i]); n < len(block) {
		return nil, 0, fmt.Errorf("reading at %d: %w", p.Offset[i], err)
	}
	payload, generation, err := Decode(p.Magic, block)
	if err == nil && p.Check != nil {
		err = p.Check(payload)
	}
	if err != nil {
		return nil, 0, err
	}
	return payload, generation, nil
}

// Store writes the payload as the next generation over the copy that is not the
// current one, and flushes. Until it returns, a power cut leaves the old payload
// or the new one to be loaded, never a third. With neither copy readable (or both
// in conflict) it writes copy 1 and then copy 2.
func (p Pair) Store(d Device, payload []byte) error {
	found, err := p.Load(d)
	if errors.Is(err, ErrUnreadable) || errors.Is(err, ErrConflict) {
		return p.start(d, payload)
	}
	if err != nil {
		return err
	}
	if found.Generation == math.MaxUint64 {
		return errors.New("storing: generations are used up")
	}
	return p.write(d, 2-found.Copy, found.Generation+1, payload)
}

// start makes a fresh pair, copy 1 first. Cut short, it leaves both unreadable, or
// (after a conflict) one of the two claims, or the new payload.
func (p Pair) start(d Device, payload []byte) error {
	var gen uint64
	for i := range 2 {
		if _, g, err := p.read(d, i); err == nil {
			gen = max(gen, g)
		}
	}
	if gen >= math.MaxUint64-1 {
		return errors.New("storing: generations are used up")
	}
	if err := p.write(d, 0, gen+1, payload); err != nil {
		return err
	}
	return p.write(d, 1, gen+2, payload)
}

func (p Pair) write(d Device, i int, generation uint64, payload []byte) error {
	block, err := Encode(p.Magic, generation, payload, p.Size)
	if err != nil {
		return err
	}
	if _, err := d.WriteAt(block, p.Offset[i]); err != nil {
		return fmt.Errorf("storing copy %d: %w", i+1, err)
	}
	if err := d.Sync(); err != nil {
		return fmt.Errorf("flushing copy %d: %w", i+1, err)
	}
	return nil
}

// ErrNotThere means that the payload to be kept is in neither copy.
var ErrNotThere = errors.New("the payload that has to stay is in neither copy")

// StoreBeside writes the payload as the next generation over the copy that does not
// hold keep, be that the newer or the older one, and flushes. Whenever the power
// goes, keep is there. Errors: ErrNotThere.
func (p Pair) StoreBeside(d Device, keep, payload []byte) error {
	found, err := p.Load(d)
	if err != nil {
		return err
	}
	if found.Generation == math.MaxUint64 {
		return errors.New("storing: generations are used up")
	}
	over := 2 - found.Copy // the older or unreadable one
	if !bytes.Equal(found.Payload, keep) {
		if found.Older == nil || !bytes.Equal(found.Older, keep) {
			return fmt.Errorf("storing: %w", ErrNotThere)
		}
		over = found.Copy - 1
	}
	return p.write(d, over, found.Generation+1, payload)
}
