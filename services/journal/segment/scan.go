package segment

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Damage is a place that holds no whole record where one must be.
type Damage struct {
	Offset int64
	Cause  error
}

func (d *Damage) Error() string { return fmt.Sprintf("at byte %d: %v", d.Offset, d.Cause) }
func (d *Damage) Unwrap() error { return d.Cause }

// Scanner reads the records of a segment one after another, in bounded memory.
type Scanner struct {
	in    *bufio.Reader
	at    int64
	begin int64 // of the commit that at is in
	skip  int
}

// NewScanner reads r from the offset from, where a commit begins, up to size.
func NewScanner(r io.ReaderAt, from, size int64) *Scanner {
	in := io.NewSectionReader(r, from, max(0, size-from))
	return &Scanner{in: bufio.NewReaderSize(in, int(min(2*MaxRecord, in.Size()+HeadBytes))), at: from, begin: from}
}

// Next gives the next record and its offset. The body is valid until the next call. io.EOF means that zeros or the
// end of the file come next (Blank tells whether only zeros do); a *Damage means anything else; other errors are of
// reading.
func (s *Scanner) Next() (Record, int64, error) {
	s.in.Discard(s.skip)
	s.skip = 0
	head, err := s.in.Peek(HeadBytes)
	if err != nil && err != io.EOF {
		return Record{}, s.at, fmt.Errorf("reading at byte %d: %w", s.at, err)
	}
	if len(bytes.Trim(head, "\x00")) == 0 {
		return Record{}, s.at, io.EOF
	}
	_, length, cause := parseHead(head)
	if cause != nil {
		return Record{}, s.at, &Damage{s.at, cause}
	}
	whole, err := s.in.Peek(HeadBytes + length)
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull { // the buffer holds all of a file that is short
		return Record{}, s.at, fmt.Errorf("reading at byte %d: %w", s.at, err)
	}
	r, cause := Parse(whole)
	if cause == nil && r.Begin != s.begin {
		cause = ErrBegin
	}
	if cause != nil {
		return Record{}, s.at, &Damage{s.at, cause}
	}
	at := s.at
	s.skip = int(r.Len())
	s.at += r.Len()
	if r.Kind == KindCheckpoint {
		s.begin = s.at
	}
	return r, at, nil
}

// Find gives the first whole record at or after from: where its commit begins, where it lies and where it ends. ok is
// false when there is none.
func Find(r io.ReaderAt, from, size int64) (begin, at, end int64, ok bool, err error) {
	const step = 1 << 20
	buf := make([]byte, max(0, min(step+MaxRecord, size-from)))
	for base := from; base < size; base += step {
		n := min(int64(len(buf)), size-base)
		if _, err := r.ReadAt(buf[:n], base); err != nil {
			return 0, 0, 0, false, fmt.Errorf("reading at byte %d: %w", base, err)
		}
		for i := 0; i < step; i++ {
			j := bytes.Index(buf[i:n], mark)
			if j < 0 || i+j >= step {
				break
			}
			i += j
			if rec, err := Parse(buf[i:n]); err == nil {
				at := base + int64(i)
				return rec.Begin, at, at + rec.Len(), true, nil
			}
		}
	}
	return 0, 0, 0, false, nil
}

// Blank gives the offset behind the last byte from from on that is not zero, or from when all are.
func Blank(r io.ReaderAt, from, size int64) (int64, error) {
	buf, last := make([]byte, max(0, min(256<<10, size-from))), from
	for at := from; at < size; {
		n := min(int64(len(buf)), size-at)
		if _, err := r.ReadAt(buf[:n], at); err != nil {
			return 0, fmt.Errorf("reading at byte %d: %w", at, err)
		}
		if used := len(bytes.TrimRight(buf[:n], "\x00")); used > 0 {
			last = at + int64(used)
		}
		at += n
	}
	return last, nil
}

// Torn judges what lies behind good, the end of the last whole commit. It gives the offset behind the torn write
// that lies there (good itself when there is none), or a *Damage when the bytes cannot be the remains of one write
// that was never acknowledged.
//
// The journal begins a commit only when the one before it is on disk. So of all that lies behind good, only the one
// commit that begins there can be, in any mixture of its sectors and zeros. A whole record of a commit that begins
// elsewhere proves that the one at good was acknowledged.
func Torn(r io.ReaderAt, good, size int64) (int64, error) {
	end, err := Blank(r, good, size)
	if err != nil || end == good {
		return good, err
	}
	for at := good; ; {
		begin, _, next, ok, err := Find(r, at, end)
		if err != nil {
			return 0, err
		}
		if !ok {
			return end, nil
		}
		if begin != good {
			return 0, &Damage{good, fmt.Errorf("%w, and later commits follow it", cause(r, good, size))}
		}
		at = next
	}
}

// cause is what is wrong with the records from good on.
func cause(r io.ReaderAt, good, size int64) error {
	for scan := NewScanner(r, good, size); ; {
		if _, _, err := scan.Next(); err != nil {
			var d *Damage
			if errors.As(err, &d) {
				return d.Cause
			}
			return ErrMark
		}
	}
}
