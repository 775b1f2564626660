package slot

import (
	"fmt"
	"io"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
)

// magic begins each copy of the record.
const magic = "CHOBA-SLOTS-1"

func pair() frame.Pair {
	return frame.Pair{
		Magic:  magic,
		Offset: [2]int64{layout.RecordCopy1, layout.RecordCopy2},
		Size:   layout.RecordSize,
	}
}

// Source tells where a record came from. Copy is 1 or 2, or 0 when it is Default.
type Source struct {
	Copy       int
	Generation uint64
	Problem    [2]error // what is wrong with each copy; nil = readable
}

// Load reads the record from the state partition. With one copy damaged it returns
// the other and says so in Source. With none readable it returns Default and an
// error that says what is wrong with each: the caller may go on with Default, and
// must show the error.
func Load(r io.ReaderAt) (Record, Source, error) {
	found, err := pair().Load(r)
	src := Source{Copy: found.Copy, Generation: found.Generation, Problem: found.Problem}
	if err != nil {
		src.Copy = 0
		return Default(), src, fmt.Errorf("reading slot record: %w", err)
	}
	rec, err := Parse(found.Payload)
	if err != nil {
		// A whole frame with a wrong text was written by other software; guessing at
		// an older copy would undo what it did.
		src.Problem[src.Copy-1] = err
		src.Copy = 0
		return Default(), src, err
	}
	return rec, src, nil
}

// Store writes the record over the older copy and flushes. When it returns, the
// record is what Load will find; if the power fails before, Load finds this record
// or the one before it.
func Store(d frame.Device, r Record) error {
	text, err := r.Encode()
	if err != nil {
		return err
	}
	if err := pair().Store(d, text); err != nil {
		return fmt.Errorf("writing slot record: %w", err)
	}
	return nil
}
