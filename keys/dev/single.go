package dev

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
)

// nameHeader is the PEM header that holds an Ed25519 key's name: these keys have
// no certificate to say INSECURE in.
const nameHeader = "Name"

// ensureEd25519s reads the keys ROLE1 to ROLEn.
func ensureEd25519s(dir, role string, n int) ([]NamedKey, error) {
	var out []NamedKey
	for i := 1; i <= n; i++ {
		k, err := ensureEd25519(dir, fmt.Sprintf("%s%d", role, i))
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// ensureEd25519 reads NAME.key: PKCS#8 in PEM, with the key's full name in a header.
func ensureEd25519(dir, name string) (NamedKey, error) {
	path, full := filepath.Join(dir, name+".key"), "choba-INSECURE-"+name
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = makeEd25519(full); err == nil {
			err = writeOnce(path, text)
		}
	}
	if err != nil {
		return NamedKey{}, err
	}
	k, err := ParseEd25519(text)
	if err != nil {
		return NamedKey{}, fmt.Errorf("reading %s: %w", path, err)
	}
	if k.Name != full {
		return NamedKey{}, fmt.Errorf("reading %s: it is the key %.80q", path, k.Name)
	}
	return k, nil
}

func makeEd25519(name string) ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making an Ed25519 key: %w", err)
	}
	return NamedKey{name, key}.PEM()
}

// PEM writes the key as ParseEd25519 reads it.
func (k NamedKey) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.Key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Headers: map[string]string{nameHeader: k.Name}, Bytes: der}), nil
}

// ParseEd25519 reads a key file: one PEM block with the key's name in its header.
func ParseEd25519(text []byte) (NamedKey, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) != 0 || block.Headers[nameHeader] == "" {
		return NamedKey{}, errors.New("want one PEM block PRIVATE KEY with the header Name, and nothing else")
	}
	key, err := parsePKCS8[ed25519.PrivateKey]("the key", block.Bytes)
	return NamedKey{block.Headers[nameHeader], key}, err
}

// ensureEscrow reads escrow.key, as age-keygen writes one.
func ensureEscrow(dir string) (*age.X25519Identity, error) {
	const mark = "# choba-INSECURE-escrow\n"
	path := filepath.Join(dir, "escrow.key")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			return nil, fmt.Errorf("making the escrow key: %w", err)
		}
		return id, writeOnce(path, []byte(fmt.Sprintf("%s# public key: %s\n%s\n", mark, id.Recipient(), id)))
	}
	if err != nil {
		return nil, err
	}
	ids, err := age.ParseIdentities(strings.NewReader(string(text)))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	id, ok := ids[0].(*age.X25519Identity)
	if !ok || len(ids) != 1 || !strings.HasPrefix(string(text), mark) {
		return nil, fmt.Errorf("reading %s: want one INSECURE X25519 identity", path)
	}
	return id, nil
}
