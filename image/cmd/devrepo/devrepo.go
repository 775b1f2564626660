// Package devrepo is the repository's side of the development keys: the root of
// trust, the keys that sign metadata, and the server that a development register
// asks.
//
// It is not for a vendor, whose root and server come out of a ceremony
// (docs/playbooks/sign.md), and it is in no image. All names in it say INSECURE.
//
// The rule that keeps it small: everything is a function of keys/dev, the same bytes
// each time.
package devrepo

import (
	"encoding/pem"
	"time"

	"github.com/choba-os/choba/image/repository"
	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/keys/keyfile"
)

// Ring is every key of the repository's roles.
func Ring(k *dev.Keys) []repository.Key {
	var out []repository.Key
	for _, n := range k.TUF.All() {
		out = append(out, repository.Key(n))
	}
	return out
}

// Root is /etc/choba/root.json: both root keys, both target keys, one each of the
// others.
func Root(k *dev.Keys) ([]byte, error) {
	roles := repository.Roles{
		Root: role(k.TUF.Root...), Targets: role(k.TUF.Targets...),
		Snapshot: role(k.TUF.Snapshot), Timestamp: role(k.TUF.Timestamp),
	}
	return repository.NewRoot(1, roles, time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC), Ring(k))
}

// role is held by all of the keys together.
func role(keys ...keyfile.Key) repository.Role {
	r := repository.Role{Threshold: len(keys)}
	for _, k := range keys {
		r.Keys = append(r.Keys, repository.PublicKey(k.Public()))
	}
	return r
}

// Server is where a development register looks for releases: in the emulator's network.
const Server = "https://" + dev.ServerAddress + "/"

// Source is /etc/choba/update.json for a server whose certificate our CA has signed.
func Source(k *dev.Keys, server string) ([]byte, error) {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.CA.Cert.Raw})
	return source.Source{URL: server, CA: ca}.Encode()
}
