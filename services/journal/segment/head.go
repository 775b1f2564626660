package segment

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Format is the name of the format in every head.
const Format = "choba journal segment 1"

// Bounds of a segment's size.
const (
	MinBytes = 8 << 10
	MaxBytes = 1 << 30
)

// Head is the first record of a segment: all that is needed to check the segment alone, given the device key.
type Head struct {
	Origin     string      // name of the log
	First      uint64      // number of the segment's first entry
	Bytes      int64       // size of the file
	Device     string      // note verifier key of the device
	Session    string      // certificate of the session that signed Checkpoint; empty when First is 0
	Checkpoint string      // signed, over the First entries before this segment; empty when First is 0
	Edge       []tlog.Hash // right edge of that tree, largest subtree first
}

type headWire struct {
	Format     string   `json:"format"`
	Origin     string   `json:"origin"`
	First      uint64   `json:"first"`
	Bytes      int64    `json:"bytes"`
	Device     string   `json:"device"`
	Session    string   `json:"session"`
	Checkpoint string   `json:"checkpoint"`
	Edge       []string `json:"edge"`
}

// EncodeHead gives the body of a head record.
func EncodeHead(h Head) ([]byte, error) {
	w := headWire{Format: Format, Origin: h.Origin, First: h.First, Bytes: h.Bytes, Device: h.Device,
		Session: h.Session, Checkpoint: h.Checkpoint, Edge: []string{}}
	for _, hash := range h.Edge {
		w.Edge = append(w.Edge, hash.String())
	}
	text, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("writing a segment's head: %w", err)
	}
	return text, nil
}

// ParseHead reads the body of a head record and refuses what EncodeHead would not have written.
func ParseHead(text []byte) (Head, error) {
	h, err := parseHeadBody(text)
	if err != nil {
		return Head{}, fmt.Errorf("reading a segment's head: %w", err)
	}
	return h, nil
}

func parseHeadBody(text []byte) (Head, error) {
	var w headWire
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil {
		return Head{}, err
	}
	if w.Format != Format {
		return Head{}, fmt.Errorf("its format is %.40q, want %q", w.Format, Format)
	}
	if w.Bytes < MinBytes || w.Bytes > MaxBytes {
		return Head{}, fmt.Errorf("a file of %d bytes", w.Bytes)
	}
	if (w.First == 0) != (w.Checkpoint == "") || (w.First == 0) != (w.Session == "") {
		return Head{}, errors.New("checkpoint and session belong to every segment but the first")
	}
	h := Head{Origin: w.Origin, First: w.First, Bytes: w.Bytes, Device: w.Device, Session: w.Session, Checkpoint: w.Checkpoint}
	for _, s := range w.Edge {
		raw, err := base64.StdEncoding.Strict().DecodeString(s)
		if err != nil || len(raw) != tlog.HashSize {
			return Head{}, errors.New("a hash of the edge is malformed")
		}
		h.Edge = append(h.Edge, tlog.Hash(raw))
	}
	again, err := EncodeHead(h)
	if err != nil {
		return Head{}, err
	}
	if !bytes.Equal(again, text) {
		return Head{}, errors.New("not in the one spelling that is stored")
	}
	return h, nil
}

// Suffix ends the name of every segment file.
const Suffix = ".segment"

// FileName is the name of the segment that begins with that entry. Names sort as numbers do.
func FileName(first uint64) string { return fmt.Sprintf("%016d%s", first, Suffix) }

// ParseFileName reads a segment's name.
func ParseFileName(name string) (first uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, Suffix)
	if !ok {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 62)
	return first, err == nil && FileName(first) == name
}
