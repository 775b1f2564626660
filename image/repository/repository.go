// Package repository is the folder that a vendor hands out, on a stick or behind an
// HTTPS server: bundles, and the signed metadata (The Update Framework, TUF 1.0)
// that says which of them is the newest. It writes such a folder and reads it as a
// register does. docs/formats/repository.md has its layout.
//
// It is not the release: whether a manifest is signed by enough release keys, fits
// the hardware and is not below the floor is image/release's question, asked again
// by init. What the metadata adds is that nobody who controls a server or a stick
// can hold back, mix or roll back what the vendor offers, and that a lost key can be
// replaced.
//
// The rule that keeps it small: it decides what is offered, never what is run.
package repository

import (
	"errors"
	"time"

	"github.com/choba-os/choba/image/source"
)

// Why a repository's offer is not taken. The wrapped message names the role.
var (
	ErrExpired   = errors.New("release metadata is out of date")
	ErrRollback  = errors.New("release metadata is older than what was seen before")
	ErrThreshold = errors.New("release metadata is not signed by enough of its keys")
	ErrMixed     = errors.New("release metadata of different times is mixed")
	ErrForm      = errors.New("release metadata is malformed")
	ErrProduct   = errors.New("repository holds no release for this register")
	ErrAltered   = errors.New("release does not match the metadata")
	ErrMissing   = source.ErrMissing
	ErrTooLarge  = source.ErrTooLarge
)

// Fetcher and Source are those of image/source.
type (
	Fetcher = source.Fetcher
	Source  = source.Source
)

// ParseSource reads an update.json.
func ParseSource(text []byte) (Source, error) { return source.Parse(text) }

// Offer is the newest release that a repository has for a register. Its metadata is
// proven; its release signatures, hardware and floor are not: hand Signed to
// release.Check.
type Offer struct {
	Signed  []byte    // signed manifest
	Bundle  string    // path of the bundle in the folder
	Expires time.Time // from then on the metadata that says so is not believed any more
	Warning string    // what a technician should know, in English; "" = nothing
}
