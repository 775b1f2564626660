// Package espupdate brings the boot partition's file up to the boot image of the release that runs, so that the next
// boot needs no jump: sealing first, writing last.
//
//	before the door closes   Prepare: is there something to do, will the firmware take it, will the TPM open for it?
//	                         Then the data key is sealed to the PCR 4 that comes, beside the one of today.
//	when the release is kept Write: the file is replaced in one instant, and read back.
//	at a later boot          the firmware has started the new file: Done, and both copies of the key become today's.
//
// Whenever the power goes, the firmware finds a whole file that it takes, old or new, and a sealed key that opens for
// it. The file is replaced at most once for a release and never by an older one's; what fails is tried a few times and
// then left: the register goes on as it is, with a jump at every boot.
//
// It is not the update of a slot, knows no FAT, and decides nothing that recovery would believe. The rule that keeps it
// small: the boot partition is what is read from it, never what a record says of it.
package espupdate

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/choba-os/choba/image/authenticode"
	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/init/offer"
	"github.com/choba-os/choba/keys/seal"
)

// Attempts is how often a new file is tried before it is left alone.
const Attempts = 3

// File is the boot image on the boot partition.
type File interface {
	Read() ([]byte, error)
	// Replace puts content in its place, in one instant as far as a power cut can tell, and durably.
	Replace(content []byte) error
}

// Keys is the sealed data key.
type Keys interface {
	// Now is the firmware's measurement of this boot.
	Now() (seal.Boot, error)
	// Reseal seals the key to the boot that comes, as the newest; the one of this boot stays beside it.
	Reseal(next seal.Boot) error
}

// Parts is what an update needs.
type Parts struct {
	File    File
	State   frame.Device  // for the record
	Keys    Keys          // nil: there is no TPM, nothing is sealed
	Events  []seal.Digest // the firmware's log of PCR 4
	Version uint64        // of the running release
	New     []byte        // its boot image
}

// Job is an update that is prepared: the key is sealed to its outcome. The zero Job is nothing to do.
type Job struct {
	parts   Parts
	present seal.Boot // sealed to, with Keys
	next    seal.Boot
	record  Record
}

// Due says whether there is something to write.
func (j Job) Due() bool { return j.record.State == Sealed }

// Why no update is made. The register goes on with a jump at every boot.
var (
	ErrGivenUp = errors.New("it was tried often enough and is left")
	ErrOlder   = errors.New("a newer release has written the boot partition")
	ErrUnready = errors.New("the data key is not sealed to the new boot image")
)

// Prepare decides, and seals the key to the outcome. It must come before the door closes. The zero Job and no error mean
// that the file is the right one already.
func Prepare(p Parts) (Job, error) {
	old, err := p.File.Read()
	if err != nil {
		return Job{}, err
	}
	rec := Load(p.State)
	j := Job{parts: p, record: Record{State: Sealed, Version: p.Version, From: sha256.Sum256(old), To: sha256.Sum256(p.New)}}
	if j.record.From == j.record.To {
		return Job{}, settle(p, rec)
	}
	if rec.State != None && rec.Version > p.Version {
		return Job{}, fmt.Errorf("updating the boot partition: %w: version %d", ErrOlder, rec.Version)
	}
	if rec.To == j.record.To {
		j.record.Attempts = rec.Attempts
	}
	if j.record.Attempts >= Attempts {
		return Job{}, fmt.Errorf("updating the boot partition: %w: %s", ErrGivenUp, rec.Reason)
	}
	j.record.Attempts++
	if err := j.reseal(old); err != nil {
		return Job{}, j.failed(err)
	}
	if err := Store(p.State, j.record); err != nil {
		return Job{}, err
	}
	return j, nil
}

// settle notes that the file is the right one.
func settle(p Parts, rec Record) error {
	if rec.State == None || rec.State == Done {
		return nil
	}
	rec.State, rec.Reason = Done, ""
	return Store(p.State, rec)
}

// reseal asks whether firmware and TPM would take the new image, and seals the key to it.
func (j *Job) reseal(old []byte) error {
	// The firmware has just taken the old file: who signed that, it takes again.
	if err := offer.SignedAlike(j.parts.New, old); err != nil {
		return err
	}
	if j.parts.Keys == nil {
		return nil
	}
	was, err := authenticode.Hash(old)
	if err != nil {
		return err
	}
	will, err := authenticode.Hash(j.parts.New)
	if err != nil {
		return err
	}
	if j.present, err = j.parts.Keys.Now(); err != nil {
		return err
	}
	j.next = j.present
	if j.next.Image, err = seal.PredictImage(j.parts.Events, j.present.Image, was, will); err != nil {
		return err
	}
	return j.parts.Keys.Reseal(j.next)
}

// failed counts an attempt that came to nothing.
func (j Job) failed(cause error) error {
	j.record.Reason = cause.Error()
	return errors.Join(fmt.Errorf("updating the boot partition: %w", cause), Store(j.parts.State, j.record))
}

// Write replaces the file and reads it back. The release must have proved itself. It changes nothing when the key on
// the disk is not sealed both to the new image and to the present one.
func (j Job) Write() error {
	if !j.Due() {
		return nil
	}
	if err := j.checkKeys(); err != nil {
		return j.failed(err)
	}
	j.record.State = Writing
	if err := Store(j.parts.State, j.record); err != nil {
		return err
	}
	// What counts is what is there afterwards, also when tidying up behind the new file went wrong.
	wrote := j.parts.File.Replace(j.parts.New)
	got, err := j.parts.File.Read()
	switch {
	case err != nil:
		return j.failed(errors.Join(wrote, err))
	case !bytes.Equal(got, j.parts.New):
		return j.failed(errors.Join(wrote, errors.New("reading it back: it is not what was written")))
	}
	j.record.State, j.record.Reason = Written, ""
	if wrote != nil {
		j.record.Reason = wrote.Error()
	}
	return Store(j.parts.State, j.record)
}

// checkKeys reads the sealed keys from the disk once more: between Prepare and here the boot has gone on.
func (j Job) checkKeys() error {
	if j.parts.Keys == nil {
		return nil
	}
	stored, err := seal.Load(j.parts.State)
	if err != nil {
		return err
	}
	if len(stored.Blobs) != 2 || stored.Blobs[0].At != j.next || stored.Blobs[1].At != j.present {
		return ErrUnready
	}
	return nil
}
