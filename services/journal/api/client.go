package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/choba-os/choba/services/journal/entry"
	"github.com/choba-os/choba/services/link"
)

// Client calls the journal. Its methods may be used by several goroutines at once.
type Client struct{ link *link.Client }

// New is a client of the journal that listens at socket: /run/choba/journal.sock, or any path in a test.
func New(socket string) *Client { return &Client{link.Dial(socket)} }

// Append records an event. When it returns without an error the entry is on disk and covered by a signed checkpoint.
//
// Errors are *link.Error: BadRequest (the event is malformed, or holds what looks like a payment card's number),
// Denied (the kind is not the caller's), Full (no room: nothing was recorded, asking again later may succeed),
// Unavailable (nothing was recorded), Unknown (the answer was lost: it may be recorded; Read tells).
func (c *Client) Append(ctx context.Context, v Event) (Proof, error) {
	var p Proof
	if err := c.link.Post(ctx, "/v1/append", v, &p); err != nil {
		return Proof{}, err
	}
	return p, nil
}

// Key is the note verifier key under which the running journal signs. It changes whenever the journal starts.
func (c *Client) Key(ctx context.Context) (string, error) {
	var k Key
	if err := c.link.Get(ctx, "/v1/key", &k); err != nil {
		return "", err
	}
	return k.Key, nil
}

// Head is the newest signed checkpoint.
func (c *Client) Head(ctx context.Context) (string, error) {
	var h Head
	if err := c.link.Get(ctx, "/v1/head", &h); err != nil {
		return "", err
	}
	return h.Checkpoint, nil
}

// Prove gives a proof, under the newest checkpoint, of the entry with number seq, if its kind is the caller's.
func (c *Client) Prove(ctx context.Context, seq uint64) (Proof, error) {
	var p Proof
	if err := c.link.Get(ctx, "/v1/proof?seq="+strconv.FormatUint(seq, 10), &p); err != nil {
		return Proof{}, err
	}
	return p, nil
}

// Read gives fn the entries numbered from and above whose kind is the caller's, oldest first, up to the newest at
// the time of the call. An error of fn ends the reading and is returned.
func (c *Client) Read(ctx context.Context, from uint64, fn func(Entry) error) error {
	ended := false
	err := c.link.Stream(ctx, "/v1/entries?from="+strconv.FormatUint(from, 10), func(line json.RawMessage) error {
		if ended {
			return errors.New("reading the journal: a line follows the last one")
		}
		if string(line) == string(endLine) {
			ended = true
			return nil
		}
		e, err := entry.Parse(line)
		if err != nil {
			return fmt.Errorf("reading the journal: %w", err)
		}
		return fn(e)
	})
	if err != nil {
		return err
	}
	if !ended {
		return &link.Error{Kind: link.Unknown, Text: "reading the journal: the answer broke off"}
	}
	return nil
}

// End closes the answer to GET /v1/entries, so that one that broke off is not taken for a whole one.
type End struct {
	End bool `json:"end"`
}

var endLine = []byte(`{"end":true}`)
