// Package history is what recovery and init did while no journal could be
// written: a ring of small records in the state partition. Why a slot was passed
// over, why a release was refused, that a person asked for something. The next
// good boot copies the new ones into the journal, under "recovery." and their kind.
//
// One record is one sector, an image/frame of 512 bytes with magic CHOBA-HISTORY-1;
// the frame's generation is the record's number. Record n lies in sector n modulo
// Records, so that a new one replaces the oldest. The payload is one line:
//
//	<milliseconds since 1970> <kind> <JSON object>
//
// It is not a journal: whoever can write the disk can write it, and the oldest
// records go. It decides nothing at a boot either; that is image/slot. The rule that
// keeps it small: a record is written once, in one write with a flush, and what does
// not read back as a whole record was never there.
package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
)

// Sizes and limits.
const (
	RecordSize = layout.Sector                   // bytes of one record
	Records    = layout.HistorySize / RecordSize // how many the ring holds
	MaxText    = 400                             // bytes of a record's text
	MaxKind    = 24                              // bytes of a record's kind

	magic  = "CHOBA-HISTORY-1"
	maxSeq = 1 << 62 // a higher number was not counted up to
)

// Kinds of records. The list only grows.
const (
	Passed    = "passed"    // a slot was not booted: slot, reason
	Failed    = "failed"    // a release was refused because of what it did: slot, version, reason, evidence
	Lost      = "lost"      // the slot record or a copy of it could not be read: what, reason
	Jumped    = "jumped"    // recovery goes on in the slot's own kernel: slot, version
	Restarted = "restarted" // recovery could neither go on nor choose again: reason
	Stopped   = "stopped"   // no slot could be booted, or a person asked for recovery: reason
	Asked     = "asked"     // a person asked for recovery at the next boot: by

	copied = "copied" // everything up to a number is in the journal; written by MarkCopied
)

// Entry is one record.
type Entry struct {
	Seq  uint64    // 1, 2, 3 …; given by Append
	Kind string    // lower-case words joined by dots or hyphens
	Wall time.Time // to the millisecond, UTC; as wrong as the machine's clock was
	Text string    // one JSON object on one line, at most MaxText bytes: see Text
}

// Load returns all whole records, oldest first. Sectors that hold something else
// (never written, torn, damaged) are left out; only a disk that cannot be read at
// all is an error, and even then what was read is returned.
func Load(r io.ReaderAt) ([]Entry, error) {
	ring := make([]byte, layout.HistorySize)
	n, err := r.ReadAt(ring, layout.HistoryStart)
	if n == len(ring) {
		err = nil
	}
	var all []Entry
	for i := 0; (i+1)*RecordSize <= n; i++ {
		e, ok := decode(ring[i*RecordSize : (i+1)*RecordSize])
		if ok && e.Seq%Records == uint64(i) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return int(int64(a.Seq) - int64(b.Seq)) })
	if err != nil {
		return all, fmt.Errorf("reading history: %w", err)
	}
	return all, nil
}

// Append writes e as the newest record and flushes; e.Seq is not looked at. When it
// returns, the record survives a power cut; cut short, the record is there or not,
// and only the place of the oldest one was touched.
func Append(d frame.Device, e Entry) error {
	all, err := Load(d)
	if err != nil {
		return err
	}
	return write(d, all, e)
}

func write(d frame.Device, all []Entry, e Entry) error {
	// A number that was marked as copied is not given again, even when its record was
	// damaged since: the new one would be taken for copied.
	e.Seq = Copied(all) + 1
	if len(all) > 0 {
		e.Seq = max(e.Seq, all[len(all)-1].Seq+1)
	}
	block, err := encode(e)
	if err != nil {
		return err
	}
	if _, err := d.WriteAt(block, layout.HistoryStart+int64(e.Seq%Records)*RecordSize); err != nil {
		return fmt.Errorf("writing history: %w", err)
	}
	if err := d.Sync(); err != nil {
		return fmt.Errorf("flushing history: %w", err)
	}
	return nil
}

// MarkCopied writes down that every record up to seq is in the journal. It writes
// nothing when that is known already.
func MarkCopied(d frame.Device, seq uint64) error {
	all, err := Load(d)
	if err != nil || seq <= Copied(all) {
		return err
	}
	if len(all) == 0 || seq > all[len(all)-1].Seq {
		return fmt.Errorf("marking history as copied: there is no record %d", seq)
	}
	wall := all[len(all)-1].Wall // nobody reads it: no clock for it
	return write(d, all, Entry{Kind: copied, Wall: wall, Text: fmt.Sprintf(`{"to":%d}`, seq)})
}

// Copied is the number up to which the records are in the journal; 0 = none.
func Copied(all []Entry) (to uint64) {
	for _, e := range all {
		var mark struct{ To uint64 }
		if e.Kind == copied && json.Unmarshal([]byte(e.Text), &mark) == nil && mark.To < e.Seq {
			to = max(to, mark.To)
		}
	}
	return to
}

// Fresh are the records that still have to be copied into the journal, oldest first.
// When all are, pass the last one's Seq to MarkCopied.
func Fresh(all []Entry) []Entry {
	to := Copied(all)
	return slices.DeleteFunc(slices.Clone(all), func(e Entry) bool { return e.Seq <= to || e.Kind == copied })
}

// Text makes a record's text out of names and values, which take turns. The values'
// ends are cut off, the longest first, until the text fits.
func Text(pairs ...string) string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = strings.ToValidUTF8(pairs[i+1], "?")
	}
	for {
		text, err := json.Marshal(m)
		if err == nil && len(text) <= MaxText {
			return string(text)
		}
		longest := ""
		for name := range m {
			if len(m[name]) > len(m[longest]) || len(m[name]) == len(m[longest]) && name < longest {
				longest = name
			}
		}
		if m[longest] == "" {
			return "{}"
		}
		m[longest] = strings.ToValidUTF8(m[longest][:len(m[longest])-1], "")
	}
}

func encode(e Entry) ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("writing history: %w", err)
	}
	line := fmt.Sprintf("%d %s %s", e.Wall.UnixMilli(), e.Kind, e.Text)
	return frame.Encode(magic, e.Seq, []byte(line), RecordSize)
}

func decode(block []byte) (Entry, bool) {
	payload, seq, err := frame.Decode(magic, block)
	if err != nil {
		return Entry{}, false
	}
	wall, rest, _ := strings.Cut(string(payload), " ")
	ms, err := strconv.ParseInt(wall, 10, 64)
	if err != nil || strconv.FormatInt(ms, 10) != wall {
		return Entry{}, false
	}
	e := Entry{Seq: seq, Wall: time.UnixMilli(ms).UTC()}
	e.Kind, e.Text, _ = strings.Cut(rest, " ")
	return e, e.check() == nil
}

func (e Entry) check() error {
	switch {
	case e.Seq < 1 || e.Seq >= maxSeq:
		return fmt.Errorf("record number %d", e.Seq)
	case !goodKind(e.Kind):
		return fmt.Errorf("kind %.40q: want 1 to %d lower-case letters, dots and hyphens", e.Kind, MaxKind)
	case len(e.Text) > MaxText || !strings.HasPrefix(e.Text, "{") || strings.ContainsAny(e.Text, "\n\r") || !json.Valid([]byte(e.Text)):
		return fmt.Errorf("text %.80q: want a JSON object on one line, at most %d bytes", e.Text, MaxText)
	case e.Wall.UnixMilli() < -1<<53 || e.Wall.UnixMilli() > 1<<53:
		return errors.New("time is out of range")
	}
	return nil
}

func goodKind(s string) bool {
	return s != "" && len(s) <= MaxKind && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz.-") == ""
}
