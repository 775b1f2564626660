package api

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/choba-os/choba/services/link"
)

// Socket is where the register listens on the machine.
const Socket = "/run/choba/register.sock"

// Client calls the register. Its methods may be used by several goroutines at once.
type Client struct{ link *link.Client }

// New is a client of the register that listens at socket; nothing is called before the first method.
func New(socket string) *Client { return &Client{link: link.Dial(socket)} }

// Watch hands the present View and then every newer one to fn, until ctx ends, fn returns an error, or the register closes the
// stream (no error then: call again). A slow fn misses Views in between, never the newest.
func (c *Client) Watch(ctx context.Context, fn func(View) error) error {
	return c.link.Stream(ctx, "/v1/view", func(line json.RawMessage) error {
		var v View
		if err := link.Decode(line, &v); err != nil {
			return fmt.Errorf("reading the view: %w", err)
		}
		return fn(v)
	})
}

// Do asks for one Act and returns the View after it. A refusal is a *link.Error with a sentence (Conflict: it does not fit the phase or a limit;
// BadRequest: the Act itself is wrong; NotFound: no such article or line; Unavailable: the journal does not answer, nothing was sold); the register then also
// puts a Message into the View. After link.Unknown send the same Act, with the same ID, again.
func (c *Client) Do(ctx context.Context, a Act) (View, error) {
	var v View
	err := c.link.Post(ctx, "/v1/do", a, &v)
	return v, err
}
