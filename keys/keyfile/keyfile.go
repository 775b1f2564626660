// Package keyfile is how an Ed25519 key of a repository's role lies in a file: PKCS#8
// or PKIX in one PEM block, with the key's name in a header, so that nobody has to
// tell keys apart by their digits.
//
// It is not for release keys, which are note keys (golang.org/x/mod/sumdb/note), and
// it holds nothing secret in memory longer than its callers do.
//
// The rule that keeps it small: one kind of key, two halves, one file each.
package keyfile

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Key is a private half with its name.
type Key struct {
	Name string
	Key  ed25519.PrivateKey
}

// Public is a public half with its name.
type Public struct {
	Name string
	Key  ed25519.PublicKey
}

const (
	privateBlock = "PRIVATE KEY"
	publicBlock  = "PUBLIC KEY"
	nameHeader   = "Name"
)

// New makes a key.
func New(name string) (Key, error) {
	if err := checkName(name); err != nil {
		return Key{}, fmt.Errorf("making a key: %w", err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("making a key: %w", err)
	}
	return Key{name, key}, nil
}

// Public is the half that is handed out.
func (k Key) Public() Public { return Public{k.Name, k.Key.Public().(ed25519.PublicKey)} }

// Encode writes the private half's file.
func (k Key) Encode() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.Key)
	if err != nil {
		return nil, fmt.Errorf("writing key %s: %w", k.Name, err)
	}
	return encode(privateBlock, k.Name, der)
}

// Encode writes the public half's file.
func (p Public) Encode() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(p.Key)
	if err != nil {
		return nil, fmt.Errorf("writing key %s: %w", p.Name, err)
	}
	return encode(publicBlock, p.Name, der)
}

// Parse reads a private half's file.
func Parse(text []byte) (Key, error) {
	name, der, err := decode(privateBlock, text)
	if err != nil {
		return Key{}, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return Key{}, fmt.Errorf("reading key %s: %w", name, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return Key{}, fmt.Errorf("reading key %s: it is a %T", name, key)
	}
	return Key{name, private}, nil
}

// ParsePublic reads a public half's file.
func ParsePublic(text []byte) (Public, error) {
	name, der, err := decode(publicBlock, text)
	if err != nil {
		return Public{}, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return Public{}, fmt.Errorf("reading key %s: %w", name, err)
	}
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return Public{}, fmt.Errorf("reading key %s: it is a %T", name, key)
	}
	return Public{name, public}, nil
}

func encode(kind, name string, der []byte) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Headers: map[string]string{nameHeader: name}, Bytes: der}), nil
}

func decode(kind string, text []byte) (name string, der []byte, err error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != kind || len(rest) != 0 || len(block.Headers) != 1 {
		return "", nil, fmt.Errorf("reading a key: want one PEM block %s with the header %s and nothing else", kind, nameHeader)
	}
	name = block.Headers[nameHeader]
	if err := checkName(name); err != nil {
		return "", nil, fmt.Errorf("reading a key: %w", err)
	}
	return name, block.Bytes, nil
}

func checkName(name string) error {
	if name == "" || len(name) > 64 || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@") != "" {
		return errors.New("its name wants 1 to 64 letters, digits or any of . _ - @")
	}
	return nil
}
