// Package offer is the dry run: would the next boot take what lies in the idle slot, verify it, and open the data with
// it? It is asked before a release is put on trial, and answers with a release or with words why not.
//
// It is not the trial: what only running shows, it cannot foretell. It trusts nobody who wrote the slot, and changes
// nothing: the slot record is the caller's.
//
// The rule that keeps it small: the checks of the next boot, in the order of their cost, each by the package that the
// next boot will use.
//
// Known hole: a vendor that exchanges the key for kexec must sign one release's boot image with the old key first; this
// package asks the next image for the signers of the running one. The kernel could be asked instead, but may load no
// other kernel any more when init runs.
package offer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/choba-os/choba/image/authenticode"
	"github.com/choba-os/choba/image/pkcs7"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
)

// Where things lie in a release.
const (
	BootPath = "/boot/boot.efi"
	IDPath   = "/boot/boot.id"
	idSize   = 65 // 64 hex digits and a line feed
)

// DataSchema is the schema of what the running release's services keep. It rises with the first change of a stored
// format that older releases cannot read.
const DataSchema = 1

// NeedFree is what a new release wants to find free on the data partition, in bytes: room for its own first records
// and for an index that it builds anew.
const NeedFree = 16 << 20

// Volume is a release as the kernel shows it: every block that is read was checked against the signed root hash.
type Volume interface {
	// ReadFile reads a file of at most most bytes.
	ReadFile(path string, most int64) ([]byte, error)
	Close() error
}

// Register is what the offered release is held against.
type Register struct {
	Root     trust.Root
	Hardware string
	Running  release.Release
	Slot     slot.Name // the idle one
	Record   slot.Record
	Floor    uint64
	Boot     func() ([]byte, error) // the boot image that the running release brought
	Free     func() (int64, error)  // bytes on the data partition
}

// Idle is the partition of the idle slot.
type Idle struct {
	Device io.ReaderAt
	Size   int64
	Open   func(release.Release) (Volume, error) // through the kernel
}

// Why an offer is refused beyond the reasons of release, seal and verity.
var (
	ErrNotNewer  = errors.New("it is no newer than the running release")
	ErrSchema    = errors.New("it cannot read this register's data any more")
	ErrSpace     = errors.New("too little room on the data partition")
	ErrBootImage = errors.New("its boot image would not be started")
)

// ErrRegister is for a fault that says nothing about the release: the disk, or what runs, cannot be read.
var ErrRegister = errors.New("the check could not be made")

// Check says which release lies in the idle slot, when the next boot would take it. It reads all of the slot. anew lets
// a release in that failed here before or is no newer; nothing else.
func Check(ctx context.Context, at Register, idle Idle, anew bool) (release.Release, error) {
	idle.Device = reader{ctx, idle.Device}
	r, err := read(at, idle)
	if err != nil {
		return release.Release{}, err
	}
	if _, err := slot.Offer(at.Record, at.Slot, r.Version, r.ID, anew); err != nil {
		return release.Release{}, err
	}
	if err := at.compare(r, anew); err != nil {
		return release.Release{}, fmt.Errorf("version %d: %w", r.Version, err)
	}
	if err := verity.Verify(idle.Device, r.Verity); err != nil {
		return release.Release{}, fmt.Errorf("slot %s: %w", at.Slot, err)
	}
	if err := at.look(idle, r); err != nil {
		return release.Release{}, fmt.Errorf("slot %s: %w", at.Slot, err)
	}
	return r, nil
}

// read reads and checks the head.
func read(at Register, idle Idle) (release.Release, error) {
	signed, err := release.ReadHead(idle.Device, idle.Size)
	if err != nil {
		return release.Release{}, fmt.Errorf("slot %s: %w", at.Slot, err)
	}
	return release.Check(at.Root, signed, release.Register{Hardware: at.Hardware, Floor: at.Floor})
}

// compare holds the manifest against this register.
func (at Register) compare(r release.Release, anew bool) error {
	if r.Version <= at.Running.Version && !anew {
		return fmt.Errorf("%w, version %d", ErrNotNewer, at.Running.Version)
	}
	if r.Schema > DataSchema {
		return fmt.Errorf("%w: it wants schema %d, here is %d", ErrSchema, r.Schema, DataSchema)
	}
	err := seal.CheckApproval(seal.Approval{Key: at.Root.PCR, RootHash: r.Verity.Root.String(), Version: r.Version, Signature: r.PCR13Signature})
	if err != nil {
		return err
	}
	free, err := at.Free()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRegister, err)
	}
	if free < NeedFree {
		return fmt.Errorf("%w: %d MiB free, want %d", ErrSpace, free>>20, NeedFree>>20)
	}
	return nil
}

// look has the kernel open the release, which checks the root hash's signature, and looks at what recovery will need.
func (at Register) look(idle Idle, r release.Release) (err error) {
	v, err := idle.Open(r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	id, err := v.ReadFile(IDPath, idSize)
	if err != nil {
		return err
	}
	if digits, ended := strings.CutSuffix(string(id), "\n"); !ended || len(digits) != 64 || strings.Trim(digits, "0123456789abcdef") != "" {
		return fmt.Errorf("%s is not 64 hex digits", IDPath)
	}
	boot, err := v.ReadFile(BootPath, r.Boot.Size)
	if err != nil {
		return err
	}
	if release.Sum(boot) != r.Boot {
		return fmt.Errorf("%s %w", BootPath, release.ErrAltered)
	}
	if r.Boot == at.Running.Boot {
		return nil // it runs already
	}
	running, err := at.Boot()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRegister, err)
	}
	return SignedAlike(boot, running)
}

// SignedAlike says whether next would be started wherever running was: by kexec, which looks at the first signature
// only, and by the firmware, which looks at all. The signers are those that running names.
func SignedAlike(next, running []byte) error {
	signers, err := Signers(running)
	if err != nil {
		return fmt.Errorf("the running boot image: %w", err)
	}
	if len(signers) == 0 {
		return errors.New("the running boot image: nobody has signed it")
	}
	for i, cert := range signers {
		place, err := authenticode.Verify(next, cert)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBootImage, err)
		}
		if i == 0 && place != 0 {
			return fmt.Errorf("%w: %q must have signed first, for kexec", ErrBootImage, cert.Subject)
		}
	}
	return nil
}

// Signers are the certificates of those who have signed a boot image, in their order.
func Signers(pe []byte) ([]*x509.Certificate, error) {
	messages, err := authenticode.Signatures(pe)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for _, der := range messages {
		m, err := pkcs7.Parse(der)
		if err != nil {
			return nil, err
		}
		cert, err := m.Certificate()
		if err != nil {
			return nil, err
		}
		if _, err := authenticode.Verify(pe, cert); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, cert.Equal) {
			out = append(out, cert)
		}
	}
	return out, nil
}

// reader ends with its context: a slot takes a while to read.
type reader struct {
	ctx context.Context
	r   io.ReaderAt
}

func (r reader) ReadAt(b []byte, at int64) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.r.ReadAt(b, at)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %w", ErrRegister, err)
	}
	return n, err
}
