// Package slot is the slot record: what a register remembers between two boots
// about its slots a and b, and the rules by which it chooses one.
//
// The record is a short text in an image/frame pair in the state partition, so
// that a power cut at any instant leaves the old record or the new one:
//
//	choba slots 2
//	preferred a
//	departed b                           (or nothing)
//	asked recovery                       (or key, or nothing)
//	slot a good version 12 tries 0 unready 0 manifest <64 hex digits>
//	slot b trial version 14 tries 2 unready 0 manifest <64 hex digits>
//	failed 13 <64 hex digits>            (0 to 8 lines, oldest first)
//	reason <one line of printable text, or nothing>
//
// Version 1 had neither "departed" nor "asked"; it is read, and written as 2.
//
// Reading and choosing are here; what a slot really holds is told by the caller,
// who verified it (image/release). The record is not secret and not signed: a
// forged one can only pick among releases that verify.
//
// The rule that keeps it small: pure functions from record to record; only Load
// and Store touch a device, which is handed in.
package slot

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is "a" or "b". The zero Name is no slot.
type Name string

// The two slots.
const (
	A Name = "a"
	B Name = "b"
)

// Names returns both slots, in the order in which ties are broken.
func Names() [2]Name { return [2]Name{A, B} }

// Other returns the other slot of the two, or none for none.
func (n Name) Other() Name {
	switch n {
	case A:
		return B
	case B:
		return A
	}
	return ""
}

// State is what is known of a slot's release.
type State string

// States of a slot. Empty is also what the zero Slot means.
const (
	Empty   State = "empty"   // nothing to boot: never written, or being written
	Trial   State = "trial"   // new; boots while it has tries left
	Good    State = "good"    // has reached ready once: committed
	Refused State = "refused" // failed its trial; not booted until offered anew
	Unknown State = "unknown" // the record was lost: whatever verified release is there may boot
)

// Limits.
const (
	Tries        = 3   // a release on trial gets this many boots
	MaxTries     = 15  // more than this in a record is damage
	UnreadyLimit = 8   // a committed release may miss ready this often running
	MaxReason    = 240 // bytes of the last reason
	MaxFailed    = 8   // failed releases remembered
)

// Manifest is the SHA-256 of a release manifest's text: the identity of a release.
type Manifest [32]byte

func (m Manifest) String() string { return hex.EncodeToString(m[:]) }

// Slot is what the record knows of one slot. Version and Manifest are zero when
// the state is Empty or Unknown.
type Slot struct {
	State    State
	Version  uint64
	Tries    int // boots left; only on trial
	Unready  int // boots running that did not reach ready; only Good and Unknown
	Manifest Manifest
}

// Failure names a release that failed its trial.
type Failure struct {
	Version  uint64
	Manifest Manifest
}

// Record is the whole slot record. The zero Record has no bootable slot.
type Record struct {
	A, B      Slot
	Preferred Name      // the slot to boot among equals; "" = none
	Departed  Name      // left for, and since then neither ready nor ended on purpose; "" = none
	Asked     Ask       // why the next boot is to stop in recovery, not to try a slot; "" = it is not
	Failed    []Failure // oldest first, at most MaxFailed
	Reason    string    // why the last change was made, for people
}

// Ask is why the next boot is to stop in recovery.
type Ask string

// The reasons. The zero Ask is none.
const (
	AskedByPerson Ask = "recovery" // a person wants it
	AskedForKey   Ask = "key"      // the data key does not open on this machine: no release can help, a recovery code can
)

// Slot returns what is known of one slot; the zero Slot for no name.
func (r Record) Slot(n Name) Slot {
	switch n {
	case A:
		return r.A
	case B:
		return r.B
	}
	return Slot{State: Empty}
}

// with returns the record with one slot replaced. It never shares memory with r.
func (r Record) with(n Name, s Slot, reason string) Record {
	r.Failed = append([]Failure(nil), r.Failed...)
	r.Reason = Clip(reason)
	switch n {
	case A:
		r.A = s
	case B:
		r.B = s
	}
	return r
}

// Default is the record that stands in for a lost one: both slots Unknown, none
// preferred. Whatever verified release is there may boot, the newest first.
func Default() Record {
	return Record{A: Slot{State: Unknown}, B: Slot{State: Unknown}, Reason: "the slot record was lost"}
}

// Clip makes any text fit to be a reason: control characters become spaces,
// broken UTF-8 becomes '?', and what is too long is cut.
func Clip(text string) string {
	text = strings.Map(func(c rune) rune {
		if c == utf8.RuneError {
			return '?'
		}
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, text)
	for len(text) > MaxReason {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	return strings.TrimSpace(text)
}

// First lines. Version 1 is only read.
const (
	firstLine  = "choba slots 2"
	firstLine1 = "choba slots 1"
)

// Encode writes the record in its only spelling. It refuses what Parse would refuse.
func (r Record) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("writing slot record: %w", err)
	}
	return r.text(firstLine), nil
}

func (r Record) text(first string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\npreferred %s\n", first, r.Preferred)
	if first != firstLine1 {
		fmt.Fprintf(&b, "departed %s\nasked %s\n", r.Departed, r.Asked)
	}
	for _, n := range Names() {
		s := r.Slot(n)
		if s.State == "" {
			s.State = Empty
		}
		fmt.Fprintf(&b, "slot %s %s version %d tries %d unready %d manifest %s\n",
			n, s.State, s.Version, s.Tries, s.Unready, s.Manifest)
	}
	for _, f := range r.Failed {
		fmt.Fprintf(&b, "failed %d %s\n", f.Version, f.Manifest)
	}
	fmt.Fprintf(&b, "reason %s\n", r.Reason)
	return b.Bytes()
}

func (r Record) check() error {
	if r.Preferred != "" && r.Preferred.Other() == "" {
		return fmt.Errorf("preferred slot %.20q", r.Preferred)
	}
	if s := r.Slot(r.Departed); r.Departed != "" && !s.mayRun() {
		return fmt.Errorf("departed for slot %.20q in state %q", r.Departed, s.State)
	}
	if r.Asked != "" && r.Asked != AskedByPerson && r.Asked != AskedForKey {
		return fmt.Errorf("asked for %.20q", r.Asked)
	}
	for _, n := range Names() {
		if err := r.Slot(n).check(); err != nil {
			return fmt.Errorf("slot %s: %w", n, err)
		}
	}
	if len(r.Failed) > MaxFailed {
		return fmt.Errorf("%d failed releases, at most %d", len(r.Failed), MaxFailed)
	}
	if Clip(r.Reason) != r.Reason {
		return errors.New("reason is too long or not one printable line")
	}
	return nil
}

// mayRun says whether a release that was booted from the slot can still be running.
func (s Slot) mayRun() bool { return s.State == Trial || s.State == Good || s.State == Unknown }

func (s Slot) check() error {
	switch s.State {
	case "", Empty, Unknown:
		if s.Version != 0 || s.Manifest != (Manifest{}) {
			return fmt.Errorf("state %q names a release", s.State)
		}
	case Trial, Good, Refused:
		if s.Manifest == (Manifest{}) {
			return fmt.Errorf("state %s names no release", s.State)
		}
	default:
		return fmt.Errorf("unknown state %.20q", s.State)
	}
	if s.Tries < 0 || s.Tries > MaxTries || s.Tries != 0 && s.State != Trial {
		return fmt.Errorf("%d tries in state %s", s.Tries, s.State)
	}
	if s.Unready < 0 || s.Unready > UnreadyLimit || s.Unready != 0 && s.State != Good && s.State != Unknown {
		return fmt.Errorf("%d unready boots in state %s", s.Unready, s.State)
	}
	return nil
}

// Parse reads a record's text and refuses every spelling but Encode's.
func Parse(text []byte) (Record, error) {
	first, _, _ := strings.Cut(string(text), "\n")
	r, err := parse(string(text))
	if err == nil {
		err = r.check()
	}
	if err == nil && !bytes.Equal(r.text(first), text) {
		err = errors.New("not in its canonical spelling")
	}
	if err != nil {
		return Record{}, fmt.Errorf("reading slot record: %w", err)
	}
	return r, nil
}

func parse(text string) (r Record, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 6 || lines[0] != firstLine && lines[0] != firstLine1 || lines[len(lines)-1] != "" {
		return r, errors.New("not a slot record")
	}
	preferred, _ := strings.CutPrefix(lines[1], "preferred ")
	r.Preferred = Name(preferred)
	if lines[0] == firstLine && len(lines) >= 8 {
		departed, _ := strings.CutPrefix(lines[2], "departed ")
		asked, _ := strings.CutPrefix(lines[3], "asked ")
		r.Departed, r.Asked = Name(departed), Ask(asked)
		lines = lines[2:]
	}
	if r.A, err = parseSlot(lines[2]); err != nil {
		return r, err
	}
	if r.B, err = parseSlot(lines[3]); err != nil {
		return r, err
	}
	last := len(lines) - 2
	for _, line := range lines[4:last] {
		f, err := parseFailure(line)
		if err != nil {
			return r, err
		}
		r.Failed = append(r.Failed, f)
	}
	r.Reason, _ = strings.CutPrefix(lines[last], "reason ")
	return r, nil
}

func parseSlot(line string) (s Slot, err error) {
	w := strings.Split(line, " ")
	if len(w) != 11 {
		return s, fmt.Errorf("line %.40q: %d words", line, len(w))
	}
	s.State = State(w[2])
	if s.Version, err = strconv.ParseUint(w[4], 10, 64); err != nil {
		return s, fmt.Errorf("version: %w", err)
	}
	if s.Tries, err = strconv.Atoi(w[6]); err != nil {
		return s, fmt.Errorf("tries: %w", err)
	}
	if s.Unready, err = strconv.Atoi(w[8]); err != nil {
		return s, fmt.Errorf("unready: %w", err)
	}
	s.Manifest, err = parseManifest(w[10])
	return s, err
}

func parseFailure(line string) (f Failure, err error) {
	w := strings.Split(line, " ")
	if len(w) != 3 {
		return f, fmt.Errorf("line %.40q: %d words", line, len(w))
	}
	if f.Version, err = strconv.ParseUint(w[1], 10, 64); err != nil {
		return f, fmt.Errorf("failed release: %w", err)
	}
	f.Manifest, err = parseManifest(w[2])
	return f, err
}

func parseManifest(s string) (m Manifest, err error) {
	if len(s) != 2*len(m) {
		return m, fmt.Errorf("manifest hash of %d digits", len(s))
	}
	_, err = hex.Decode(m[:], []byte(s))
	return m, err
}
