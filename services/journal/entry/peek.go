package entry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Peek reads the fields of an entry that is known to be one, because its hash is under a signature. It does not look
// into the content, which it gives as it stands in text, and takes a tenth of Parse's time.
func Peek(text []byte) (Entry, error) {
	if len(text) > MaxBytes {
		return Entry{}, fmt.Errorf("reading an entry: %d bytes, at most %d are allowed", len(text), MaxBytes)
	}
	c := cursor{rest: text}
	var e Entry
	e.Seq = c.unsigned(`{"seq":`)
	wall := c.text(`,"wall":`)
	e.Mono = int64(c.unsigned(`,"mono":`))
	e.Boot = c.text(`,"boot":`)
	e.Service = c.text(`,"service":`)
	e.Kind = c.text(`,"kind":`)
	e.Person = c.text(`,"person":`)
	e.Approver = c.text(`,"approver":`)
	e.Device = c.text(`,"device":`)
	c.word(`,"content":`)
	if !c.bad && (len(c.rest) < 2 || c.rest[len(c.rest)-1] != '}') {
		c.bad = true
	}
	if c.bad {
		return Entry{}, errors.New("reading an entry: not the fields of an entry in their order")
	}
	e.Content = json.RawMessage(c.rest[:len(c.rest)-1])
	var err error
	if e.Wall, err = time.Parse(wallForm, wall); err != nil {
		return Entry{}, fmt.Errorf("reading an entry: its time: %w", err)
	}
	return e, nil
}

// cursor reads along; after the first thing that does not fit it gives zeros.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) word(w string) {
	if c.bad || !bytes.HasPrefix(c.rest, []byte(w)) {
		c.bad = true
		return
	}
	c.rest = c.rest[len(w):]
}

func (c *cursor) unsigned(before string) uint64 {
	c.word(before)
	n := 0
	for n < len(c.rest) && '0' <= c.rest[n] && c.rest[n] <= '9' {
		n++
	}
	v, err := strconv.ParseUint(string(c.rest[:n]), 10, 63)
	if c.bad || err != nil {
		c.bad = true
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

func (c *cursor) text(before string) string {
	c.word(before)
	if c.bad || len(c.rest) == 0 || c.rest[0] != '"' {
		c.bad = true
		return ""
	}
	n := 1
	for n < len(c.rest) && c.rest[n] != '"' {
		if c.rest[n] == '\\' {
			n++
		}
		n++
	}
	if n >= len(c.rest) {
		c.bad = true
		return ""
	}
	quoted := c.rest[:n+1]
	c.rest = c.rest[n+1:]
	if !bytes.ContainsRune(quoted, '\\') {
		return string(quoted[1:n])
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		c.bad = true
	}
	return s
}
