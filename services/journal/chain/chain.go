// Package chain is what must hold from one record of the log to the next: numbers without gaps, time that does not
// run back within a boot, sessions that the device key vouches for, checkpoints over exactly the entries before them.
//
// The journal replays its newest segment through it when it starts, the verifier a whole log. It knows no files and
// no offsets, and it does not check a checkpoint's signature itself: it says which key must have made it, since one
// caller wants all of them checked on all cores and the other only the last. The rule that keeps it small: one
// record at a time, state or error, and an error leaves the state as it was.
package chain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/choba-os/choba/services/journal/checkpoint"
	"github.com/choba-os/choba/services/journal/entry"
	"github.com/choba-os/choba/services/journal/segment"
	"github.com/choba-os/choba/services/journal/tree"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The journal's own name, and the kinds of its own entries.
const (
	Service       = "journal"
	OwnKinds      = "journal."
	KindDevice    = "journal.device"    // entry 0: the device key's certificate for itself
	KindSession   = "journal.session"   // the device key's certificate for the key of a session
	KindRecovered = "journal.recovered" // a torn write was cut away; content is Recovered
)

// Certificate is the content of KindDevice and KindSession.
type Certificate struct {
	Certificate string `json:"certificate"` // signed note
}

// Recovered is the content of KindRecovered: the bytes of an unfinished, never acknowledged commit were made zeros.
type Recovered struct {
	Segment string `json:"segment"`
	Offset  int64  `json:"offset"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"` // of the bytes, hexadecimal
}

// Fault is the class of what does not hold, for those who must say it in plain words.
type Fault string

// The classes.
const (
	FaultNumber     Fault = "number"     // an entry is missing, doubled or out of order
	FaultTime       Fault = "time"       // time runs back, or an entry is of another boot than its session
	FaultOwner      Fault = "owner"      // the journal's own kinds in another's name, or the reverse
	FaultDevice     Fault = "device"     // the device key's certificate
	FaultSession    Fault = "session"    // a session's certificate, or its place
	FaultCheckpoint Fault = "checkpoint" // a checkpoint is not over the entries that are there
	FaultSegment    Fault = "segment"    // a segment does not go on where the one before it ended
)

// Broken is a record that does not fit what came before it.
type Broken struct {
	Fault Fault
	Cause error
}

func (b *Broken) Error() string { return b.Cause.Error() }
func (b *Broken) Unwrap() error { return b.Cause }

func broken(f Fault, format string, args ...any) error {
	return &Broken{f, fmt.Errorf(format, args...)}
}

// Chain is the state after some records. Its fields are for reading.
type Chain struct {
	Origin     string
	Device     note.Verifier
	DeviceKey  string // the same as a note verifier key
	Edge       tree.Edge
	Covered    uint64    // entries under the last checkpoint
	Root       tlog.Hash // of the tree under it
	Checkpoint string    // the last one; empty before the first
	Signed     string    // certificate of the session that signed it
	Session    checkpoint.Session
	Last       entry.Entry // the last entry, without content; meaningful when Edge.Size > 0 and it was seen

	certificate string        // of Session
	key         note.Verifier // of Session; nil before the first session
}

// Start begins with a segment's head, on its own word: the caller compares DeviceKey with what it trusts. The
// signatures of certificate and checkpoint are checked.
func Start(h segment.Head) (*Chain, error) {
	c := &Chain{Origin: h.Origin, DeviceKey: h.Device}
	var err error
	if c.Device, err = note.NewVerifier(h.Device); err != nil {
		return nil, fmt.Errorf("the segment's device key: %w", err)
	}
	if r := checkpoint.Register(h.Origin); r == "" || c.Device.Name() != checkpoint.DeviceName(r) {
		return nil, fmt.Errorf("the device key of %q does not answer for the log %q", c.Device.Name(), h.Origin)
	}
	if c.Edge, err = tree.NewEdge(h.First, h.Edge); err != nil {
		return nil, err
	}
	c.Covered, c.Root = h.First, c.Edge.Root()
	if h.First == 0 {
		return c, nil
	}
	if c.Session, err = checkpoint.OpenSession([]byte(h.Session), c.Device); err != nil {
		return nil, err
	}
	if c.key, err = note.NewVerifier(c.Session.Key); err != nil {
		return nil, err
	}
	if c.Session.Origin != h.Origin {
		return nil, errors.New("the session's certificate is of another log")
	}
	if _, err := c.matches([]byte(h.Checkpoint)); err != nil {
		return nil, err
	}
	if err := (Signature{c.key, []byte(h.Checkpoint)}).Check(); err != nil {
		return nil, err
	}
	c.certificate, c.Signed, c.Checkpoint = h.Session, h.Session, h.Checkpoint
	return c, nil
}

// Head is the head of a segment that begins here, in a file of that size.
func (c *Chain) Head(bytes int64) segment.Head {
	return segment.Head{Origin: c.Origin, First: c.Edge.Size, Bytes: bytes, Device: c.DeviceKey,
		Session: c.Signed, Checkpoint: c.Checkpoint, Edge: c.Edge.Hashes}
}

// Continue checks that a segment with this head goes on where the chain is.
func (c *Chain) Continue(h segment.Head) error {
	if err := c.follows(h); err != nil {
		return &Broken{FaultSegment, err}
	}
	return nil
}

func (c *Chain) follows(h segment.Head) error {
	want := c.Head(h.Bytes)
	switch {
	case c.Covered != c.Edge.Size:
		return errors.New("a segment begins before a checkpoint ends the one before it")
	case h.Origin != want.Origin:
		return fmt.Errorf("the segment is of the log %q, want %q", h.Origin, want.Origin)
	case h.First != want.First:
		return fmt.Errorf("the segment begins with entry %d, want %d", h.First, want.First)
	case h.Device != want.Device:
		return errors.New("the segment names another device key")
	case h.Session != want.Session || h.Checkpoint != want.Checkpoint:
		return errors.New("the segment begins with another checkpoint than the one before it ends with")
	}
	a, err := segment.EncodeHead(h)
	if err != nil {
		return err
	}
	b, err := segment.EncodeHead(want)
	if err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return errors.New("the segment begins with another tree than the one before it ends with")
	}
	return nil
}

// Entry takes the next entry, whose stored bytes hash to leaf, and gives what it adds to the list of hashes.
func (c *Chain) Entry(e entry.Entry, leaf tlog.Hash) ([]tlog.Hash, error) {
	if e.Seq != c.Edge.Size {
		return nil, broken(FaultNumber, "entry %d stands where entry %d must be", e.Seq, c.Edge.Size)
	}
	if (e.Service == Service) != strings.HasPrefix(e.Kind, OwnKinds) {
		return nil, broken(FaultOwner, "entry %d: an entry of kind %s from %q", e.Seq, e.Kind, e.Service)
	}
	next := *c
	switch {
	case e.Seq == 0 || e.Kind == KindDevice:
		if err := next.device(e); err != nil {
			return nil, broken(FaultDevice, "entry %d: %w", e.Seq, err)
		}
	case e.Kind == KindSession:
		if err := next.session(e); err != nil {
			return nil, broken(FaultSession, "entry %d: %w", e.Seq, err)
		}
	case c.key == nil:
		return nil, broken(FaultSession, "entry %d: no session has begun", e.Seq)
	}
	if next.key != nil {
		if err := c.time(e, next.Session.Boot); err != nil {
			return nil, broken(FaultTime, "entry %d: %w", e.Seq, err)
		}
	}
	var added []tlog.Hash
	next.Edge, added = c.Edge.Append(leaf)
	next.Last = e
	next.Last.Content = nil
	*c = next
	return added, nil
}

func (c *Chain) time(e entry.Entry, boot string) error {
	if e.Boot != boot {
		return errors.New("its boot is not the session's")
	}
	if e.Boot == c.Last.Boot && e.Mono < c.Last.Mono {
		return fmt.Errorf("the time since boot runs back by %v", time.Duration(c.Last.Mono-e.Mono))
	}
	return nil
}

func (c *Chain) device(e entry.Entry) error {
	if e.Seq != 0 || e.Kind != KindDevice {
		return fmt.Errorf("%s must be entry 0 and nothing else", KindDevice)
	}
	text, err := certificate(e)
	if err != nil {
		return err
	}
	d, err := checkpoint.OpenDevice([]byte(text))
	if err != nil {
		return err
	}
	if d.Origin != c.Origin || d.Key != c.DeviceKey {
		return errors.New("the device certificate is of another log or key than the segment's head")
	}
	return nil
}

// session lets a new key sign from here on. A session begins right behind a checkpoint (in a new log: behind the
// device's certificate), so that the tree its certificate names is the one that was signed last.
func (c *Chain) session(e entry.Entry) error {
	first := c.Covered
	if first == 0 {
		first = 1
	}
	if e.Seq != first {
		return errors.New("a session begins in the middle of a commit")
	}
	text, err := certificate(e)
	if err != nil {
		return err
	}
	s, err := checkpoint.OpenSession([]byte(text), c.Device)
	if err != nil {
		return err
	}
	switch {
	case s.Origin != c.Origin:
		return errors.New("the session's certificate is of another log")
	case s.Number != c.Session.Number+1:
		return fmt.Errorf("session %d follows session %d", s.Number, c.Session.Number)
	case s.Size != c.Covered || s.Root != c.Root:
		return errors.New("the session's certificate was made for another tree")
	case s.Key == c.Session.Key:
		return errors.New("the session uses the key of the one before it")
	}
	if c.key, err = note.NewVerifier(s.Key); err != nil {
		return err
	}
	c.Session, c.certificate = s, text
	return nil
}

func certificate(e entry.Entry) (string, error) {
	var v Certificate
	d := json.NewDecoder(bytes.NewReader(e.Content))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return "", fmt.Errorf("its certificate: %w", err)
	}
	return v.Certificate, nil
}

// Commit takes the next checkpoint and gives the signature that the caller must check.
func (c *Chain) Commit(signed []byte) (Signature, error) {
	switch {
	case c.key == nil:
		return Signature{}, broken(FaultCheckpoint, "a checkpoint before any session")
	case c.Edge.Size == c.Covered:
		return Signature{}, broken(FaultCheckpoint, "a second checkpoint over %d entries", c.Covered)
	}
	root, err := c.matches(signed)
	if err != nil {
		return Signature{}, &Broken{FaultCheckpoint, err}
	}
	c.Covered, c.Root, c.Checkpoint, c.Signed = c.Edge.Size, root, string(signed), c.certificate
	return Signature{c.key, []byte(c.Checkpoint)}, nil
}

// matches compares a checkpoint's text with the tree as it is. One signature must stand below it: what witnesses
// add is kept elsewhere.
func (c *Chain) matches(signed []byte) (tlog.Hash, error) {
	want := checkpoint.Tree{Origin: c.Origin, Size: c.Edge.Size, Root: c.Edge.Root()}
	rest, ok := strings.CutPrefix(string(signed), want.Text()+"\n")
	if !ok {
		return tlog.Hash{}, fmt.Errorf("the checkpoint after entry %d is not over the entries that are there", c.Edge.Size-1)
	}
	if strings.Count(rest, "\n") != 1 || !strings.HasSuffix(rest, "\n") {
		return tlog.Hash{}, fmt.Errorf("the checkpoint after entry %d has not exactly one signature", c.Edge.Size-1)
	}
	return want.Root, nil
}

// Signature is a checkpoint and the key that must have signed it.
type Signature struct {
	Key    note.Verifier
	Signed []byte
}

// Check verifies the signature.
func (s Signature) Check() error {
	_, err := checkpoint.Open(s.Signed, s.Key)
	return err
}
