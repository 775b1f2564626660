package escrow

import (
	"fmt"
	"time"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/keys/datakey"
	"github.com/choba-os/choba/keys/seal"
)

// Sealer is the TPM, as far as it is needed here. *seal.TPM is one.
type Sealer interface {
	Owned() (bool, error)
	Prepare(floor uint64) error
	Own(s seal.OwnerSecret, floor uint64) error
	Boot() (seal.Boot, error)
	Seal(secret, pkix []byte, at seal.Boot) (seal.Blob, error)
}

// Rebind binds the key in escrow to the TPM and the boot state that are there now.
type Rebind struct {
	State  frame.Device // state partition
	TPM    Sealer
	Policy []byte // the vendor's policy key, PKIX DER
	Floor  uint64 // version floor that the TPM gets at least
	Now    time.Time
}

// Do takes the code that a person typed, marks the escrow as used, seals the key and
// makes the TPM the register's own. It may be called again after a power cut. The
// data partition is not touched. Errors: ErrNone, ErrDamaged, ErrOpen, and
// seal.ErrOwned for a TPM that belongs to somebody else, which has to be cleared in
// the firmware's set-up first.
func (r Rebind) Do(code Code) error {
	block, _, err := Load(r.State)
	if err != nil {
		return err
	}
	secret, err := block.Open(code)
	if err != nil {
		return err
	}
	defer secret.Wipe()
	if err := r.do(block, secret); err != nil {
		return fmt.Errorf("binding the data key to this TPM: %w", err)
	}
	return nil
}

func (r Rebind) do(block Block, secret datakey.Secret) error {
	owner := secret.Owner()
	if err := r.ready(owner); err != nil {
		return err
	}
	block = block.mark(r.Now) // before there is anything to hide
	if err := Store(r.State, block); err != nil {
		return err
	}
	at, err := r.TPM.Boot()
	if err != nil {
		return err
	}
	text := secret.Mark(block.Used, r.Now).Encode()
	blob, err := r.TPM.Seal(text, r.Policy, at)
	clear(text)
	if err != nil {
		return err
	}
	if err := seal.Save(r.State, blob); err != nil {
		return err
	}
	// Last, as at a first boot: before, the key that its password hangs on is not stored.
	return r.TPM.Own(owner, r.Floor)
}

// ready sees to it that the TPM can take the key, before anything is written.
func (r Rebind) ready(owner seal.OwnerSecret) error {
	owned, err := r.TPM.Owned()
	if err != nil {
		return err
	}
	if owned { // by this very key: only the boot state changed
		return r.TPM.Own(owner, r.Floor)
	}
	return r.TPM.Prepare(r.Floor)
}
