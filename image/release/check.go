package release

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/choba-os/choba/keys/trust"
)

// Why a properly signed release is still not for this register. Wrong or missing
// signatures are errors of keys/trust, and a bad text is ErrManifest.
var (
	ErrProduct  = errors.New("release is for another product")
	ErrHardware = errors.New("release is not for this hardware")
	ErrFloor    = errors.New("release is older than this register accepts")
)

// Register is what a release is held against, beside the trust list.
type Register struct {
	Hardware string
	Floor    uint64 // lowest version accepted; 0 accepts all
}

// Release is a manifest that was found good.
type Release struct {
	Manifest
	ID      [32]byte // SHA-256 of the manifest's text: names this very release
	Signers []string // the release keys that signed
}

// Check opens a signed manifest and says whether this register takes the release,
// or in words why not. It proves nothing of the parts yet: they are checked against
// the manifest as they are read (the kernel does it for EROFS and tree).
func Check(root trust.Root, signed []byte, at Register) (Release, error) {
	text, signers, err := root.OpenRelease(signed)
	if err != nil {
		return Release{}, fmt.Errorf("release manifest: %w", err)
	}
	m, err := Parse(text)
	if err != nil {
		return Release{}, err
	}
	if m.Product != root.Product {
		return Release{}, fmt.Errorf("%w: %s, this is %s", ErrProduct, m.Product, root.Product)
	}
	if !slices.Contains(m.Hardware, at.Hardware) {
		return Release{}, fmt.Errorf("%w: it is for %v, this is %s", ErrHardware, m.Hardware, at.Hardware)
	}
	if m.Version < at.Floor {
		return Release{}, fmt.Errorf("%w: version %d, the floor is %d", ErrFloor, m.Version, at.Floor)
	}
	return Release{Manifest: m, ID: sha256.Sum256(text), Signers: signers}, nil
}
