package store

import (
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/choba-os/choba/services/journal/chain"
	"github.com/choba-os/choba/services/journal/checkpoint"
	"github.com/choba-os/choba/services/journal/entry"
	"github.com/choba-os/choba/services/journal/segment"
)

// draft is a commit before it is on disk.
type draft struct {
	chain   chain.Chain // after the commit
	records []segment.Record
	hashes  []tlog.Hash // what it adds to the list
	taken   []taken
}

func (d *draft) add(kind segment.Kind, body []byte) {
	d.records = append(d.records, segment.Record{Kind: kind, Body: body})
}

// bytes are the commit as it stands at the offset begin.
func (d *draft) bytes(begin int64) []byte {
	var b []byte
	for _, r := range d.records {
		r.Begin = begin
		b = segment.Append(b, r)
	}
	return b
}

type taken struct {
	request *request
	text    []byte
	seq     uint64
}

// commit writes the batch as one commit and answers every request in it, except when it gives an error: ErrFull
// (nothing was written), or one of the disk (nothing is known). own entries may use what is kept free for them.
func (s *Store) commit(batch []*request, own bool) error {
	d, err := s.draft(batch)
	if err != nil || len(d.taken) == 0 {
		return err
	}
	if err := s.write(d, own); err != nil {
		return err
	}
	s.list.Append(d.hashes...)
	s.mu.Lock()
	s.chain = d.chain
	s.mu.Unlock()
	if err := s.list.Flush(); err != nil { // kept in memory and tried again with the next commit
		s.opt.Log.WithError(err).Warn("the list of hashes stays behind")
	}
	for _, t := range d.taken {
		recorded, err := s.prove(t.text, t.seq, &d.chain)
		t.request.done <- result{recorded: recorded, err: err}
	}
	return nil
}

// draft makes the entries and the checkpoint. A request whose entry cannot be made is answered here.
func (s *Store) draft(batch []*request) (draft, error) {
	d := draft{chain: s.chain}
	for _, r := range batch {
		e := s.stamp(r, &d.chain)
		text, err := entry.Encode(e)
		if err != nil {
			r.done <- result{err: err}
			continue
		}
		added, err := d.chain.Entry(e, tlog.RecordHash(text))
		if err != nil {
			return draft{}, fmt.Errorf("the journal would break its own rules: %w", err)
		}
		d.hashes = append(d.hashes, added...)
		d.add(segment.KindEntry, text)
		d.taken = append(d.taken, taken{request: r, text: text, seq: e.Seq})
	}
	if len(d.taken) == 0 {
		return d, nil
	}
	head := checkpoint.Tree{Origin: d.chain.Origin, Size: d.chain.Edge.Size, Root: d.chain.Edge.Root()}
	signed, err := checkpoint.Sign(head, s.key)
	if err != nil {
		return draft{}, err
	}
	if _, err := d.chain.Commit(signed); err != nil {
		return draft{}, fmt.Errorf("the journal would break its own rules: %w", err)
	}
	d.add(segment.KindCheckpoint, signed)
	return d, nil
}

// stamp gives an event its number and time.
func (s *Store) stamp(r *request, c *chain.Chain) entry.Entry {
	wall, mono := s.opt.Clock.Now()
	if last := c.Last; c.Edge.Size > 0 && last.Boot == s.opt.Clock.Boot {
		mono = max(mono, last.Mono)
	}
	return entry.Entry{Seq: c.Edge.Size, Wall: wall.UTC().Truncate(time.Microsecond), Mono: mono,
		Boot: s.opt.Clock.Boot, Service: r.service, Event: r.event}
}

// write puts the commit on disk: into the segment where it fits, else into the next one, behind a head.
func (s *Store) write(d draft, own bool) error {
	room := s.opt.SegmentBytes - s.pos
	if !own && !s.spare.there() {
		room -= min(reserveBytes, s.opt.SegmentBytes/4)
	}
	at, bytes := s.pos, d.bytes(s.pos)
	if s.pos == 0 || int64(len(bytes)) > room {
		head, err := segment.EncodeHead(s.chain.Head(s.opt.SegmentBytes))
		if err != nil {
			return err
		}
		at, bytes = 0, append(segment.Append(nil, segment.Record{Kind: segment.KindHead, Body: head}), d.bytes(0)...)
		if int64(len(bytes)) > s.opt.SegmentBytes {
			return ErrFull // of a segment made too small for one commit; the batch is halved
		}
		if err := s.roll(); err != nil {
			return err
		}
	}
	if _, err := s.file.WriteAt(bytes, at); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.mu.Lock()
	s.pos = at + int64(len(bytes))
	s.mu.Unlock()
	return nil
}

// roll makes the spare the segment that is written next. The hashes of all entries before it are made durable first:
// recovery trusts them and makes anew only those of the newest segment.
func (s *Store) roll() error {
	if s.pos == 0 && len(s.segments) > 0 { // the newest segment is still empty: it is the next one already
		return nil
	}
	if err := s.spare.take(); err != nil {
		return err
	}
	if err := s.list.Flush(); err != nil {
		s.spare.giveBack()
		return full(err)
	}
	if err := s.hashes.Sync(); err != nil {
		return err
	}
	next := place{first: s.chain.Edge.Size}
	if err := s.opt.Disk.Rename(spareName, next.name()); err != nil {
		return err
	}
	if err := s.opt.Disk.SyncDir(logDir); err != nil {
		return err
	}
	if err := s.opt.Disk.SyncDir("."); err != nil {
		return err
	}
	file, err := s.opt.Disk.Open(next.name())
	if err != nil {
		return err
	}
	if s.file != nil {
		s.file.Close() // nothing in it is unsynced
	}
	s.file = file
	s.mu.Lock()
	s.segments = append(s.segments, next)
	s.pos = 0
	s.mu.Unlock()
	s.spare.wanted()
	return nil
}

// full tells a full disk from a failed one.
func full(err error) error {
	if IsFull(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// prove makes the proof of an entry under the head of c.
func (s *Store) prove(text []byte, seq uint64, c *chain.Chain) (Recorded, error) {
	path, err := tlog.ProveRecord(int64(c.Covered), int64(seq), s.list)
	if err != nil {
		return Recorded{}, fmt.Errorf("proving entry %d: %w", seq, err)
	}
	if err := tlog.CheckRecord(path, int64(c.Covered), c.Root, int64(seq), tlog.RecordHash(text)); err != nil {
		return Recorded{}, fmt.Errorf("proving entry %d: the list of hashes does not fit the log: %w", seq, err)
	}
	r := Recorded{Entry: text, Index: seq, Size: c.Covered, Path: make([][]byte, len(path)), Checkpoint: c.Checkpoint}
	for i := range path {
		r.Path[i] = path[i][:]
	}
	return r, nil
}
