package api

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/choba-os/choba/services/link"
)

// Client calls the update service. Its methods may be used by several goroutines at once.
type Client struct{ link *link.Client }

// New is a client of the update service that listens at socket: Socket, or any path in a test. Nothing is called before
// the first method.
func New(socket string) *Client { return &Client{link: link.Dial(socket)} }

// Watch hands the present View and then every newer one to fn, until ctx ends, fn returns an error, or the service
// closes the stream (no error then: call again). A slow fn misses Views in between, never the newest.
func (c *Client) Watch(ctx context.Context, fn func(View) error) error {
	return c.link.Stream(ctx, "/v1/view", func(line json.RawMessage) error {
		var v View
		if err := link.Decode(line, &v); err != nil {
			return fmt.Errorf("reading the update's view: %w", err)
		}
		return fn(v)
	})
}

// Now asks to restart into the release that is in place, as soon as no sale is open. Conflict: none is in place.
func (c *Client) Now(ctx context.Context) error { return c.link.Post(ctx, "/v1/now", Now{}, nil) }

// Postpone puts the restart off by 1 … MaxPostpone hours from now; 0 takes an earlier wish back. BadRequest: any other
// number.
func (c *Client) Postpone(ctx context.Context, hours int) error {
	return c.link.Post(ctx, "/v1/postpone", Postpone{Hours: hours}, nil)
}

// Check asks to look for a newer release soon; the View tells what comes of it.
func (c *Client) Check(ctx context.Context) error {
	return c.link.Post(ctx, "/v1/check", Check{}, nil)
}

// Again asks to try a release once more that failed here. Conflict: that version did not fail here.
func (c *Client) Again(ctx context.Context, version uint64) error {
	return c.link.Post(ctx, "/v1/again", Again{Version: version}, nil)
}

// Busy says whether a sale is open. Say it on every change and every BusyEvery: the word counts for BusyLease.
func (c *Client) Busy(ctx context.Context, busy bool) error {
	return c.link.Post(ctx, "/v1/busy", Busy{Busy: busy}, nil)
}
