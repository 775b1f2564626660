// Package guard keeps the register's ports: it judges each device that comes,
// switches on those that the policy allows, and gives each to one claimant.
//
// It speaks no device's protocol and reads no device's data beyond its
// descriptors; it passes bytes on without looking. The rule that keeps it
// small: what it does follows from one look at the tree and from what it knew
// before, so a lost message costs time and nothing else.
package guard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/ports/policy"
	"github.com/choba-os/choba/services/ports/usb"
)

const (
	// patience is how long init may take to give us a new node or file.
	patience = time.Second
	// freeIn is how long a line may take to be closed by its last claimant.
	freeIn = 5 * time.Second
	// againIn is when a device in error is tried again.
	againIn = 10 * time.Second
	// nodesIn is how long the kernel's drivers may take to make a node.
	nodesIn = 10 * time.Second
	// A place where devices come and go more often than flaps times in flapTime
	// is shut for as long.
	flaps    = 10
	flapTime = time.Minute
	// maxDevices bounds what is remembered; a bus has at most 127.
	maxDevices = 512
)

// Opener opens an allowed device for its claimant.
type Opener interface {
	Open(row policy.Row, nodes []usb.Node) (Opened, error)
}

// Guard keeps the ports of one register.
type Guard struct {
	tree   usb.Tree
	policy policy.Policy
	opener Opener
	note   func(Note)
	now    func() time.Time
	log    *logrus.Entry

	mu      sync.Mutex // guards all below
	devices map[string]*device
	order   []string               // places in the order of their coming
	comings map[string][]time.Time // by place, the last ones
	changed chan struct{}          // closed and replaced at every change
	lookNow chan struct{}          // a claim found a node that is not ours yet, or wants a device that is off
	waiting map[string]int         // claims that wait, by role
}

// device is one device at one place.
type device struct {
	place usb.Place
	said  policy.Device
	row   policy.Row
	state string
	why   string
	since time.Time // of the state
	begun time.Time // of the present attempt to use it
	noted string    // the last error in the journal
	// denied is when its node was first not ours to open.
	denied time.Time
	nodes  []usb.Node
	claim  *Claim
}

// New returns a guard that has not looked yet. note is told what the journal
// must know; it must not wait.
func New(tree usb.Tree, p policy.Policy, o Opener, note func(Note), now func() time.Time, log *logrus.Entry) *Guard {
	return &Guard{
		tree: tree, policy: p, opener: o, note: note, now: now, log: log,
		devices: map[string]*device{}, comings: map[string][]time.Time{},
		changed: make(chan struct{}), lookNow: make(chan struct{}, 1), waiting: map[string]int{},
	}
}

// Look compares the tree with what is known and acts on the difference. It
// returns true when it should be called again soon.
func (g *Guard) Look() (soon bool, err error) {
	places, err := g.tree.Places()
	if err != nil {
		return false, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	here := map[string]usb.Place{}
	for _, p := range places {
		here[p.Path] = p
	}
	for _, path := range append([]string(nil), g.order...) {
		if p, ok := here[path]; !ok || p != g.devices[path].place {
			g.left(path)
		}
	}
	for _, p := range places {
		d, known := g.devices[p.Path]
		if !known {
			if len(g.devices) >= maxDevices {
				continue
			}
			d = g.came(p)
		}
		soon = g.advance(d) || soon
	}
	return soon, nil
}

// came judges a new device. Call with mu held.
func (g *Guard) came(p usb.Place) *device {
	now := g.now()
	d := &device{place: p, since: now, begun: now, state: api.StateRefused}
	g.devices[p.Path] = d
	g.order = append(g.order, p.Path)
	said, err := g.tree.Read(p.Path)
	d.said = said
	switch v := g.policy.Decide(said); {
	case err != nil:
		d.why = "it cannot be read: " + reasonOf(err)
	case g.flapping(p.Path, now):
		d.why = "it comes and goes too often"
	case !v.Allowed:
		d.why = v.Reason
	default:
		d.state, d.row = api.StateAllowed, v.Row
	}
	if d.state == api.StateRefused {
		g.log.WithFields(d.fields()).Warn("device refused")
		g.note(d.note(Refused))
	} else {
		g.log.WithFields(d.fields()).Info("device attached")
		g.note(d.note(Attached))
	}
	g.wake()
	return d
}

// flapping counts the comings at a place. Call with mu held.
func (g *Guard) flapping(path string, now time.Time) bool {
	kept := g.comings[path][:0]
	for _, at := range g.comings[path] {
		if now.Sub(at) < flapTime {
			kept = append(kept, at)
		}
	}
	kept = append(kept, now)
	g.comings[path] = kept[max(0, len(kept)-2*flaps):]
	return len(kept) > flaps
}

// left forgets a device that was detached. Call with mu held.
func (g *Guard) left(path string) {
	d := g.devices[path]
	delete(g.devices, path)
	for i, p := range g.order {
		if p == path {
			g.order = append(g.order[:i:i], g.order[i+1:]...)
			break
		}
	}
	if d.claim != nil {
		d.claim.end()
		d.claim = nil // its release is nobody's business any more: another device may have the place
	}
	g.log.WithFields(d.fields()).Info("device detached")
	g.note(d.note(Detached))
	g.wake()
}

// advance takes a device as far as it gets. Call with mu held.
func (g *Guard) advance(d *device) (soon bool) {
	switch d.state {
	case api.StateRefused:
		return g.keepOff(d)
	case api.StateError:
		if g.now().Sub(d.since) < againIn {
			return false
		}
		d.why, d.begun, d.denied = "", g.now(), time.Time{}
		g.set(d, api.StateAllowed)
		return g.advance(d)
	case api.StateAllowed, api.StateReady:
		switch {
		case g.idle(d):
			if d.state == api.StateReady {
				g.set(d, api.StateAllowed)
			}
			d.begun = g.now() // it has all its time again when somebody wants it
			g.keepOff(d)      // at every look: one that stays on is no reason to look sooner
		case d.state == api.StateAllowed:
			return g.switchOn(d)
		}
	}
	return false
}

// idle tells whether a device is of the kind that is on only while somebody
// wants it, and nobody does. Call with mu held.
func (g *Guard) idle(d *device) bool {
	return d.row.Kind == api.KindUSBFS && d.claim == nil && g.waiting[d.row.Role] == 0
}

// keepOff makes sure that a device is off: it may have been on when the guard
// started.
func (g *Guard) keepOff(d *device) (soon bool) {
	on, err := g.tree.Authorized(d.place.Path)
	if err != nil || !on {
		return false
	}
	if err := g.tree.Authorize(d.place.Path, false); err != nil {
		g.log.WithFields(d.fields()).WithError(err).Error("a device could not be switched off")
		return g.now().Sub(d.begun) < patience
	}
	return false
}

// switchOn authorises an allowed device and waits for its node.
func (g *Guard) switchOn(d *device) (soon bool) {
	age := g.now().Sub(d.begun)
	on, err := g.tree.Authorized(d.place.Path)
	if err == nil && !on {
		err = g.tree.Authorize(d.place.Path, true)
	}
	switch {
	case errors.Is(err, fs.ErrPermission) && age < patience:
		return true // init has not given us the file yet
	case err != nil:
		g.fail(d, "it could not be switched on: "+reasonOf(err))
		return false
	case d.row.Kind == "":
		g.set(d, api.StateReady)
		return false
	}
	nodes, err := g.nodes(d)
	if err == nil {
		if d.nodes = wanted(d.row, nodes); len(d.nodes) > 0 {
			g.set(d, api.StateReady)
			return false
		}
	}
	if age >= nodesIn {
		g.fail(d, "no driver took it")
		return false
	}
	return true
}

func (g *Guard) fail(d *device, why string) {
	d.why = why
	g.set(d, api.StateError)
	if d.noted == why {
		return
	}
	d.noted = why
	g.log.WithFields(d.fields()).Error("device failed")
	g.note(d.note(Failed))
}

func (g *Guard) set(d *device, state string) {
	d.state, d.since = state, g.now()
	g.wake()
}

// wake tells everybody who waits. Call with mu held.
func (g *Guard) wake() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// Devices lists what is there, in the order of coming.
func (g *Guard) Devices() []api.Device {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]api.Device, 0, len(g.order))
	for _, path := range g.order {
		d := g.devices[path]
		out = append(out, api.Device{
			Path: path, Vendor: d.said.Vendor, Product: d.said.Product, Serial: d.said.Serial, Maker: d.said.Maker,
			Name: d.said.Name, Interfaces: d.said.Interfaces, Hash: d.said.Hash, Role: d.row.Role,
			State: d.state, Reason: d.why, Since: d.since,
		})
	}
	return out
}

// Run looks whenever hint says so, and every second anyway, until ctx ends.
// alive is called after every look.
func (g *Guard) Run(ctx context.Context, hint <-chan struct{}, alive func()) error {
	const settle, retry, regular = 10 * time.Millisecond, 50 * time.Millisecond, time.Second
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			g.shut()
			return nil
		case <-hint:
			timer.Reset(settle)
		case <-g.lookNow:
			timer.Reset(retry)
		case <-timer.C:
			soon, err := g.Look()
			if err != nil {
				return err
			}
			alive()
			timer.Reset(regular)
			if soon {
				timer.Reset(retry)
			}
		}
	}
}

// shut ends all claims.
func (g *Guard) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.devices {
		if d.claim != nil {
			d.claim.end()
			d.claim = nil
		}
		if d.row.Kind == api.KindUSBFS {
			g.keepOff(d)
		}
	}
}

// name is what people and the journal call the unit.
func (d *device) name() string {
	return fmt.Sprintf("%s:%s %s", d.said.Vendor, d.said.Product, d.place.Path)
}

func (d *device) fields() logrus.Fields {
	f := logrus.Fields{"place": d.place.Path, "id": d.said.Vendor + ":" + d.said.Product, "name": d.said.Name}
	if d.row.Role != "" {
		f["role"] = d.row.Role
	}
	if d.why != "" {
		f["reason"] = d.why
	}
	return f
}

// reasonOf keeps the end of an error, which is the cause, at a length that a
// journal entry may have.
func reasonOf(err error) string {
	r := []rune(err.Error())
	return string(r[:min(len(r), 200)])
}
