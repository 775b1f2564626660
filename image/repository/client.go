package repository

import (
	"context"
	"errors"
	"time"
)

// Client asks repositories for the newest release. It is for one caller at a time.
type Client struct {
	root []byte // built-in root of trust
	dir  string
}

// Open makes a client that trusts a built-in root (/etc/choba/root.json) and keeps
// what it has seen in a folder, which is made when it is missing. Damaged memory is
// no error: the client starts from the built-in root and says so in the next
// Offer's Warning.
func Open(root []byte, dir string) (*Client, error) {
	return &Client{root: root, dir: dir}, nil
}

// Latest returns what the repository offers to a register. Nothing is remembered of
// a repository unless all of it was found good. now is the register's clock; a clock
// behind the latest time at which metadata was found good is put forward to it.
// Errors: those of this package, else what the Fetcher said.
func (c *Client) Latest(ctx context.Context, f Fetcher, product, hardware string, now time.Time) (Offer, error) {
	return Offer{}, errors.New("not yet")
}
