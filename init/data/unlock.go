package data

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/datakey"
	"github.com/choba-os/choba/keys/seal"
)

// Unlock has the TPM open the key, or makes a key when there is proof that there never was one. What a power cut or an
// older release left undone (owner, floor, escrow) is done here. It must run before PCR 13 is extended.
func (p *Partition) Unlock() error {
	stored, err := seal.Load(p.parts.State)
	first := errors.Is(err, seal.ErrNone)
	switch {
	case first:
		if err := p.untouched(); err != nil {
			return err
		}
	case errors.Is(err, seal.ErrDamaged) && p.neverUsed():
		p.parts.Say("the data key was cut off while it was first written; nothing was stored under it yet, so a new one is made")
		first = true
	case err != nil:
		return err
	}
	if stored.Trouble != "" {
		p.parts.Say(stored.Trouble)
	}
	switch {
	case p.parts.TPM == nil:
		return p.withoutTPM(first, stored)
	case first:
		err = p.newKey()
	case stored.Clear != nil:
		err = p.sealOpenKey(stored.Clear)
	default:
		err = p.openSealed(stored)
	}
	if err != nil {
		return err
	}
	return p.settle(first)
}

// openSealed opens what was sealed at an earlier boot.
func (p *Partition) openSealed(stored seal.Stored) error {
	err := p.unseal(stored.Blobs)
	if errors.Is(err, seal.ErrNoFloor) {
		// The TPM belongs to nobody yet: this disk was made before there were floors, or the power went before the
		// floor was there. A TPM that was cleared does not come this far: it does not even load the key.
		if err := p.parts.TPM.Prepare(0); err != nil {
			return fmt.Errorf("opening the data key: %w: %w", seal.ErrNoFloor, err)
		}
		err = p.unseal(stored.Blobs)
	}
	if err != nil {
		return err
	}
	if stored.Left { // also in the open: the power went while it was being sealed
		return seal.Save(p.parts.State, p.blob)
	}
	return nil
}

// unseal opens the first of the blobs that opens; the newest is first.
func (p *Partition) unseal(blobs []seal.Blob) error {
	var failed error
	for i, b := range blobs {
		secret, err := p.tryUnseal(b)
		if err == nil {
			p.secret, p.blob, p.opened = secret, b, []Opened{Newest, Older}[i]
			return nil
		}
		switch {
		case failed == nil:
			failed = err
		case failed.Error() != err.Error():
			failed = fmt.Errorf("%w; the older copy: %w", failed, err)
		}
	}
	return fmt.Errorf("opening the data key: %w", failed)
}

func (p *Partition) tryUnseal(b seal.Blob) (datakey.Secret, error) {
	text, err := p.parts.TPM.Unseal(b, p.parts.By)
	if err != nil {
		return datakey.Secret{}, err
	}
	defer clear(text)
	return datakey.Parse(text)
}

// untouched says why a disk without a key is not a new one.
func (p *Partition) untouched() error {
	found, err := pair().Load(p.parts.Disk)
	if err == nil {
		return ErrKeyLost
	}
	for _, problem := range found.Problem {
		if !errors.Is(problem, frame.ErrEmpty) {
			return fmt.Errorf("%w: %w", ErrForeign, problem)
		}
	}
	return nil
}

// neverUsed says whether nothing was ever written to the data partition: no header, and zeros where the encrypted file
// system begins, which is what is written first under a key. The key of such a disk is worth nothing yet.
func (p *Partition) neverUsed() bool {
	if p.untouched() != nil {
		return false
	}
	begin := make([]byte, 64<<10)
	if _, err := p.parts.Disk.ReadAt(begin, layout.DataCrypt); err != nil {
		return false
	}
	return len(bytes.Trim(begin, "\x00")) == 0
}

func (p *Partition) random() error {
	p.secret = datakey.Secret{State: datakey.Making}
	for _, b := range [][]byte{p.secret.Identity[:], p.secret.Key[:]} {
		if _, err := io.ReadFull(p.parts.Random, b); err != nil {
			return fmt.Errorf("making the data key: %w", err)
		}
	}
	return nil
}

// newKey makes a key and stores it sealed as "being made", so that a first boot that is cut short is continued with
// the same key by the next. The floor is made first: without it no sealed key opens. It begins at 0, and rises as at
// any other register: when a release has proved itself.
func (p *Partition) newKey() error {
	if err := p.parts.TPM.Prepare(0); err != nil {
		return fmt.Errorf("making the data key: %w", err)
	}
	if err := p.random(); err != nil {
		return err
	}
	return p.storeSealed()
}

// storeSealed seals the secret as it is and stores that.
func (p *Partition) storeSealed() error {
	blob, err := p.seal(p.secret.State)
	if err != nil {
		return err
	}
	p.blob, p.opened = blob, First
	return seal.Save(p.parts.State, blob)
}

func (p *Partition) seal(s datakey.State) (seal.Blob, error) {
	at, err := p.parts.TPM.Boot()
	if err != nil {
		return seal.Blob{}, fmt.Errorf("sealing the data key: %w", err)
	}
	blob, err := p.sealTo(s, at)
	if err != nil {
		return seal.Blob{}, err
	}
	// A key that does not open again must not be used: the next boot would stand before a locked till.
	if _, err := p.tryUnseal(blob); err != nil {
		return seal.Blob{}, fmt.Errorf("sealing the data key: trying it: %w", err)
	}
	return blob, nil
}

func (p *Partition) sealTo(s datakey.State, at seal.Boot) (seal.Blob, error) {
	as := p.secret
	as.State = s
	text := as.Encode()
	as.Wipe()
	defer clear(text)
	blob, err := p.parts.TPM.Seal(text, p.parts.By.Key, at)
	if err != nil {
		return seal.Blob{}, fmt.Errorf("sealing the data key: %w", err)
	}
	return blob, nil
}

// settle makes sure of all that belongs to an opened key: the TPM's owner, the escrow, and the same key sealed as "made"
// while the TPM can still show that it opens again.
func (p *Partition) settle(first bool) error {
	p.owner = p.secret.Owner()
	if err := p.own(); err != nil {
		if first {
			return fmt.Errorf("making the data key: %w", err)
		}
		p.parts.Say(err.Error())
	}
	if err := p.keepInEscrow(); err != nil {
		p.parts.Say(err.Error())
	}
	if p.secret.State == datakey.Made {
		return nil
	}
	made, err := p.seal(datakey.Made)
	if err != nil {
		return err
	}
	p.storeMade = func() error { // in both copies: afterwards no single damage can make the partition look new
		p.blob = made
		return errors.Join(seal.Save(p.parts.State, made), seal.Save(p.parts.State, made))
	}
	return nil
}

// own gives a TPM that belongs to nobody to this register. The key is stored already: the owner's password hangs on it.
func (p *Partition) own() error {
	owned, err := p.parts.TPM.Owned()
	if err != nil || owned {
		return err
	}
	return p.parts.TPM.Own(p.owner, 0)
}
