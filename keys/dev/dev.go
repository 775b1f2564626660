// Package dev makes and reads the development keys: every private key that a build
// on an ordinary machine needs, made on first use and kept for later builds.
//
// They are worth nothing. Whoever can read the folder can sign anything, so every
// name in every certificate and note key says INSECURE, and a release build
// refuses a trust list that says so. Release keys of a vendor never pass here:
// they live in other people's hands (see docs/playbooks). It is not a key ceremony.
//
// The rule that keeps it small: it makes keys and reads them back; it signs
// nothing and rotates nothing.
package dev

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/keys/keyfile"
	"github.com/choba-os/choba/keys/trust"
)

// Product is what development releases are for.
const Product = "choba-INSECURE"

// How many of the three release keys must sign a release, and how many of the
// three service keys a ticket.
const (
	Threshold        = 2
	ServiceThreshold = 2
)

const (
	releaseKeys = 3
	serviceKeys = 3
	rootKeys    = 2
	targetsKeys = 2
)

// Pair is an RSA-2048 key and its self-signed certificate.
type Pair struct {
	Key  *rsa.PrivateKey
	Cert *x509.Certificate
}

// Keys are all development keys of one folder.
type Keys struct {
	Dir string // the folder that they came from

	PK, KEK, DB Pair // Secure Boot: the firmware trusts these
	Verity      Pair // the kernel trusts it for root hashes and IPE policies
	Kexec       Pair // the kernel trusts it for kernels to jump into

	CA  Pair // authority of the update server's certificate
	TLS Pair // the update server's certificate, signed by CA: 10.0.2.100 and updates.choba.test

	Release []note.Signer       // three; Threshold of them make a release
	Store   note.Signer         // signs store packs
	PCR     *ecdsa.PrivateKey   // P-256; approves values of PCR 13
	Service []note.Signer       // three; ServiceThreshold of them make a ticket
	Escrow  *age.X25519Identity // opens what registers wrap for the vendor
	TUF     RepositoryKeys      // sign the repository's metadata

	Trust []byte // trust.txt with the public halves
}

// RepositoryKeys are the keys of the repository's roles (image/repository). All of
// Root must sign a root, all of Targets a target list; the others sign alone.
type RepositoryKeys struct {
	Root, Targets       []keyfile.Key
	Snapshot, Timestamp keyfile.Key
}

// DefaultDir is where the keys live when nobody says otherwise: $CHOBA_KEYS, or
// choba/keys-INSECURE in the user's cache.
func DefaultDir() (string, error) {
	if d := os.Getenv("CHOBA_KEYS"); d != "" {
		return filepath.Abs(d)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the key folder: %w", err)
	}
	return filepath.Join(cache, "choba", "keys-INSECURE"), nil
}

// Ensure reads the keys of a folder, making the folder (mode 0700) and each
// missing key first. A key that is there but unreadable is an error, never
// replaced. Two processes may call it at once: a lock in the folder makes the
// second wait and then read what the first one made.
func Ensure(dir string) (*Keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the key folder: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("closing the key folder to others: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	k := &Keys{Dir: dir}
	if err := k.ensure(); err != nil {
		return nil, fmt.Errorf("development keys in %s: %w", dir, err)
	}
	return k, nil
}

func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the key folder's lock: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking the key folder: %w", err)
	}
	return func() { f.Close() }, nil
}

func (k *Keys) ensure() error {
	for _, s := range k.pairs() {
		p, err := ensurePair(k.Dir, s)
		if err != nil {
			return fmt.Errorf("key %s: %w", s.name, err)
		}
		*s.to = p
	}
	list := trust.List{
		Product: Product, Threshold: Threshold, ServiceThreshold: ServiceThreshold,
		NoTPM: trust.Sell, NoSecureBoot: trust.Sell,
	}
	var err error
	if k.Release, list.Release, err = ensureNotes(k.Dir, "release", releaseKeys); err != nil {
		return err
	}
	if k.Service, list.Service, err = ensureNotes(k.Dir, "service", serviceKeys); err != nil {
		return err
	}
	if k.Store, list.Store, err = ensureNote(k.Dir, "store"); err != nil {
		return err
	}
	if k.PCR, err = ensureECDSA(k.Dir, "pcr"); err != nil {
		return err
	}
	if list.PCR, err = x509.MarshalPKIXPublicKey(&k.PCR.PublicKey); err != nil {
		return fmt.Errorf("key pcr: %w", err)
	}
	if k.Escrow, err = ensureEscrow(k.Dir); err != nil {
		return err
	}
	list.Escrow = k.Escrow.Recipient().String()
	if err := k.ensureRepository(); err != nil {
		return err
	}
	k.Trust, err = list.Encode()
	return err
}

func (k *Keys) ensureRepository() (err error) {
	if k.TUF.Root, err = ensureEd25519s(k.Dir, "root", rootKeys); err != nil {
		return err
	}
	if k.TUF.Targets, err = ensureEd25519s(k.Dir, "targets", targetsKeys); err != nil {
		return err
	}
	if k.TUF.Snapshot, err = ensureEd25519(k.Dir, "snapshot"); err != nil {
		return err
	}
	k.TUF.Timestamp, err = ensureEd25519(k.Dir, "timestamp")
	return err
}
