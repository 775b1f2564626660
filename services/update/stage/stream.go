package stage

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/source"
)

// enough bytes in a row make a source count as well again. Fewer do not: a source that sends one byte and hangs up
// must run out of tries.
const enough = 64 << 10

// stream reads a stretch of a file at a source, over as many requests as it takes.
type stream struct {
	ctx      context.Context
	from     Ranger
	retry    func(ctx context.Context, failures int) error
	path     string
	at, end  int64
	body     io.ReadCloser
	failures int
	well     int64 // bytes since the last failure
	counts   *Counts
}

func (s *Stager) stream(ctx context.Context, path string, from, n int64, counts *Counts) *stream {
	return &stream{ctx: ctx, from: s.Source, retry: s.Retry, path: path, at: from, end: from + n, counts: counts}
}

// Read asks again, from where it stopped, as long as retry lets it.
func (s *stream) Read(p []byte) (int, error) {
	if s.at >= s.end {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), s.end-s.at)]
	for {
		n, err := s.read(p)
		if n > 0 {
			return n, nil // an error with it comes again
		}
		if err == nil {
			continue
		}
		if err := s.again(err); err != nil {
			return 0, err
		}
	}
}

func (s *stream) read(p []byte) (int, error) {
	if s.body == nil {
		body, err := s.from.Range(s.ctx, s.path, s.at, s.end-s.at)
		if err != nil {
			return 0, err
		}
		s.body = body
	}
	n, err := s.body.Read(p)
	n = min(n, len(p))
	s.at += int64(n)
	s.well += int64(n)
	s.counts.Fetched += int64(n)
	if s.well >= enough {
		s.failures = 0
	}
	return n, err
}

// again ends a request that failed, and waits for the next one or says that there will be none.
func (s *stream) again(why error) error {
	if errors.Is(why, io.EOF) {
		why = fmt.Errorf("the source ended at %d of %d bytes: %w", s.at, s.end, io.ErrUnexpectedEOF)
	}
	s.close()
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if errors.Is(why, source.ErrMissing) || errors.Is(why, source.ErrTooLarge) {
		return why
	}
	s.failures++
	s.well = 0
	if err := s.retry(s.ctx, s.failures); err != nil {
		return errors.Join(why, err)
	}
	return nil
}

// close gives up the open request. Its own error is of no use to anybody: all bytes that counted were checked.
func (s *stream) close() {
	if s.body != nil {
		_ = s.body.Close()
		s.body = nil
	}
}
