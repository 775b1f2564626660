// Package data opens the data partition, and makes it at the first boot: a header, then dm-crypt with ext4 inside,
// under a random key that only the TPM opens. At the same time it makes the TPM the register's own, with a version
// floor, and puts the key into escrow for the vendor.
//
// It knows neither device-mapper nor mounts nor a TPM's language: those are handed in, so that every power cut can be
// tried with files. It never repairs and never formats what was in use once: the sealed secret itself says whether the
// partition was made, so that a damaged header is not mistaken for a new disk. What it refuses, it refuses with a
// sentence for a person.
//
// The rule that keeps it small: two steps, Unlock and Open, with the door of the TPM closed in between by the caller.
// Whatever needs the key or the TPM (Reseal too) is done before the door closes.
//
// The format is described in docs/formats/data.md.
package data

import (
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/keys/datakey"
	"github.com/choba-os/choba/keys/seal"
)

// Sealer is the TPM, as far as it is needed here. *seal.TPM is one.
type Sealer interface {
	Boot() (seal.Boot, error)
	Seal(secret, pkix []byte, at seal.Boot) (seal.Blob, error)
	Unseal(b seal.Blob, by seal.Approval) ([]byte, error)
	Owned() (bool, error)
	Prepare(floor uint64) error
	Own(s seal.OwnerSecret, floor uint64) error
}

// Volume is what lies inside the encryption.
type Volume interface {
	// Open makes the device of decrypted bytes. It wipes key.
	Open(key []byte) (frame.Device, error)
	// Mount mounts the file system on it.
	Mount() error
	// Grow lets the mounted file system fill the device, and returns when that is on the disk. One that fills it
	// already is left as it is.
	Grow() error
}

// Parts is what a Partition is made of.
type Parts struct {
	State frame.Device // state partition, for the sealed key
	Disk  frame.Device // data partition
	TPM   Sealer       // nil (the interface itself) on a machine without one
	By    seal.Approval
	// NoTPM says that the vendor's signed rules let a register without a TPM sell: its key lies in the open on the
	// disk then. A key that was ever sealed is never opened without its TPM.
	NoTPM bool
	// Escrow is the age recipient for whom the key is put into escrow; empty: nobody, which is said.
	Escrow string
	Random io.Reader
	Volume Volume
	// Empty gives the bytes of an empty file system.
	Empty func() (io.ReadCloser, error)
	// Say tells a person what takes long.
	Say func(string)
	// Progress is called while something takes long and gets on.
	Progress func()
}

// Partition is the data partition while it is being opened.
type Partition struct {
	parts  Parts
	secret datakey.Secret
	owner  seal.OwnerSecret
	opened Opened
	blob   seal.Blob // the stored one that opened, or the first one
	// storeMade stores the secret as "made"; nil when it is stored already.
	storeMade func() error
}

// Why a partition is not opened. They wait for a person: nothing is written.
var (
	ErrKeyLost = errors.New("there is sales data on the disk, but its sealed key is gone")
	ErrForeign = errors.New("the data partition is neither empty nor ours")
	ErrHeader  = errors.New("the head of the data partition is damaged; it was in use, so nothing is formatted")
	ErrNoTPM   = errors.New("this machine has no TPM that answers, and the vendor's rules do not let a register sell without one")
	ErrTPMGone = errors.New("the data key is sealed in a TPM, and this machine has none that answers")
	ErrInOpen  = errors.New("the data key lies in the open on the disk, and the vendor's rules do not allow that")
	ErrKey     = errors.New("the opened key does not belong to this data partition")
)

// New prepares to open a partition.
func New(p Parts) *Partition { return &Partition{parts: p} }

// Open opens the partition and mounts it; it makes it first when that was never finished. Afterwards the key is
// nowhere but in the kernel.
func (p *Partition) Open() error {
	defer p.secret.Wipe()
	found, err := pair().Load(p.parts.Disk)
	switch {
	case err == nil:
		if err := p.openMade(found.Payload); err != nil {
			return err
		}
	case p.secret.State == datakey.Made:
		return fmt.Errorf("%w: %w", ErrHeader, err)
	default:
		if err := p.create(); err != nil {
			return fmt.Errorf("making the data partition: %w", err)
		}
	}
	if p.storeMade == nil {
		return nil
	}
	if err := p.storeMade(); err != nil {
		return err
	}
	p.storeMade = nil
	return nil
}

func (p *Partition) openMade(payload []byte) error {
	h, err := ParseHeader(payload)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHeader, err)
	}
	if h != headerOf(p.secret) {
		return ErrKey
	}
	if _, err := p.parts.Volume.Open(p.secret.Key[:]); err != nil {
		return fmt.Errorf("opening the data partition: %w", err)
	}
	if err := p.parts.Volume.Mount(); err != nil {
		return fmt.Errorf("opening the data partition: %w", err)
	}
	if err := p.parts.Volume.Grow(); err != nil { // the disk may have become larger; what fits today, fits
		p.parts.Say(err.Error())
	}
	return nil
}

// create fills the partition. Until its last step, the header, everything may be done again.
func (p *Partition) create() error {
	p.parts.Say("first boot: making the data partition")
	header := headerOf(p.secret)
	dev, err := p.parts.Volume.Open(p.secret.Key[:])
	if err != nil {
		return err
	}
	if err := p.fill(dev); err != nil {
		return err
	}
	if err := p.parts.Volume.Mount(); err != nil {
		return err
	}
	if err := p.parts.Volume.Grow(); err != nil {
		return err
	}
	return pair().Store(p.parts.Disk, header.Encode())
}

func (p *Partition) fill(dev frame.Device) error {
	empty, err := p.parts.Empty()
	if err != nil {
		return err
	}
	defer empty.Close()
	buf := make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := io.ReadFull(empty, buf)
		if n > 0 {
			// All of it, zeros too: what lies beneath decrypts to noise.
			if _, err := dev.WriteAt(buf[:n], at); err != nil {
				return fmt.Errorf("writing the empty file system: %w", err)
			}
			at += int64(n)
			p.parts.Progress()
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the empty file system: %w", err)
		}
	}
	return dev.Sync()
}
