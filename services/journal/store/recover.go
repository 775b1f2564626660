package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/choba-os/choba/services/journal/chain"
	"github.com/choba-os/choba/services/journal/entry"
	"github.com/choba-os/choba/services/journal/segment"
	"github.com/choba-os/choba/services/journal/tree"
)

// recover finds the end of the log: it replays the newest segment, cuts what was never acknowledged, and makes the
// newest hashes anew. It gives what was cut, nil when nothing was.
func (s *Store) recover() (*chain.Recovered, error) {
	if len(s.segments) == 0 {
		return nil, nil
	}
	last := len(s.segments) - 1
	file, err := s.opt.Disk.Open(s.segments[last].name())
	if err != nil {
		return nil, err
	}
	s.file = file
	forget(file)
	found, err := replay(file, s.segments[last].first)
	if err != nil {
		return nil, inSegment(s.segments[last], err)
	}
	state := found
	if found.good == 0 && last > 0 { // the newest was begun and has no commit yet: the log ends in the one before
		if state, err = s.replaySealed(s.segments[last-1]); err != nil {
			return nil, inSegment(s.segments[last-1], err)
		}
		if state.chain.Covered != s.segments[last].first {
			return nil, inSegment(s.segments[last], fmt.Errorf("the one before it ends with %d entries", state.chain.Covered))
		}
	}
	if state.good > 0 {
		if err := s.adopt(state); err != nil {
			return nil, err
		}
	}
	s.pos = found.good
	return s.cut(found)
}

// adopt takes a replayed segment as the end of the log.
func (s *Store) adopt(r replayed) error {
	if r.chain.DeviceKey != s.device.Public {
		return errors.New("the log belongs to another device key")
	}
	if err := r.signature.Check(); err != nil {
		return fmt.Errorf("the newest checkpoint: %w", err)
	}
	s.chain = r.chain
	return s.trustHashes(r)
}

// replaySealed replays a segment that was left because it was full: it must be whole.
func (s *Store) replaySealed(p place) (replayed, error) {
	f, err := s.opt.Disk.Open(p.name())
	if err != nil {
		return replayed{}, err
	}
	defer f.Close()
	forget(f)
	r, err := replay(f, p.first)
	if err == nil && (r.good == 0 || r.torn != r.good) {
		err = &segment.Damage{Offset: r.good, Cause: errors.New("the log goes on in the next segment, but not from here")}
	}
	return r, err
}

func inSegment(p place, err error) error {
	return fmt.Errorf("segment %s: %w", segment.FileName(p.first), err)
}

// replayed is what a segment holds.
type replayed struct {
	file      File
	first     uint64
	edge      []tlog.Hash // of its head
	good      int64       // end of its last whole commit, 0 when there is none
	torn      int64       // end of what lies behind it, good when nothing does
	chain     chain.Chain // after the last whole commit
	hashes    []tlog.Hash // that its entries add to the list
	signature chain.Signature
}

// replay reads a segment up to the end of its last whole commit.
func replay(f File, first uint64) (replayed, error) {
	r := replayed{file: f, first: first}
	size, err := f.Size()
	if err != nil {
		return r, err
	}
	scan := segment.NewScanner(f, 0, size)
	var c *chain.Chain
	var pending []tlog.Hash
	for err == nil {
		var rec segment.Record
		var at int64
		if rec, at, err = scan.Next(); err != nil {
			break
		}
		var added []tlog.Hash
		if c, added, err = r.step(c, rec, size); err != nil {
			return r, fmt.Errorf("at byte %d: %w", at, err)
		}
		pending = append(pending, added...)
		if rec.Kind == segment.KindCheckpoint {
			r.good, r.chain = at+rec.Len(), *c
			r.hashes, pending = append(r.hashes, pending...), nil
		}
	}
	var damage *segment.Damage
	if !errors.Is(err, io.EOF) && !errors.As(err, &damage) {
		return r, err
	}
	r.torn, err = segment.Torn(f, r.good, size)
	return r, err
}

// step takes one record. What it refuses has a right checksum, so it was not torn: it is damage.
func (r *replayed) step(c *chain.Chain, rec segment.Record, size int64) (*chain.Chain, []tlog.Hash, error) {
	switch {
	case rec.Kind == segment.KindHead && c == nil:
		h, err := segment.ParseHead(rec.Body)
		if err != nil {
			return nil, nil, err
		}
		if h.First != r.first || h.Bytes != size {
			return nil, nil, fmt.Errorf("it says that it begins with entry %d and has %d bytes", h.First, h.Bytes)
		}
		r.edge = h.Edge
		c, err = chain.Start(h)
		return c, nil, err
	case rec.Kind == segment.KindEntry && c != nil:
		e, err := entry.Peek(rec.Body) // the newest checkpoint signs for the rest
		if err != nil {
			return nil, nil, err
		}
		added, err := c.Entry(e, tlog.RecordHash(rec.Body))
		return c, added, err
	case rec.Kind == segment.KindCheckpoint && c != nil:
		var err error
		r.signature, err = c.Commit(rec.Body)
		return c, nil, err
	}
	return nil, nil, fmt.Errorf("a %v has no place here", rec.Kind)
}

// trustHashes sets up the list: its part before the newest segment must lead to the edge in the segment's head, the
// rest is written anew. Hashes are written only after their entries are durable, so a list that is longer than the
// log proves that entries are gone.
func (s *Store) trustHashes(r replayed) error {
	size, err := s.hashes.Size()
	if err != nil {
		return err
	}
	before, now := tree.Count(r.first), tree.Count(r.chain.Covered)
	if err := s.noMore(now*tlog.HashSize, size, r); err != nil {
		return err
	}
	s.list = tree.NewList(s.hashes, min(before, size/tlog.HashSize))
	edge, err := tree.EdgeOf(r.first, s.list)
	if err != nil || !equal(edge.Hashes, r.edge) {
		s.opt.Log.Warn("the list of hashes does not fit the log and is made anew")
		if err := s.rebuild(r.first); err != nil {
			return err
		}
	}
	s.list.Append(r.hashes...)
	if err := s.list.Flush(); err != nil {
		s.opt.Log.WithError(err).Warn("the list of hashes stays behind")
	}
	return nil
}

func equal(a, b []tlog.Hash) bool {
	for i := range a {
		if len(a) != len(b) || a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

func (s *Store) noMore(from, size int64, r replayed) error {
	if size <= from {
		return nil
	}
	end, err := segment.Blank(s.hashes, from, size)
	if err != nil {
		return err
	}
	if end != from {
		return inSegment(place{r.first}, &segment.Damage{Offset: r.good, Cause: errors.New(
			"the list of hashes names entries that were acknowledged and are no longer there")})
	}
	return nil
}

// rebuild makes the list anew from all segments before the one that begins with the entry end.
func (s *Store) rebuild(end uint64) error {
	s.list = tree.NewList(s.hashes, 0)
	for _, p := range s.segments {
		if p.first >= end {
			break
		}
		r, err := s.replaySealed(p)
		if err != nil {
			return inSegment(p, err)
		}
		s.list.Append(r.hashes...)
		if err := s.list.Flush(); err != nil {
			return err
		}
	}
	if s.list.Len() != tree.Count(end) {
		return fmt.Errorf("making the list of hashes anew: %d hashes for %d entries", s.list.Len(), end)
	}
	return s.hashes.Sync()
}

// cut makes zeros of what was never acknowledged. What is cut is noted in a file before, so that a power cut in
// between does not lose the note; it may then be recorded twice.
func (s *Store) cut(r replayed) (*chain.Recovered, error) {
	note, err := s.readCut()
	if err != nil {
		return nil, err
	}
	if r.torn == r.good {
		return note, nil
	}
	torn := make([]byte, r.torn-r.good)
	if _, err := r.file.ReadAt(torn, r.good); err != nil {
		return nil, err
	}
	if note == nil {
		sum := sha256.Sum256(torn)
		note = &chain.Recovered{Segment: segment.FileName(r.first), Offset: r.good, Bytes: int64(len(torn)), SHA256: hex.EncodeToString(sum[:])}
		text, err := json.Marshal(note)
		if err != nil {
			return nil, err
		}
		if err := s.writeSmall(cutName, text); err != nil {
			return nil, err
		}
	}
	s.opt.Log.WithField("segment", note.Segment).WithField("bytes", note.Bytes).Warn("an unfinished write was cut")
	if _, err := r.file.WriteAt(make([]byte, len(torn)), r.good); err != nil {
		return nil, err
	}
	return note, r.file.Sync()
}

func (s *Store) readCut() (*chain.Recovered, error) {
	text, err := s.readSmall(cutName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var note chain.Recovered
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&note); err != nil {
		return nil, fmt.Errorf("reading the note of a cut: %w", err)
	}
	return &note, nil
}

// forgetCut removes the note when it is recorded.
func (s *Store) forgetCut(note *chain.Recovered) error {
	if note == nil {
		return nil
	}
	if err := s.opt.Disk.Remove(cutName); err != nil {
		return err
	}
	return s.opt.Disk.SyncDir(".")
}
