package repository

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/release"
)

// What the library would take and we do not: it follows pointers that hostile
// metadata leaves out, and takes hashes, lengths and delegations as one likes. Each
// check below runs before the signature is looked at, so it must bear any input.

// errSame means that the timestamp is the one already known.
var errSame = errors.New("the same version")

// guarded calls the library and says in our own words what it found. Its parsers
// have panicked before a signature was checked (GHSA-846p-jg2w-w324), so that a
// panic is a malformed file, not the end of the process.
func guarded(role string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %s: %v", ErrForm, role, r)
		}
	}()
	if err := f(); err != nil {
		return fmt.Errorf("%w: %s: %w", kind(role, err), role, err)
	}
	return nil
}

// kind is ours for the library's error. In a timestamp or root a bad version is an
// older one; deeper down it is one that another role did not name.
func kind(role string, err error) error {
	switch {
	case errors.Is(err, &metadata.ErrEqualVersionNumber{}):
		return errSame
	case errors.Is(err, &metadata.ErrExpiredMetadata{}):
		return ErrExpired
	case errors.Is(err, &metadata.ErrUnsignedMetadata{}):
		return ErrThreshold
	case errors.Is(err, &metadata.ErrLengthOrHashMismatch{}):
		return ErrMixed
	case errors.Is(err, &metadata.ErrBadVersionNumber{}):
		if role == "targets" {
			return ErrMixed
		}
		return ErrRollback
	}
	return ErrForm
}

func malformed(role, why string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrForm, role, fmt.Sprintf(why, args...))
}

// parse reads a file of the role that T is; role is its name for people.
func parse[T metadata.Roles](role string, data []byte) (meta *metadata.Metadata[T], err error) {
	err = guarded(role, func() (err error) {
		meta, err = new(metadata.Metadata[T]).FromBytes(data)
		return err
	})
	return meta, err
}

// parseRoot reads a root and checks its form: all four roles, each with at least
// one and no more than as many signatures as it has different Ed25519 keys.
func parseRoot(data []byte) (root *metadata.Metadata[metadata.RootType], err error) {
	if len(data) > maxRoot {
		return nil, fmt.Errorf("%w: root of %d bytes, at most %d", ErrTooLarge, len(data), maxRoot)
	}
	if root, err = parse[metadata.RootType]("root", data); err != nil {
		return nil, err
	}
	r := root.Signed
	if !r.ConsistentSnapshot || r.Version < 1 || len(r.Roles) != 4 {
		return nil, malformed("root", "version %d, %d roles, consistent snapshots %v", r.Version, len(r.Roles), r.ConsistentSnapshot)
	}
	for id, k := range r.Keys {
		if err := checkKey(id, k); err != nil {
			return nil, err
		}
	}
	for _, name := range metadata.TOP_LEVEL_ROLE_NAMES {
		role := r.Roles[name]
		if role == nil {
			return nil, malformed("root", "no role %s", name)
		}
		if role.Threshold < 1 || role.Threshold > len(role.KeyIDs) {
			return nil, fmt.Errorf("%w: root: threshold %d of %d keys for %s", ErrThreshold, role.Threshold, len(role.KeyIDs), name)
		}
		seen := map[string]bool{}
		for _, id := range role.KeyIDs {
			if r.Keys[id] == nil || seen[id] {
				return nil, malformed("root", "key %.16s of %s is unknown or stands twice", id, name)
			}
			seen[id] = true
		}
	}
	return root, nil
}

// checkKey holds a key to its name: since that is its hash, no key can stand twice.
func checkKey(id string, k *metadata.Key) error {
	if k == nil || k.Type != metadata.KeyTypeEd25519 || k.Scheme != metadata.KeySchemeEd25519 ||
		len(k.UnrecognizedFields) != 0 || len(k.Value.UnrecognizedFields) != 0 {
		return malformed("root", "key %.16s is not a plain Ed25519 key", id)
	}
	raw, err := hex.DecodeString(k.Value.PublicKey)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return malformed("root", "key %.16s is not a plain Ed25519 key", id)
	}
	plain, err := metadata.KeyFromPublicKey(ed25519.PublicKey(raw))
	if err != nil {
		return malformed("root", "key %.16s: %v", id, err)
	}
	if real, err := plain.ID(); err != nil || real != id {
		return malformed("root", "key %.16s does not have its own name", id)
	}
	return nil
}

// checkMeta wants length and hash, which the format leaves open: without them files
// of different times could be mixed under one version number.
func checkMeta(role string, list map[string]*metadata.MetaFiles, name string) error {
	m := list[name]
	if len(list) != 1 || m == nil || m.Version < 1 || m.Length < 1 || len(m.Hashes) != 1 || len(m.Hashes["sha256"]) != 32 {
		return malformed(role, "want version, length and sha256 of %s and nothing else", name)
	}
	return nil
}

func checkTimestamp(data []byte) error {
	meta, err := parse[metadata.TimestampType]("timestamp", data)
	if err != nil {
		return err
	}
	return checkMeta("timestamp", meta.Signed.Meta, "snapshot.json")
}

func checkSnapshot(data []byte) error {
	meta, err := parse[metadata.SnapshotType]("snapshot", data)
	if err != nil {
		return err
	}
	return checkMeta("snapshot", meta.Signed.Meta, "targets.json")
}

func checkTargets(data []byte) error {
	meta, err := parse[metadata.TargetsType]("targets", data)
	if err != nil {
		return err
	}
	if meta.Signed.Delegations != nil {
		return malformed("targets", "delegations are not used here")
	}
	for name, t := range meta.Signed.Targets {
		if t == nil || t.Length < 1 || len(t.Hashes) != 1 || len(t.Hashes["sha256"]) != 32 {
			return malformed("targets", "want length and sha256 of %.80q", name)
		}
	}
	return nil
}

// readManifest reads a signed manifest without asking who signed it.
func readManifest(signed []byte) (release.Manifest, error) {
	var stranger *note.UnverifiedNoteError
	if _, err := note.Open(signed, note.VerifierList()); !errors.As(err, &stranger) {
		return release.Manifest{}, fmt.Errorf("%w: release: not a signed note", ErrForm)
	}
	m, err := release.Parse([]byte(stranger.Note.Text))
	if err != nil {
		return release.Manifest{}, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return m, nil
}

// sortedKeys gives a map's keys in order: what is written must not depend on chance.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
