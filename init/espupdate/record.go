package espupdate

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/slot"
)

// State is how far an update of the boot partition has come.
type State string

// The states, in their order.
const (
	None    State = "none"    // there never was one
	Sealed  State = "sealed"  // the data key is sealed to the image that comes; the file is the old one
	Writing State = "writing" // the file is being replaced: it is the old one or the new one
	Written State = "written" // the file is the new one, and was read back
	Done    State = "done"    // the firmware has started the new one
)

// Record is how far the last update of the boot partition has come. It lies in the state partition, in an image/frame
// pair with magic CHOBA-BOOTFILE-1, as text:
//
//	choba boot file 1
//	state sealed
//	version 14                    (of the release that brought the new image)
//	from <SHA-256 of the old file>
//	to <SHA-256 of the new file>
//	attempts 1
//	reason <one line of printable text, or nothing>
//
// Nothing is decided by it but whether to try again: what lies on the boot partition is read from there.
type Record struct {
	State    State
	Version  uint64
	From, To [32]byte
	Attempts int    // begun for To
	Reason   string // why the last one was not finished
}

const (
	magic     = "CHOBA-BOOTFILE-1"
	firstLine = "choba boot file 1"
)

func pair() frame.Pair {
	return frame.Pair{Magic: magic, Offset: [2]int64{layout.BootCopy1, layout.BootCopy2}, Size: layout.BootSize}
}

// Encode writes the record in its only spelling.
func (r Record) Encode() []byte {
	return fmt.Appendf(nil, "%s\nstate %s\nversion %d\nfrom %x\nto %x\nattempts %d\nreason %s\n",
		firstLine, r.State, r.Version, r.From, r.To, r.Attempts, slot.Clip(r.Reason))
}

// Parse reads what Encode wrote and nothing else.
func Parse(text []byte) (Record, error) {
	r, err := parse(string(text))
	if err == nil && !bytes.Equal(r.Encode(), text) {
		err = errors.New("not in its canonical spelling")
	}
	if err != nil {
		return Record{}, fmt.Errorf("reading how far the boot file is: %w", err)
	}
	return r, nil
}

func parse(text string) (r Record, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 8 || lines[0] != firstLine || lines[7] != "" {
		return r, errors.New("not such a record")
	}
	var values [6]string
	for i, name := range []string{"state", "version", "from", "to", "attempts", "reason"} {
		var ok bool
		if values[i], ok = strings.CutPrefix(lines[i+1], name+" "); !ok {
			return r, fmt.Errorf("no line %s", name)
		}
	}
	switch r.State = State(values[0]); r.State {
	case None, Sealed, Writing, Written, Done:
	default:
		return r, fmt.Errorf("unknown state %.20q", values[0])
	}
	if r.Version, err = strconv.ParseUint(values[1], 10, 64); err != nil {
		return r, err
	}
	for i, to := range []*[32]byte{&r.From, &r.To} {
		raw, err := hex.DecodeString(values[2+i])
		if err != nil || len(raw) != len(to) {
			return r, errors.New("a hash is damaged")
		}
		copy(to[:], raw)
	}
	if r.Attempts, err = strconv.Atoi(values[4]); err != nil || r.Attempts < 0 {
		return r, errors.New("attempts are damaged")
	}
	r.Reason = values[5]
	return r, nil
}

// Load reads the record. One that is not there, or that cannot be read, is None: nothing but a few attempts hangs on it.
func Load(from io.ReaderAt) Record {
	found, err := pair().Load(from)
	if err != nil {
		return Record{State: None}
	}
	r, err := Parse(found.Payload)
	if err != nil {
		return Record{State: None}
	}
	return r
}

// Store writes the record and flushes.
func Store(to frame.Device, r Record) error {
	if err := pair().Store(to, r.Encode()); err != nil {
		return fmt.Errorf("writing how far the boot file is: %w", err)
	}
	return nil
}
