package guard

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/ports/policy"
	"github.com/choba-os/choba/services/ports/usb"
)

// Opened is an open device. Both functions are called once.
type Opened struct {
	// File is for the claimant; the guard closes its own copy with Close.
	File *os.File
	// Close takes the device away from whoever has it.
	Close func()
	// Failed is closed when the device ended by itself; nil if nobody looks.
	Failed <-chan struct{}
}

// Claim is one device in one claimant's hands.
type Claim struct {
	Role, Device, Kind string
	File               *os.File
	// Gone is closed when the device was detached or taken away.
	Gone <-chan struct{}

	g      *Guard
	d      *device
	gone   chan struct{}
	once   sync.Once
	opened Opened
}

// end takes the device away.
func (c *Claim) end() {
	c.once.Do(func() {
		close(c.gone)
		c.opened.Close()
	})
}

// Release gives the device back; it can be claimed again.
func (c *Claim) Release() {
	c.end()
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if c.d.claim != c {
		return
	}
	c.d.claim = nil
	switch {
	case c.d.state != api.StateClaimed:
	case c.Kind == api.KindUSBFS:
		// A usbfs file that was handed out cannot be taken back; switched off, the
		// device answers no file. The next claim switches it on anew.
		c.d.begun = c.g.now()
		c.g.keepOff(c.d)
		c.g.set(c.d, api.StateAllowed)
		c.g.hurry()
	default:
		c.g.set(c.d, api.StateReady)
	}
}

// hurry asks for a look without waiting for the next.
func (g *Guard) hurry() {
	select {
	case g.lookNow <- struct{}{}:
	default:
	}
}

// Claim waits for a device with the role that nobody has, and opens it.
func (g *Guard) Claim(ctx context.Context, role string) (*Claim, error) {
	g.wait(role, 1)
	defer g.wait(role, -1)
	for {
		g.mu.Lock()
		c := g.take(role)
		changed := g.changed
		g.mu.Unlock()
		if c != nil {
			return c, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// wait counts who waits for a role; the first and the last one change which
// devices may be on.
func (g *Guard) wait(role string, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting[role] += n
	g.hurry()
}

// take opens the first free device with the role, or returns nil. Call with mu
// held.
func (g *Guard) take(role string) *Claim {
	for _, path := range g.order {
		d := g.devices[path]
		if d.state != api.StateReady || d.row.Role != role || d.row.Kind == "" {
			continue
		}
		o, err := g.opener.Open(d.row, d.nodes)
		switch {
		case err == nil:
			d.denied = time.Time{}
			return g.give(d, o)
		case g.tooEarly(d, err):
			d.state = api.StateAllowed // back one step, and look again
			g.hurry()
		default:
			g.fail(d, "it could not be opened: "+reasonOf(err))
		}
	}
	return nil
}

// tooEarly tells an open that will still work, or whose device is leaving, from
// one that failed. Call with mu held.
func (g *Guard) tooEarly(d *device, err error) bool {
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if d.denied.IsZero() {
		d.denied = g.now()
	}
	age := g.now().Sub(d.denied)
	return errors.Is(err, fs.ErrPermission) && age < patience ||
		errors.Is(err, unix.EBUSY) && age < freeIn // its last claimant's line is still being closed
}

// give makes the claim. Call with mu held.
func (g *Guard) give(d *device, o Opened) *Claim {
	gone := make(chan struct{})
	c := &Claim{Role: d.row.Role, Device: d.name(), Kind: d.row.Kind, File: o.File, Gone: gone, gone: gone, g: g, d: d, opened: o}
	d.claim = c
	g.set(d, api.StateClaimed)
	if o.Failed != nil {
		go func() {
			select {
			case <-o.Failed:
				c.end()
			case <-gone:
			}
		}()
	}
	return c
}

// nodes are all that the device has; for usbfs its own.
func (g *Guard) nodes(d *device) ([]usb.Node, error) {
	if d.row.Kind != api.KindUSBFS {
		return g.tree.Nodes(d.place.Path)
	}
	n, err := g.tree.Own(d.place.Path)
	return []usb.Node{n}, err
}

// wanted picks the nodes that the row's kind can use.
func wanted(r policy.Row, nodes []usb.Node) []usb.Node {
	var out []usb.Node
	for _, n := range nodes {
		var fits bool
		switch r.Kind {
		case api.KindUSBFS:
			fits = strings.HasPrefix(n.Name, "bus/usb/")
		case api.KindEvdev:
			fits = strings.HasPrefix(n.Name, "input/event")
		case api.KindBytes:
			if r.Line != nil {
				fits = strings.HasPrefix(n.Name, "ttyUSB") || strings.HasPrefix(n.Name, "ttyACM")
			} else {
				fits = strings.HasPrefix(n.Name, "usb/lp")
			}
		}
		if fits {
			out = append(out, n)
		}
	}
	return out
}
