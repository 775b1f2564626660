package data

import (
	"errors"
	"fmt"
	"time"

	"github.com/choba-os/choba/keys/datakey"
	"github.com/choba-os/choba/keys/escrow"
	"github.com/choba-os/choba/keys/seal"
)

// Opened says how the key was come by.
type Opened string

// The ways. The zero Opened is "not opened".
const (
	Newest Opened = "newest"      // the newest sealed copy opened
	Older  Opened = "older"       // the newest did not, the older one did: a change of the boot image was not finished
	First  Opened = "first"       // it was made in this boot, or sealed for the first time
	InOpen Opened = "in the open" // there is no TPM
)

// Opened says how Unlock came by the key.
func (p *Partition) Opened() Opened { return p.opened }

// Rebound says how often the key was taken out of escrow, and when last. It is part of the sealed secret.
func (p *Partition) Rebound() (times uint32, last time.Time) {
	if p.secret.Rebound == 0 {
		return 0, time.Time{}
	}
	return p.secret.Rebound, time.Unix(p.secret.Last, 0)
}

// OwnerSecret is the TPM owner's password, for raising the floor when the release has proved itself; ok is false where
// there is no TPM. It is there from Unlock until Forget.
func (p *Partition) OwnerSecret() (s seal.OwnerSecret, ok bool) {
	return p.owner, p.owner != seal.OwnerSecret{}
}

// Forget wipes what Unlock and Open left in memory.
func (p *Partition) Forget() {
	p.secret.Wipe()
	p.owner = seal.OwnerSecret{}
}

// Reseal seals the key to the boot state that comes next, as the newest; the copy that opened today stays and goes on
// opening until the change has happened. Between Unlock and the closing of the door.
func (p *Partition) Reseal(next seal.Boot) error {
	switch {
	case p.opened == InOpen:
		return nil
	case p.opened == "" || p.secret.State != datakey.Made:
		return errors.New("sealing the data key ahead: the data partition is not finished yet")
	}
	blob, err := p.sealTo(datakey.Made, next)
	if err != nil {
		return fmt.Errorf("sealing ahead: %w", err)
	}
	return seal.SaveBeside(p.parts.State, p.blob, blob)
}

// Heal makes both stored copies the one that opened today. Not between Reseal and the change that it is for: call it at
// a later boot, when the release has proved itself.
func (p *Partition) Heal() error {
	if p.opened == InOpen || p.opened == "" {
		return nil
	}
	stored, err := seal.Load(p.parts.State)
	if err != nil {
		return fmt.Errorf("healing the sealed key: %w", err)
	}
	if len(stored.Blobs) == 1 && stored.Trouble == "" && stored.Whole {
		return nil
	}
	return seal.SaveBeside(p.parts.State, p.blob, p.blob)
}

// keepInEscrow puts the key into escrow where it is not, or not for today's recipient, or under a code that was taken.
func (p *Partition) keepInEscrow() error {
	if p.parts.Escrow == "" {
		return errors.New("nobody keeps the data key in escrow: the trust list names no recipient")
	}
	block, whole, err := escrow.Load(p.parts.State)
	switch {
	case err != nil && !errors.Is(err, escrow.ErrNone) && !errors.Is(err, escrow.ErrDamaged):
		return err
	case err == nil && block.Identity == p.secret.Identity && block.Recipient == p.parts.Escrow && block.Used == 0:
		if whole {
			return nil
		}
		return escrow.Store(p.parts.State, block)
	}
	block, _, err = escrow.Make(p.parts.Random, p.secret, p.parts.Escrow)
	if err != nil {
		return err
	}
	for range 2 { // no copy of an old code stays
		if err := escrow.Store(p.parts.State, block); err != nil {
			return err
		}
	}
	return nil
}
