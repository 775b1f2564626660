package repository

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/source"
)

// Terms say how long new metadata is good for.
type Terms struct {
	Now                          time.Time
	Targets, Snapshot, Timestamp time.Duration
}

// DefaultTerms suit shops that are off for weeks and sticks that travel by post: a
// register stops taking new releases from a repository whose timestamp nobody has
// renewed for a quarter of a year. It never stops selling.
func DefaultTerms(now time.Time) Terms {
	const days = 24 * time.Hour
	return Terms{Now: now, Targets: 730 * days, Snapshot: 365 * days, Timestamp: 90 * days}
}

func (t Terms) until(d time.Duration) time.Time { return t.Now.Add(d).UTC().Truncate(time.Second) }

// Create starts a repository with its first root. The root must be signed by enough
// of its own keys.
func (f Folder) Create(root []byte) error {
	info, err := ReadRoot(root)
	if err != nil {
		return err
	}
	if !info.Signed || info.Version != 1 {
		return fmt.Errorf("creating a repository: %w: root version %d signed by %v", ErrThreshold, info.Version, info.Signers)
	}
	old, err := f.read(rootPath(1), maxRoot)
	if err != nil {
		return err
	}
	if old != nil && !bytes.Equal(old, root) {
		return errors.New("creating a repository: there is one with another root")
	}
	return f.write(rootPath(1), bytes.NewReader(root))
}

func rootPath(version int64) string   { return fmt.Sprintf("metadata/%d.root.json", version) }
func stagedRoot(version int64) string { return fmt.Sprintf("staged/%d.root.json", version) }
func targetsPath(version int64) string {
	return fmt.Sprintf("metadata/%d.targets.json", version)
}
func stagedTargets(version int64) string {
	return fmt.Sprintf("staged/%d.targets.json", version)
}

// ErrOlder means that the repository offers that version or a newer one already.
var ErrOlder = errors.New("repository offers this version or a newer one already")

// Stage puts a bundle into the folder and a target list that names it into staged,
// where it waits for signatures (Advance). Nothing that registers read has changed
// then. The bundle is checked from first byte to last; who signed it is not.
func (f Folder) Stage(bundle io.Reader, terms Terms) (release.Manifest, error) {
	s, err := f.load()
	if err != nil {
		return release.Manifest{}, err
	}
	m, signed, err := f.takeBundle(bundle)
	if err != nil {
		return release.Manifest{}, err
	}
	list := s.newest()
	list.Signed.Expires = terms.until(terms.Targets)
	for _, hardware := range m.Hardware {
		name := source.ReleaseName(m.Product, hardware)
		if old := custom(list.Signed.Targets[name]); old.Version >= m.Version {
			return m, fmt.Errorf("%w: %s is at %d, this is %d", ErrOlder, name, old.Version, m.Version)
		}
		about, err := json.Marshal(about{Version: m.Version, Name: m.Name})
		if err != nil {
			return m, fmt.Errorf("staging: %w", err)
		}
		sum := sha256.Sum256(signed)
		target := &metadata.TargetFiles{Length: int64(len(signed)), Hashes: metadata.Hashes{"sha256": sum[:]}, Custom: (*json.RawMessage)(&about)}
		list.Signed.Targets[name] = target
		if err := f.write(targetPath(name, target), bytes.NewReader(signed)); err != nil {
			return m, err
		}
	}
	return m, f.stageTargets(list)
}

// about is what a target list says of a release, for people who read it.
type about struct {
	Version uint64 `json:"version"`
	Name    string `json:"name"`
}

func custom(t *metadata.TargetFiles) (a about) {
	if t != nil && t.Custom != nil {
		_ = json.Unmarshal(*t.Custom, &a) // for people and for ErrOlder; registers read the manifest
	}
	return a
}

func (f Folder) stageTargets(list *metadata.Metadata[metadata.TargetsType]) error {
	list.Signatures = []metadata.Signature{}
	data, err := list.ToBytes(true)
	if err != nil {
		return fmt.Errorf("staging: %w", err)
	}
	if err := checkTargets(data); err != nil {
		return err
	}
	return f.write(stagedTargets(list.Signed.Version), bytes.NewReader(data))
}

// takeBundle copies a bundle to its place, which it gets only when all of it is
// what its manifest says.
func (f Folder) takeBundle(bundle io.Reader) (m release.Manifest, signed []byte, err error) {
	const coming = "bundles/coming.new"
	if err := os.MkdirAll(filepath.Join(f.Dir, "bundles"), 0o755); err != nil {
		return m, nil, err
	}
	file, err := os.Create(filepath.Join(f.Dir, coming))
	if err != nil {
		return m, nil, err
	}
	defer f.remove(coming)
	defer file.Close()
	b, err := release.OpenBundle(io.TeeReader(bundle, file))
	if err != nil {
		return m, nil, err
	}
	if m, err = readManifest(b.Signed); err != nil {
		return m, nil, err
	}
	if err := b.Extract(m, func(release.PartFile) (io.Writer, error) { return nil, nil }); err != nil {
		return m, nil, err
	}
	path, err := source.BundlePath(b.Signed)
	if err != nil {
		return m, nil, err
	}
	if err := errors.Join(file.Chmod(0o644), file.Sync()); err != nil {
		return m, nil, err
	}
	return m, b.Signed, os.Rename(file.Name(), filepath.Join(f.Dir, path))
}

// StageRoot puts a new root into staged, where it waits for signatures of the old
// root's keys and its own.
func (f Folder) StageRoot(root []byte) error {
	s, err := f.load()
	if err != nil {
		return err
	}
	info, err := ReadRoot(root)
	if err != nil {
		return err
	}
	if want := s.root.Signed.Version + 1; info.Version != want {
		return fmt.Errorf("staging a root: it is version %d, the next one is %d", info.Version, want)
	}
	return f.write(stagedRoot(info.Version), bytes.NewReader(root))
}

// writeLatest copies each offered manifest to its plain place for recovery.
func (f Folder) writeLatest(list *metadata.Metadata[metadata.TargetsType]) error {
	for _, name := range sortedKeys(list.Signed.Targets) {
		signed, err := f.read(targetPath(name, list.Signed.Targets[name]), release.MaxNote)
		if err != nil {
			return err
		}
		if signed == nil {
			return fmt.Errorf("%w: manifest of %s", ErrMissing, name)
		}
		if err := f.write("latest/"+name, bytes.NewReader(signed)); err != nil {
			return err
		}
	}
	return nil
}

// Root returns the newest root in force.
func (f Folder) Root() (RootInfo, error) {
	s, err := f.load()
	if err != nil {
		return RootInfo{}, err
	}
	data, err := s.root.ToBytes(true)
	if err != nil {
		return RootInfo{}, err
	}
	return ReadRoot(data)
}

// NextRoot returns what the next root is made from, with its version: the one that
// waits in staged, so that a second change does not undo the first, else the one in
// force. waits says which.
func (f Folder) NextRoot() (info RootInfo, waits bool, err error) {
	if info, err = f.Root(); err != nil {
		return RootInfo{}, false, err
	}
	info.Version++
	data, err := f.read(stagedRoot(info.Version), maxRoot)
	if err != nil || data == nil {
		return info, false, err
	}
	info, err = ReadRoot(data)
	return info, true, err
}

// Offered lists what the newest target list in force or staged names, sorted.
func (f Folder) Offered() ([]string, error) {
	s, err := f.load()
	if err != nil {
		return nil, err
	}
	var out []string
	list := s.newest().Signed.Targets
	for _, name := range sortedKeys(list) {
		a := custom(list[name])
		out = append(out, fmt.Sprintf("%s: version %d (%s)", name, a.Version, a.Name))
	}
	return out, nil
}
