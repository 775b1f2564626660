// Package redeploy puts a good release back into a slot when none could be booted:
// from the other slot, the factory partition, a stick or the network, in this order.
//
// Every release is held against the trust list, the product, the hardware and the
// version floor before a byte is written, its parts against their hashes while they
// are written, and the whole slot against its hash tree afterwards. A redeployed
// release is on trial like any other. The package opens no device and shows nothing:
// partitions, folders and servers are handed in.
//
// The order of writes makes every power cut harmless: the slot record first says
// "empty", the head of the slot is written last, and the record says "on trial" only
// when the slot was read back. A cut therefore ends in recovery again.
//
// The rule that keeps it small: it never makes anything acceptable that was not; what
// boots is still decided by image/slot and the kernel.
package redeploy

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/trust"
)

// Kind is where a release may come from.
type Kind string

// The kinds of sources.
const (
	OtherSlot Kind = "slot"
	Factory   Kind = "factory"
	Stick     Kind = "stick"
	Network   Kind = "network"
)

// Order is the order in which sources are tried when nobody chooses.
func Order() []Kind { return []Kind{OtherSlot, Factory, Stick, Network} }

// Part is an open raw partition of this register; a nil Device means that it is not there.
type Part struct {
	frame.Device
	Size int64
}

// Cached is a device that may answer from memory what was written to it. Forget makes
// it read from the disk again; what is read back is then what lies there.
type Cached interface{ Forget() error }

// Register is the machine that gets a release.
type Register struct {
	Root     trust.Root
	Hardware string
	Floor    uint64 // lowest version that can open the data; 0 = none is known
	State    frame.Device
	Slots    map[slot.Name]Part
	Factory  Part
	// Prove asks the kernel whether it would accept the slot's root hash; nil = it is not asked.
	Prove func(n slot.Name, r release.Release) error
}

// Phase is what is being done.
type Phase string

// The phases of a redeploy, in their order. Renewing is about the factory partition.
const (
	Looking  Phase = "looking"
	Writing  Phase = "writing"
	Checking Phase = "checking"
	Renewing Phase = "renewing"
)

// Progress is how far a redeploy has come. Done and Total are bytes; Total 0 = not known.
type Progress struct {
	Kind        Kind
	Phase       Phase
	Where       string // for people: "bundles/3f….choba"
	Version     uint64
	Name        string
	Done, Total int64
}

// Deployer redeploys onto one register. Report, when set, is called often while
// something gets on, by the goroutine that called From.
type Deployer struct {
	Register Register
	Report   func(Progress)

	now Progress
}

// Done says what was put where.
type Done struct {
	Kind    Kind
	Where   string
	Release release.Release
	Slot    slot.Name
	// Renewed: the factory partition was written anew as well. RenewProblem is why it
	// could not be, when it had to be; the redeploy itself is good.
	Renewed      bool
	RenewProblem error
}

// Refusal is a release, or a whole source, that was not taken.
type Refusal struct {
	Kind  Kind
	Where string
	Err   error
}

func (r Refusal) Error() string {
	if r.Where == "" {
		return fmt.Sprintf("%s: %v", r.Kind, r.Err)
	}
	return fmt.Sprintf("%s %s: %v", r.Kind, r.Where, r.Err)
}

// Unwrap gives the cause.
func (r Refusal) Unwrap() error { return r.Err }

// Why nothing was redeployed.
var (
	ErrNothing = errors.New("no release is there")
	ErrSpent   = errors.New("this release failed here before; only a person may offer it anew")
	ErrNoSlot  = errors.New("no slot can take it")
)

// Offer is a release that a source has, unchecked.
type Offer struct {
	Where  string
	Signed []byte
	// Parts gives EROFS and hash tree, to be read one after the other, and what ends the reading.
	Parts func(ctx context.Context, m release.Manifest) (erofs, tree io.Reader, end func() error, err error)
	// in is the slot that holds it already; it needs no copying.
	in slot.Name
}

// Source is a place where releases may be.
type Source interface {
	Kind() Kind
	// Offers lists what is there. ErrNothing (wrapped) when the place is empty or absent.
	Offers(ctx context.Context) ([]Offer, error)
}

// From redeploys the newest acceptable release of one source; the next newest when one
// turns out damaged. anew is a person's word that a release which failed here before
// may be tried again. The error joins a Refusal for each release that was not taken.
func (d *Deployer) From(ctx context.Context, s Source, anew bool) (Done, error) {
	d.now = Progress{Kind: s.Kind(), Phase: Looking}
	d.report()
	offers, err := s.Offers(ctx)
	if err != nil {
		return Done{}, Refusal{Kind: s.Kind(), Err: err}
	}
	good, refused := d.sift(s.Kind(), offers, anew)
	for _, g := range good {
		done, err := d.put(ctx, s.Kind(), g, anew)
		if err == nil {
			return done, nil
		}
		refused = append(refused, Refusal{s.Kind(), g.offer.Where, err})
		if ctx.Err() != nil {
			break
		}
	}
	if len(refused) == 0 {
		refused = []error{Refusal{Kind: s.Kind(), Err: ErrNothing}}
	}
	return Done{}, errors.Join(refused...)
}

func (d *Deployer) report() {
	if d.Report != nil {
		d.Report(d.now)
	}
}

// step reports n bytes more of the running phase.
func (d *Deployer) step(n int) {
	d.now.Done += int64(n)
	d.report()
}

func (d *Deployer) begin(p Phase, total int64) {
	d.now.Phase, d.now.Done, d.now.Total = p, 0, total
	d.report()
}

// watched reports what is read through it and ends with ctx.
type watched struct {
	ctx context.Context
	r   io.Reader
	d   *Deployer
}

func (w watched) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.r.Read(b)
	w.d.step(n)
	return n, err
}

// watchedAt is watched for reading back.
type watchedAt struct {
	ctx context.Context
	r   io.ReaderAt
	d   *Deployer
}

func (w watchedAt) ReadAt(b []byte, off int64) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.r.ReadAt(b, off)
	w.d.step(n)
	return n, err
}
