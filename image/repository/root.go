package repository

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/choba-os/choba/keys/trust"
)

// Key signs metadata. Its name is for people; a root says it beside the key.
type Key struct {
	Name string
	Key  ed25519.PrivateKey
}

// Public is the half of a Key that a root holds.
func (k Key) Public() PublicKey {
	return PublicKey{k.Name, k.Key.Public().(ed25519.PublicKey)}
}

// PublicKey is who may sign for a role.
type PublicKey struct {
	Name string
	Key  ed25519.PublicKey
}

// Role is who may sign for it and how many of them must.
type Role struct {
	Threshold int
	Keys      []PublicKey
}

// Roles says who holds which role. Root and targets take more than one person and
// are kept offline; snapshot and timestamp sign often, by machine.
type Roles struct {
	Root, Targets, Snapshot, Timestamp Role
}

// namesField is our field in a root: key id → name for people. It is signed with
// the rest, and other clients pass over it.
const namesField = "x-choba-names"

// byName gives the roles under TUF's names.
func (r *Roles) byName() map[string]*Role {
	return map[string]*Role{
		metadata.ROOT: &r.Root, metadata.TARGETS: &r.Targets, metadata.SNAPSHOT: &r.Snapshot, metadata.TIMESTAMP: &r.Timestamp,
	}
}

// Of returns a role by its name: root, targets, snapshot or timestamp.
func (r *Roles) Of(name string) (*Role, error) {
	role := r.byName()[name]
	if role == nil {
		return nil, fmt.Errorf("unknown role %.40q: want root, targets, snapshot or timestamp", name)
	}
	return role, nil
}

// NewRoot writes a root of the given version, signed by those keys of the ring that
// hold the role of root in it. The same arguments give the same bytes. When the ring
// has too few keys, the result wants further signatures (AddSignatures).
func NewRoot(version int64, roles Roles, expires time.Time, ring []Key) ([]byte, error) {
	root := metadata.Root(expires.UTC().Truncate(time.Second))
	root.Signed.Version = version
	keyNames := map[string]any{}
	for name, role := range roles.byName() {
		root.Signed.Roles[name].Threshold = role.Threshold
		for _, k := range role.Keys {
			key, id, err := tufKey(k.Key)
			if err != nil {
				return nil, fmt.Errorf("writing root: %w", err)
			}
			if err := root.Signed.AddKey(key, name); err != nil {
				return nil, fmt.Errorf("writing root: %w", err)
			}
			if known, ok := keyNames[id]; ok && known != k.Name || k.Name == "" || len(k.Name) > 64 {
				return nil, fmt.Errorf("writing root: key %.16s is called %q and %v", id, k.Name, known)
			}
			keyNames[id] = k.Name
		}
	}
	root.Signed.UnrecognizedFields = map[string]any{namesField: keyNames}
	data, err := root.ToBytes(true)
	if err != nil {
		return nil, fmt.Errorf("writing root: %w", err)
	}
	if _, err := parseRoot(data); err != nil {
		return nil, fmt.Errorf("writing root: %w", err)
	}
	signed, _, err := AddSignatures(data, keysOf(root, metadata.ROOT, ring))
	return signed, err
}

func tufKey(public ed25519.PublicKey) (key *metadata.Key, id string, err error) {
	if key, err = metadata.KeyFromPublicKey(public); err != nil {
		return nil, "", err
	}
	id, err = key.ID()
	return key, id, err
}

// keysOf returns the keys of the ring that hold a role in a root.
func keysOf(root *metadata.Metadata[metadata.RootType], role string, ring []Key) []Key {
	var out []Key
	for _, k := range ring {
		_, id, err := tufKey(k.Public().Key)
		if err == nil && slices.Contains(root.Signed.Roles[role].KeyIDs, id) {
			out = append(out, k)
		}
	}
	return out
}

// RootInfo is what a root says.
type RootInfo struct {
	Version int64
	Expires time.Time
	Roles   Roles
	Signers []string // names of its own root keys that have signed it
	Signed  bool     // whether these are enough
}

// Insecure reports whether a key of the root is a development key, or nameless.
func (r RootInfo) Insecure() bool {
	for _, role := range r.Roles.byName() {
		for _, k := range role.Keys {
			if k.Name == "" || strings.Contains(k.Name, trust.InsecureMark) {
				return true
			}
		}
	}
	return false
}

// ReadRoot says what a root holds. It checks the form, not whether to believe it.
func ReadRoot(data []byte) (RootInfo, error) {
	root, err := parseRoot(data)
	if err != nil {
		return RootInfo{}, err
	}
	info := RootInfo{Version: root.Signed.Version, Expires: root.Signed.Expires}
	for name, role := range info.Roles.byName() {
		role.Threshold = root.Signed.Roles[name].Threshold
		for _, id := range root.Signed.Roles[name].KeyIDs {
			public, err := root.Signed.Keys[id].ToPublicKey()
			if err != nil {
				return RootInfo{}, malformed("root", "key %.16s: %v", id, err)
			}
			role.Keys = append(role.Keys, PublicKey{nameOf(root, id), public.(ed25519.PublicKey)})
		}
	}
	for _, id := range root.Signed.Roles[metadata.ROOT].KeyIDs {
		if signedBy(root, metadata.ROOT, root, id) {
			info.Signers = append(info.Signers, nameOf(root, id))
		}
	}
	info.Signed = root.VerifyDelegate(metadata.ROOT, root) == nil
	return info, nil
}

func nameOf(root *metadata.Metadata[metadata.RootType], id string) string {
	list, _ := root.Signed.UnrecognizedFields[namesField].(map[string]any)
	name, _ := list[id].(string)
	return name
}

// signedBy says whether one key of a role has really signed.
func signedBy(root *metadata.Metadata[metadata.RootType], role string, data any, id string) bool {
	only := *root
	held := *root.Signed.Roles[role]
	held.KeyIDs, held.Threshold = []string{id}, 1
	only.Signed.Roles = map[string]*metadata.Role{role: &held}
	return only.VerifyDelegate(role, data) == nil
}

// AddSignatures signs a metadata file with further keys; who has signed already is
// passed over. It is how several people sign on machines of their own, one after the
// other or each a copy (Join). added says by whom.
func AddSignatures(data []byte, ring []Key) (signed []byte, added []string, err error) {
	switch kind, err := typeOf(data); {
	case err != nil:
		return nil, nil, err
	case kind == metadata.ROOT:
		return addSignatures[metadata.RootType](data, ring)
	case kind == metadata.TARGETS:
		return addSignatures[metadata.TargetsType](data, ring)
	case kind == metadata.SNAPSHOT:
		return addSignatures[metadata.SnapshotType](data, ring)
	default:
		return addSignatures[metadata.TimestampType](data, ring)
	}
}

func addSignatures[T metadata.Roles](data []byte, ring []Key) ([]byte, []string, error) {
	meta, err := parse[T]("file", data)
	if err != nil {
		return nil, nil, err
	}
	var added []string
	for _, k := range ring {
		_, id, err := tufKey(k.Public().Key)
		if err != nil {
			return nil, nil, fmt.Errorf("signing: %w", err)
		}
		if slices.ContainsFunc(meta.Signatures, func(s metadata.Signature) bool { return s.KeyID == id }) {
			continue
		}
		signer, err := signature.LoadED25519Signer(k.Key)
		if err != nil {
			return nil, nil, fmt.Errorf("signing: %w", err)
		}
		if _, err := meta.Sign(signer); err != nil {
			return nil, nil, fmt.Errorf("signing: %w", err)
		}
		added = append(added, k.Name)
	}
	slices.SortFunc(meta.Signatures, func(a, b metadata.Signature) int { return strings.Compare(a.KeyID, b.KeyID) })
	out, err := meta.ToBytes(true)
	return out, added, err
}

// typeOf says which role a metadata file is for.
func typeOf(data []byte) (string, error) {
	if len(data) > maxTargets {
		return "", fmt.Errorf("%w: metadata of %d bytes", ErrTooLarge, len(data))
	}
	switch {
	case isType[metadata.RootType](data):
		return metadata.ROOT, nil
	case isType[metadata.TargetsType](data):
		return metadata.TARGETS, nil
	case isType[metadata.SnapshotType](data):
		return metadata.SNAPSHOT, nil
	case isType[metadata.TimestampType](data):
		return metadata.TIMESTAMP, nil
	}
	return "", fmt.Errorf("%w: not a metadata file", ErrForm)
}

func isType[T metadata.Roles](data []byte) bool {
	_, err := parse[T]("file", data)
	return err == nil
}

// Describe says in a few words what a metadata file is, and how many signatures it
// bears, whoever made them.
func Describe(data []byte) (text string, signatures int, err error) {
	kind, err := typeOf(data)
	if err != nil {
		return "", 0, err
	}
	var file struct {
		Signatures []struct{} `json:"signatures"`
		Signed     struct {
			Version int64                      `json:"version"`
			Expires time.Time                  `json:"expires"`
			Targets map[string]json.RawMessage `json:"targets"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return "", 0, fmt.Errorf("%w: %w", ErrForm, err)
	}
	text = fmt.Sprintf("%s version %d, good until %s", kind, file.Signed.Version, day(file.Signed.Expires))
	if kind == metadata.TARGETS {
		text += fmt.Sprintf(", listing %s", strings.Join(sortedKeys(file.Signed.Targets), ", "))
	}
	return text, len(file.Signatures), nil
}
