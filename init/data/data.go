// Package data opens the data partition, and makes it at the first boot: a header, then dm-crypt with ext4 inside,
// under a random key that only the TPM opens.
//
// It knows neither device-mapper nor mounts nor a TPM's language: those are handed in, so that every power cut can be
// tried with files. It never repairs and never formats what was in use once: the sealed secret itself says whether the
// partition was made, so that a damaged header is not mistaken for a new disk. What it refuses, it refuses with a
// sentence for a person.
//
// The rule that keeps it small: two steps, Unlock and Open, with the door of the TPM closed in between by the caller.
//
// The format is described in docs/formats/data.md.
package data

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/seal"
)

// Sealer is the TPM, as far as it is needed here. *seal.TPM is one.
type Sealer interface {
	Boot() (seal.Boot, error)
	Seal(secret, pkix []byte, at seal.Boot) (seal.Blob, error)
	Unseal(b seal.Blob, by seal.Approval) ([]byte, error)
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
	State  frame.Device // state partition, for the sealed key
	Disk   frame.Device // data partition
	TPM    Sealer
	By     seal.Approval
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
	secret secret
	// made is the secret sealed again as "made", to be stored when the partition is; nil when it is stored already.
	made *seal.Blob
}

// Why a partition is not opened. They wait for a person: nothing is written.
var (
	ErrKeyLost = errors.New("there is sales data on the disk, but its sealed key is gone")
	ErrForeign = errors.New("the data partition is neither empty nor ours")
	ErrHeader  = errors.New("the head of the data partition is damaged; it was in use, so nothing is formatted")
	ErrKey     = errors.New("the opened key does not belong to this data partition")
)

// New prepares to open a partition.
func New(p Parts) *Partition { return &Partition{parts: p} }

// Unlock has the TPM open the key, or makes a key when there is proof that there never was one. It must run before
// PCR 13 is extended; everything else may run after.
func (p *Partition) Unlock() error {
	stored, err := seal.Load(p.parts.State)
	switch {
	case errors.Is(err, seal.ErrNone):
		if err := p.untouched(); err != nil {
			return err
		}
		return p.newKey()
	case errors.Is(err, seal.ErrDamaged) && p.neverUsed():
		p.parts.Say("the sealed key was cut off while it was first written; nothing was stored under it yet, so a new one is made")
		return p.newKey()
	case err != nil:
		return err
	}
	if stored.Trouble != "" {
		p.parts.Say(stored.Trouble)
	}
	if p.secret, err = p.unseal(stored.Blobs); err != nil {
		return err
	}
	if p.secret.state == stateMade {
		return nil
	}
	return p.sealAsMade()
}

// unseal opens the first of the blobs that opens; the newest is first.
func (p *Partition) unseal(blobs []seal.Blob) (secret, error) {
	var failed error
	for _, b := range blobs {
		text, err := p.parts.TPM.Unseal(b, p.parts.By)
		if err == nil {
			return parseSecret(text)
		}
		switch {
		case failed == nil:
			failed = err
		case failed.Error() != err.Error():
			failed = fmt.Errorf("%w; the older copy: %w", failed, err)
		}
	}
	return secret{}, fmt.Errorf("opening the data key: %w", failed)
}

// untouched says why a disk without a sealed key is not a new one.
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

// newKey makes a key and stores it sealed as "being made", so that a first boot that is cut short is continued with
// the same key by the next.
func (p *Partition) newKey() error {
	p.secret = secret{state: stateMaking}
	for _, b := range [][]byte{p.secret.identity[:], p.secret.key[:]} {
		if _, err := io.ReadFull(p.parts.Random, b); err != nil {
			return fmt.Errorf("making the data key: %w", err)
		}
	}
	blob, err := p.seal(stateMaking)
	if err != nil {
		return err
	}
	if err := seal.Save(p.parts.State, blob); err != nil {
		return err
	}
	return p.sealAsMade()
}

// sealAsMade seals the secret as "made" while the TPM can still show that it opens again.
func (p *Partition) sealAsMade() error {
	blob, err := p.seal(stateMade)
	if err != nil {
		return err
	}
	p.made = &blob
	return nil
}

func (p *Partition) seal(s state) (seal.Blob, error) {
	at, err := p.parts.TPM.Boot()
	if err != nil {
		return seal.Blob{}, fmt.Errorf("sealing the data key: %w", err)
	}
	as := p.secret
	as.state = s
	blob, err := p.parts.TPM.Seal(as.encode(), p.parts.By.Key, at)
	if err != nil {
		return seal.Blob{}, fmt.Errorf("sealing the data key: %w", err)
	}
	// A key that does not open again must not be used: the next boot would stand before a locked till.
	if _, err := p.unseal([]seal.Blob{blob}); err != nil {
		return seal.Blob{}, fmt.Errorf("sealing the data key: trying it: %w", err)
	}
	return blob, nil
}

// Open opens the partition and mounts it; it makes it first when that was never finished. Afterwards the key is
// nowhere but in the kernel.
func (p *Partition) Open() error {
	defer p.secret.wipe()
	found, err := pair().Load(p.parts.Disk)
	switch {
	case err == nil:
		if err := p.openMade(found.Payload); err != nil {
			return err
		}
	case p.secret.state == stateMade:
		return fmt.Errorf("%w: %w", ErrHeader, err)
	default:
		if err := p.create(); err != nil {
			return fmt.Errorf("making the data partition: %w", err)
		}
	}
	return p.storeMade()
}

func (p *Partition) openMade(payload []byte) error {
	h, err := ParseHeader(payload)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHeader, err)
	}
	if h != p.secret.header() {
		return ErrKey
	}
	if _, err := p.parts.Volume.Open(p.secret.key[:]); err != nil {
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
	header := p.secret.header()
	dev, err := p.parts.Volume.Open(p.secret.key[:])
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

// storeMade notes that the partition was made, in both copies: afterwards no single damage can make it look new.
func (p *Partition) storeMade() error {
	if p.made == nil {
		return nil
	}
	for range 2 {
		if err := seal.Save(p.parts.State, *p.made); err != nil {
			return err
		}
	}
	p.made = nil
	return nil
}
