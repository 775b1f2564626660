package checkpoint

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// SeedSize is the number of random bytes a key is made from.
const SeedSize = ed25519.SeedSize

// Signer is a note signer together with its public half.
type Signer struct {
	note.Signer
	Public string // note verifier key
	secret string // note signer key
}

// NewSigner makes the signer of that name from SeedSize random bytes.
func NewSigner(name string, seed []byte) (*Signer, error) {
	if len(seed) != SeedSize {
		return nil, fmt.Errorf("making a key: a seed of %d bytes, want %d", len(seed), SeedSize)
	}
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(name, public)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	// vkey is name+hash+key; the note package writes a signer key with the same name and hash (algorithm 1, Ed25519).
	hash := strings.TrimPrefix(vkey, name+"+")
	hash, _, _ = strings.Cut(hash, "+")
	secret := "PRIVATE+KEY+" + name + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed...))
	return parseSigner(secret, vkey)
}

// ParseSigner reads what Signer.Secret wrote.
func ParseSigner(secret string) (*Signer, error) {
	s, err := note.NewSigner(secret)
	if err != nil {
		return nil, errors.New("reading a key: malformed") // the cause would repeat the secret
	}
	parts := strings.Split(secret, "+")
	seed, err := base64.StdEncoding.DecodeString(strings.Join(parts[4:], "+"))
	if err != nil || len(seed) != 1+SeedSize {
		return nil, errors.New("reading a key: malformed")
	}
	again, err := NewSigner(s.Name(), seed[1:])
	if err != nil || again.secret != secret {
		return nil, errors.New("reading a key: malformed")
	}
	return again, nil
}

func parseSigner(secret, vkey string) (*Signer, error) {
	s, err := note.NewSigner(secret)
	if err != nil {
		return nil, errors.New("making a key: malformed")
	}
	return &Signer{Signer: s, Public: vkey, secret: secret}, nil
}

// Secret is the key itself, for the one place that keeps a device key. Never log it.
func (s *Signer) Secret() string { return s.secret }

// RegisterID is the register's name in origins: the first half of the hash over its device key's seed-made public
// half, so that nobody has to hand out numbers.
func RegisterID(seed []byte) (string, error) {
	if len(seed) != SeedSize {
		return "", fmt.Errorf("naming the register: a seed of %d bytes, want %d", len(seed), SeedSize)
	}
	sum := sha256.Sum256(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	return hex.EncodeToString(sum[:8]), nil
}

// Origin is the name of a log: of one register, and of one life of its journal.
func Origin(register string, log [4]byte) string {
	return "choba/" + register + "/" + hex.EncodeToString(log[:])
}

// DeviceName is the name of a register's device key.
func DeviceName(register string) string { return "choba/" + register + "/device" }

// Register is the register's part of an origin or of a device key's name; "" when it has none.
func Register(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) != 3 || parts[0] != "choba" || parts[1] == "" || parts[2] == "" {
		return ""
	}
	return parts[1]
}
