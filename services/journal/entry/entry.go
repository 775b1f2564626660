// Package entry is the form of one journal entry: what a service hands in (Event), what the journal makes of it
// (Entry), and the exact bytes of the one in the other.
//
// The bytes are one line of JSON without a line end, its fields in a fixed order, in the form that encoding/json
// leaves alone (no spaces, '<', '>', '&', U+2028 and U+2029 written as \u escapes). They are what is stored, hashed
// and proven: Parse refuses every other spelling of the same entry, so that one entry has one hash.
// docs/formats/journal.md describes it for readers of other languages.
//
// It is not a store and knows no files, callers or keys. The rule that keeps it small: bytes in, values out, no clock.
package entry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Limits on what an event may hold.
const (
	MaxContent = 64 << 10 // bytes of content, in the stored form
	MaxText    = 64       // characters in person, approver and device
	MaxKind    = 64       // bytes in kind
	MaxDepth   = 32       // nesting of content
	MaxBytes   = MaxContent + 8<<10
)

// Event is what a service asks the journal to record.
type Event struct {
	Kind     string          `json:"kind"`     // dotted lower-case words, the first naming the owner: "sale.closed"
	Person   string          `json:"person"`   // who did it; empty when no person did
	Approver string          `json:"approver"` // who allowed it, when that was somebody else
	Device   string          `json:"device"`   // the hardware concerned, as ports names it
	Content  json.RawMessage `json:"content"`  // a JSON object; absent or null is {}
}

// Entry is an event as recorded.
type Entry struct {
	Seq     uint64    `json:"seq"`     // number from 0, without gaps: the index of its leaf in the tree
	Wall    time.Time `json:"wall"`    // UTC, microseconds; as good as the machine's clock
	Mono    int64     `json:"mono"`    // nanoseconds since the boot, standby included
	Boot    string    `json:"boot"`    // the kernel's random number for this boot
	Service string    `json:"service"` // who handed it in, as the kernel names the peer
	Event
}

// wallForm is the only spelling of a time in an entry.
const wallForm = "2006-01-02T15:04:05.000000Z"

// wire is an entry in the order of its bytes.
type wire struct {
	Seq      uint64          `json:"seq"`
	Wall     string          `json:"wall"`
	Mono     int64           `json:"mono"`
	Boot     string          `json:"boot"`
	Service  string          `json:"service"`
	Kind     string          `json:"kind"`
	Person   string          `json:"person"`
	Approver string          `json:"approver"`
	Device   string          `json:"device"`
	Content  json.RawMessage `json:"content"`
}

// Encode gives the entry's bytes. The event in it must have come from Event.Normal.
func Encode(e Entry) ([]byte, error) {
	text, err := json.Marshal(wire{
		Seq: e.Seq, Wall: e.Wall.UTC().Format(wallForm), Mono: e.Mono, Boot: e.Boot, Service: e.Service,
		Kind: e.Kind, Person: e.Person, Approver: e.Approver, Device: e.Device, Content: e.Content,
	})
	if err != nil {
		return nil, fmt.Errorf("writing entry %d: %w", e.Seq, err)
	}
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("writing entry %d: %d bytes, at most %d are allowed", e.Seq, len(text), MaxBytes)
	}
	return text, nil
}

// Parse reads an entry's bytes and refuses any that Encode would not have written.
func Parse(text []byte) (Entry, error) {
	e, err := Peek(text)
	if err != nil {
		return Entry{}, err
	}
	if e.Event, err = e.Event.Normal(); err != nil {
		return Entry{}, fmt.Errorf("reading an entry: %w", err)
	}
	if err := checkOrigin(e); err != nil {
		return Entry{}, fmt.Errorf("reading an entry: %w", err)
	}
	again, err := Encode(e)
	if err != nil {
		return Entry{}, err
	}
	if !bytes.Equal(again, text) {
		return Entry{}, fmt.Errorf("reading an entry: entry %d is not in the one spelling that is stored", e.Seq)
	}
	return e, nil
}

func checkOrigin(e Entry) error {
	switch {
	case e.Mono < 0:
		return fmt.Errorf("its time since boot is negative: %d", e.Mono)
	case e.Wall.Year() < 0 || e.Wall.Year() > 9999:
		return fmt.Errorf("its year is %d", e.Wall.Year())
	}
	if err := checkText("boot", e.Boot); err != nil {
		return err
	}
	return checkText("service", e.Service)
}
