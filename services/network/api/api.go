// Package api is what others may know of the register's network: whether there is one, and in words why not.
//
// It is no way to change anything: there is nothing to set up. The rule that keeps it small: one state, streamed.
package api

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/choba-os/choba/services/link"
)

// Socket is where the service listens on the machine.
const Socket = "/run/choba/network.sock"

// The states of the network. The zero value "" is none of them and is never sent.
const (
	Absent    = "absent"    // no wired interface
	NoCable   = "no-cable"  // an interface, and nothing at its other end
	Searching = "searching" // asking for an address
	Ready     = "ready"     // there is an address
	Error     = "error"     // it cannot work; the text says why
)

// State is how the network is. The texts are whole sentences for a person at the register.
type State struct {
	State   string `json:"state"`
	Address string `json:"address,omitempty"` // with its mask, "192.168.1.17/24"; only when Ready
	Text    string `json:"text"`
	TextEn  string `json:"textEn"`
}

// Client asks the service. Its methods may be used by several goroutines at once.
type Client struct{ link *link.Client }

// New is a client of the service that listens at socket; nothing is called before the first method.
func New(socket string) *Client { return &Client{link: link.Dial(socket)} }

// Watch hands the present state and then every newer one to fn, until ctx ends, fn returns an error, or the service
// closes the stream (no error then: call again). A slow fn misses states in between, never the newest.
func (c *Client) Watch(ctx context.Context, fn func(State) error) error {
	return c.link.Stream(ctx, "/v1/state", func(line json.RawMessage) error {
		var s State
		if err := link.Decode(line, &s); err != nil {
			return fmt.Errorf("reading the network's state: %w", err)
		}
		return fn(s)
	})
}
