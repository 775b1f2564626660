// Package api is what the other services know of the journal: the event they hand in, the entry it became, the
// proof that it is recorded, and the client.
//
// It is not the journal: nothing here stores or signs. The rule that keeps it small: types, one client, one queue in
// front of it, one pure check.
package api

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/choba-os/choba/services/journal/checkpoint"
	"github.com/choba-os/choba/services/journal/entry"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Event is what a service asks the journal to record.
type Event = entry.Event

// Entry is an event as recorded.
type Entry = entry.Entry

// Proof shows that an entry is in the log of which Checkpoint is the signed head.
type Proof struct {
	Entry      json.RawMessage `json:"entry"`      // the stored bytes, exactly as hashed
	Index      uint64          `json:"index"`      // of the entry in the tree; the same number as its Seq
	Size       uint64          `json:"size"`       // of the tree that the checkpoint signs
	Path       [][]byte        `json:"path"`       // the hashes from the entry's leaf to the root, lowest first (RFC 6962)
	Checkpoint string          `json:"checkpoint"` // signed note, C2SP tlog-checkpoint
}

// Head is the answer to GET /v1/head.
type Head struct {
	Checkpoint string `json:"checkpoint"`
}

// Key is the answer to GET /v1/key.
type Key struct {
	Key string `json:"key"` // note verifier key of the running session
}

// Check verifies that the entry in p is recorded under the key vkey (from Client.Key) and gives it. It proves that
// the journal has the entry on disk; not that it is new: whoever acts on it remembers what it has acted on. A
// proof made before the journal last started is under an older key and is refused.
func Check(vkey string, p Proof) (Entry, error) {
	e, err := check(vkey, p)
	if err != nil {
		return Entry{}, fmt.Errorf("checking a proof: %w", err)
	}
	return e, nil
}

func check(vkey string, p Proof) (Entry, error) {
	key, err := note.NewVerifier(vkey)
	if err != nil {
		return Entry{}, err
	}
	head, err := checkpoint.Open([]byte(p.Checkpoint), key)
	if err != nil {
		return Entry{}, err
	}
	if head.Size != p.Size || p.Index >= p.Size {
		return Entry{}, fmt.Errorf("it is for entry %d of %d, the checkpoint is over %d", p.Index, p.Size, head.Size)
	}
	path := make(tlog.RecordProof, len(p.Path))
	for i, h := range p.Path {
		if len(h) != tlog.HashSize {
			return Entry{}, errors.New("a hash of the path has the wrong length")
		}
		path[i] = tlog.Hash(h)
	}
	// Sizes fit int64: a checkpoint with a larger one does not open.
	if err := tlog.CheckRecord(path, int64(p.Size), head.Root, int64(p.Index), tlog.RecordHash(p.Entry)); err != nil {
		return Entry{}, err
	}
	e, err := entry.Parse(p.Entry)
	if err != nil {
		return Entry{}, err
	}
	if e.Seq != p.Index {
		return Entry{}, fmt.Errorf("entry %d stands at place %d", e.Seq, p.Index)
	}
	return e, nil
}
