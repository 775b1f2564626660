// Package api is how the update service asks init about the slots: what runs, make the other one free, offer what was
// written there, restart.
//
// One connection carries one request and one answer, each a line of JSON, over /run/choba/init.sock. It is not HTTP,
// because init is PID 1 and links no net/http, and nobody but the row `update` is answered (init asks the kernel who
// the peer is). init believes nothing that it is told here: an offer names no release, init reads and checks what lies
// in the slot itself.
//
// The rule that keeps it small: four verbs, values only; what they mean for the slot record is image/slot's.
package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/services/table"
)

// Socket is where init listens.
const Socket = table.InitSocket

// MaxLine bounds a request and an answer, in bytes with the line feed.
const MaxLine = 64 << 10

// MaxReason bounds the reason of a restart, in bytes.
const MaxReason = 200

// The four things that can be asked.
const (
	VerbStatus  = "status"
	VerbClear   = "clear"   // the idle slot is being written: it holds nothing that may boot
	VerbOffer   = "offer"   // check what was written into the idle slot, and put it on trial
	VerbRestart = "restart" // stop everything in order and restart
)

// ReasonRecovery is the reason of a restart that ends in recovery's own menu instead of a slot.
const ReasonRecovery = "recovery"

// Request is one question. Fields that its verb does not use must be empty.
type Request struct {
	Verb   string `json:"verb"`
	Anew   bool   `json:"anew,omitempty"`   // offer: a person wants it although it failed before, or is no newer
	Reason string `json:"reason,omitempty"` // restart: one printable line
}

// Answer is either an error, or for VerbStatus a status, or nothing: done.
type Answer struct {
	Error  *Error  `json:"error,omitempty"`
	Status *Status `json:"status,omitempty"`
}

// Status is what init knows about the slots and about this boot.
type Status struct {
	Slot       string        `json:"slot"`       // the running one, "a" or "b"
	Idle       string        `json:"idle"`       // the other one
	IdleDevice string        `json:"idleDevice"` // its device node, which belongs to the caller
	IdleSize   int64         `json:"idleSize"`   // bytes of its partition
	Version    uint64        `json:"version"`    // of the running release
	Name       string        `json:"name"`       // what people call that version
	Root       string        `json:"root"`       // its root hash, lower-case hex
	Slots      [2]SlotStatus `json:"slots"`      // a, then b
	Failed     []Failure     `json:"failed"`     // releases that failed on this register, oldest first
	Reason     string        `json:"reason"`     // why the slot record was last changed
	Floor      uint64        `json:"floor"`      // releases below it cannot open the data; 0: no floor, or no TPM
	Committed  bool          `json:"committed"`  // the running release has reached ready in this boot
	Jumped     bool          `json:"jumped"`     // this kernel came out of the slot, not from the boot partition
	Fallback   *Fallback     `json:"fallback"`   // set while the register runs an older release because a newer one failed
}

// SlotStatus is what the slot record says of one slot.
type SlotStatus struct {
	Name     string `json:"name"`  // "a" or "b"
	State    string `json:"state"` // empty, trial, good, refused, unknown
	Version  uint64 `json:"version"`
	Tries    int    `json:"tries"`    // boots left on trial
	Unready  int    `json:"unready"`  // boots running that did not reach ready
	Manifest string `json:"manifest"` // SHA-256 of the manifest's text, 64 hex digits; zeros for none
}

// Failure names a release that failed on this register.
type Failure struct {
	Version  uint64 `json:"version"`
	Manifest string `json:"manifest"`
}

// Fallback is why the register is back on the release that runs.
type Fallback struct {
	Version  uint64 `json:"version"` // that failed
	Reason   string `json:"reason"`
	ReasonJa string `json:"reasonJa"`
}

// Kind is the class of an error as it crosses the socket; the words are those of services/link.
type Kind string

// The kinds that init answers with. The list only ever grows.
const (
	BadRequest  Kind = "bad-request" // the request itself is wrong
	Denied      Kind = "denied"      // the caller is not the update service
	Conflict    Kind = "conflict"    // the slots' state does not allow it now, or this release failed here before
	Refused     Kind = "refused"     // the dry run says no: the text says why
	Unavailable Kind = "unavailable" // init was not reached, or is not ready to answer; nothing was done
	Internal    Kind = "internal"    // a fault of the register
	Unknown     Kind = "unknown"     // the answer was lost: it may have been done, or not; Status tells
)

// Error is an error as it crosses the socket: a kind and one sentence.
type Error struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"`
}

func (e *Error) Error() string { return string(e.Kind) + ": " + e.Text }

// KindOf is the kind of err: that of the *Error in it, "" for nil, Internal for any other.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Kind
	}
	return Internal
}

// ParseRequest reads a request's line: one JSON object, no unknown field, nothing behind it, only fields that the verb
// uses.
func ParseRequest(line []byte) (Request, error) {
	var r Request
	if err := decode(line, &r); err != nil {
		return Request{}, fmt.Errorf("reading a request: %w", err)
	}
	switch r.Verb {
	case VerbStatus, VerbClear, VerbOffer, VerbRestart:
	default:
		return Request{}, fmt.Errorf("reading a request: unknown verb %.20q", r.Verb)
	}
	if r.Anew && r.Verb != VerbOffer {
		return Request{}, fmt.Errorf("reading a request: %s takes no anew", r.Verb)
	}
	if r.Verb != VerbRestart && r.Reason != "" {
		return Request{}, fmt.Errorf("reading a request: %s takes no reason", r.Verb)
	}
	if r.Verb == VerbRestart && !goodReason(r.Reason) {
		return Request{}, errors.New("reading a request: a restart needs a reason: one printable line of 1 to 200 bytes")
	}
	return r, nil
}

func goodReason(s string) bool {
	if s == "" || len(s) > MaxReason {
		return false
	}
	for _, c := range s {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == '\ufffd' || c == '\u2028' || c == '\u2029' {
			return false
		}
	}
	return true
}

// ParseAnswer reads an answer's line.
func ParseAnswer(line []byte) (Answer, error) {
	var a Answer
	if err := decode(line, &a); err != nil {
		return Answer{}, fmt.Errorf("reading an answer: %w", err)
	}
	if a.Error != nil && (a.Status != nil || a.Error.Kind == "") {
		return Answer{}, errors.New("reading an answer: neither an error nor a status")
	}
	return a, nil
}

// Line is v as one line of JSON.
func Line(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(text) >= MaxLine {
		return nil, fmt.Errorf("a line of %d bytes, at most %d", len(text), MaxLine)
	}
	return append(text, '\n'), nil
}

func decode(line []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the value")
	}
	return nil
}
