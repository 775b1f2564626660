package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/choba-os/choba/keys/keyfile"
)

// ensureEd25519s reads the keys ROLE1 to ROLEn.
func ensureEd25519s(dir, role string, n int) ([]keyfile.Key, error) {
	var out []keyfile.Key
	for i := 1; i <= n; i++ {
		k, err := ensureEd25519(dir, fmt.Sprintf("%s%d", role, i))
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// ensureEd25519 reads NAME.key. These keys have no certificate to say INSECURE in,
// so their files' name header does.
func ensureEd25519(dir, name string) (keyfile.Key, error) {
	path, full := filepath.Join(dir, name+".key"), "choba-INSECURE-"+name
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = makeEd25519(full); err == nil {
			err = writeOnce(path, text)
		}
	}
	if err != nil {
		return keyfile.Key{}, err
	}
	k, err := keyfile.Parse(text)
	if err != nil {
		return keyfile.Key{}, fmt.Errorf("reading %s: %w", path, err)
	}
	if k.Name != full {
		return keyfile.Key{}, fmt.Errorf("reading %s: it is the key %.80q", path, k.Name)
	}
	return k, nil
}

func makeEd25519(name string) ([]byte, error) {
	k, err := keyfile.New(name)
	if err != nil {
		return nil, err
	}
	return k.Encode()
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
