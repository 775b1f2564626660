package store

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/choba-os/choba/services/journal/segment"
)

// errEnough, from fn, ends Read early and without an error.
var errEnough = errors.New("enough")

// Read gives fn the bytes of the entries numbered from and above, oldest first, up to the newest at the time of the
// call. The bytes are fn's only during the call; its error ends the reading and is returned.
func (s *Store) Read(from uint64, fn func(seq uint64, text []byte) error) error {
	s.mu.RLock()
	segments, end, size := s.segments, s.pos, s.chain.Covered
	s.mu.RUnlock()
	if from >= size {
		return nil
	}
	begin := sort.Search(len(segments), func(i int) bool { return segments[i].first > from }) - 1
	for i := begin; i < len(segments); i++ {
		limit := s.opt.SegmentBytes
		if i == len(segments)-1 {
			limit = end
		}
		err := s.readSegment(segments[i], limit, func(seq uint64, text []byte) error {
			switch {
			case seq < from:
				return nil
			case seq >= size:
				return errEnough
			}
			return fn(seq, text)
		})
		if err == errEnough {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the journal: %w", err)
		}
	}
	return nil
}

func (s *Store) readSegment(p place, limit int64, fn func(uint64, []byte) error) error {
	f, err := s.opt.Disk.Open(p.name())
	if err != nil {
		return err
	}
	defer f.Close()
	scan, seq := segment.NewScanner(f, 0, limit), p.first
	for {
		rec, _, err := scan.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return inSegment(p, err)
		}
		if rec.Kind != segment.KindEntry {
			continue
		}
		if err := fn(seq, rec.Body); err != nil {
			return err
		}
		seq++
	}
}

// Prove gives the entry with that number and its proof under the newest head; ErrNone when there is none.
func (s *Store) Prove(seq uint64) (Recorded, error) {
	s.mu.RLock()
	c := s.chain
	s.mu.RUnlock()
	if seq >= c.Covered {
		return Recorded{}, ErrNone
	}
	var text []byte
	err := s.Read(seq, func(_ uint64, found []byte) error {
		text = append(text, found...)
		return errEnough
	})
	if err != nil || text == nil {
		return Recorded{}, fmt.Errorf("reading entry %d: %w", seq, err)
	}
	return s.prove(text, seq, &c)
}
