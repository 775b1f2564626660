package data

import (
	"errors"

	"github.com/choba-os/choba/keys/datakey"
	"github.com/choba-os/choba/keys/seal"
)

// withoutTPM opens a key that lies in the open, or makes one at a first boot. Only where the vendor's rules allow it,
// and never where a key was sealed once.
func (p *Partition) withoutTPM(first bool, stored seal.Stored) error {
	switch {
	case len(stored.Blobs) > 0:
		return ErrTPMGone
	case !p.parts.NoTPM:
		return ErrNoTPM
	case first:
		if err := p.random(); err != nil {
			return err
		}
		if err := p.saveOpen(); err != nil {
			return err
		}
	default:
		var err error
		if p.secret, err = datakey.Parse(stored.Clear); err != nil {
			return err
		}
	}
	p.opened = InOpen
	if p.secret.State == datakey.Made {
		return nil
	}
	made := p.secret
	made.State = datakey.Made
	p.storeMade = func() error {
		defer made.Wipe()
		return errors.Join(seal.SaveClear(p.parts.State, made.Encode()), seal.SaveClear(p.parts.State, made.Encode()))
	}
	return nil
}

func (p *Partition) saveOpen() error {
	text := p.secret.Encode()
	defer clear(text)
	return seal.SaveClear(p.parts.State, text)
}

// sealOpenKey seals a key that lay in the open, because there is a TPM now. There is no way back. A TPM that has an
// owner is refused: it belongs to a register whose key was sealed, and somebody has put another key in its place.
func (p *Partition) sealOpenKey(text []byte) error {
	if !p.parts.NoTPM {
		return ErrInOpen
	}
	if err := p.parts.TPM.Prepare(0); err != nil {
		return err
	}
	var err error
	if p.secret, err = datakey.Parse(text); err != nil {
		return err
	}
	p.parts.Say("there is a TPM now: the data key, which lay in the open until today, is sealed")
	return p.storeSealed()
}
