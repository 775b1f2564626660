package repository

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// state is what a folder holds in force and what waits in it.
type state struct {
	root      *metadata.Metadata[metadata.RootType]
	targets   *metadata.Metadata[metadata.TargetsType] // nil: none yet
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	timestamp *metadata.Metadata[metadata.TimestampType]
	staged    *metadata.Metadata[metadata.TargetsType] // nil: nothing waits
}

// load reads the folder. It trusts the folder's first root: the folder is the
// vendor's own. Every later root must follow from the one before.
func (f Folder) load() (s state, err error) {
	data, err := f.read(rootPath(1), maxRoot)
	if err != nil {
		return s, err
	}
	if data == nil {
		return s, fmt.Errorf("%w: %s holds no repository", ErrMissing, f.Dir)
	}
	if s.root, err = parseRoot(data); err != nil {
		return s, err
	}
	for {
		if data, err = f.read(rootPath(s.root.Signed.Version+1), maxRoot); err != nil || data == nil {
			break
		}
		if s.root, err = follow(s.root, data); err != nil {
			return s, err
		}
	}
	if err != nil {
		return s, err
	}
	return s, f.loadRest(&s)
}

func (f Folder) loadRest(s *state) error {
	latest, err := f.highest()
	if err != nil {
		return err
	}
	for path, take := range map[string]func([]byte) error{
		targetsPath(latest):       into(&s.targets, checkTargets),
		stagedTargets(latest + 1): into(&s.staged, checkTargets),
		"metadata/timestamp.json": into(&s.timestamp, checkTimestamp),
	} {
		data, err := f.read(path, maxTargets)
		if err != nil {
			return err
		}
		if data == nil {
			continue
		}
		if err := take(data); err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
	}
	if s.timestamp == nil {
		return nil
	}
	path := fmt.Sprintf("metadata/%d.snapshot.json", s.timestamp.Signed.Meta["snapshot.json"].Version)
	data, err := f.read(path, maxSnapshot)
	if err != nil || data == nil {
		return errors.Join(err, fmt.Errorf("reading %s: %w", path, ErrMissing))
	}
	return into(&s.snapshot, checkSnapshot)(data)
}

// into parses one file after its check.
func into[T metadata.Roles](to **metadata.Metadata[T], check func([]byte) error) func([]byte) error {
	return func(data []byte) (err error) {
		if err := check(data); err != nil {
			return err
		}
		*to, err = parse[T]("file", data)
		return err
	}
}

// highest is the version of the newest target list in force; 0 is none.
func (f Folder) highest() (int64, error) {
	found, err := filepath.Glob(filepath.Join(f.Dir, "metadata", "*.targets.json"))
	if err != nil {
		return 0, err
	}
	var best int64
	for _, path := range found {
		n, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(path), ".targets.json"), 10, 64)
		if err == nil {
			best = max(best, n)
		}
	}
	return best, nil
}

// follow accepts a root that the one before it and itself have signed.
func follow(old *metadata.Metadata[metadata.RootType], data []byte) (*metadata.Metadata[metadata.RootType], error) {
	next, err := parseRoot(data)
	if err != nil {
		return nil, err
	}
	if next.Signed.Version != old.Signed.Version+1 {
		return nil, fmt.Errorf("%w: root %d after %d", ErrRollback, next.Signed.Version, old.Signed.Version)
	}
	for _, by := range []*metadata.Metadata[metadata.RootType]{old, next} {
		if err := guarded("root", func() error { return by.VerifyDelegate(metadata.ROOT, next) }); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// newest returns a copy of the target list that the next one is made from, with the
// next version's number: what waits, else what is in force, else an empty one.
func (s state) newest() *metadata.Metadata[metadata.TargetsType] {
	list := metadata.Targets()
	switch {
	case s.staged != nil:
		list.Signed = s.staged.Signed
	case s.targets != nil:
		list.Signed = s.targets.Signed
		list.Signed.Version++
	}
	return list
}

// Advance puts into force what it can with the keys at hand: a staged root, a staged
// target list, then always a new snapshot and a new timestamp, then the copies for
// recovery. What lacks signatures stays staged, and waiting says in words what for.
// Registers that read meanwhile see the old state or the new one.
func (f Folder) Advance(ring []Key, terms Terms) (waiting []string, err error) {
	s, err := f.load()
	if err != nil {
		return nil, err
	}
	wait, err := f.advanceRoot(&s, ring)
	if err != nil || wait != "" {
		return words(wait), err
	}
	if err := f.renewTargets(&s, terms); err != nil {
		return nil, err
	}
	if wait, err = f.advanceTargets(&s, ring); err != nil {
		return nil, err
	}
	waiting = words(wait)
	if s.targets == nil || s.root.VerifyDelegate(metadata.TARGETS, s.targets) != nil {
		return waiting, nil // nothing that a register would take: no snapshot of it
	}
	for _, role := range []string{metadata.SNAPSHOT, metadata.TIMESTAMP} {
		if len(keysOf(s.root, role, ring)) < s.root.Signed.Roles[role].Threshold {
			return append(waiting, fmt.Sprintf("%s: the key is not at hand", role)), nil
		}
	}
	if err := f.writeSnapshot(&s, ring, terms); err != nil {
		return nil, err
	}
	return waiting, f.writeLatest(s.targets)
}

func words(w string) []string {
	if w == "" {
		return nil
	}
	return []string{w}
}

func (f Folder) advanceRoot(s *state, ring []Key) (waiting string, err error) {
	path := stagedRoot(s.root.Signed.Version + 1)
	data, err := f.read(path, maxRoot)
	if err != nil || data == nil {
		return "", err
	}
	next, err := parseRoot(data)
	if err != nil {
		return "", err
	}
	signers := append(keysOf(s.root, metadata.ROOT, ring), keysOf(next, metadata.ROOT, ring)...)
	if data, _, err = AddSignatures(data, signers); err != nil {
		return "", err
	}
	if err := f.write(path, bytes.NewReader(data)); err != nil {
		return "", err
	}
	if next, err = follow(s.root, data); errors.Is(err, ErrThreshold) {
		return fmt.Sprintf("%s needs further signatures: %v", path, err), nil
	} else if err != nil {
		return "", err
	}
	if err := f.write(rootPath(next.Signed.Version), bytes.NewReader(data)); err != nil {
		return "", err
	}
	s.root = next
	return "", f.remove(path)
}

// renewTargets stages the list in force anew when it needs new signatures: a new
// root has taken a key from it, or it runs out before the other new metadata would.
func (f Folder) renewTargets(s *state, terms Terms) error {
	if s.targets == nil || s.staged != nil {
		return nil
	}
	if s.root.VerifyDelegate(metadata.TARGETS, s.targets) == nil && s.targets.Signed.Expires.After(terms.until(terms.Timestamp)) {
		return nil
	}
	s.staged = s.newest()
	s.staged.Signed.Expires = terms.until(terms.Targets)
	return f.stageTargets(s.staged)
}

func (f Folder) advanceTargets(s *state, ring []Key) (waiting string, err error) {
	if s.staged == nil {
		return "", nil
	}
	path := stagedTargets(s.staged.Signed.Version)
	data, err := f.read(path, maxTargets)
	if err != nil {
		return "", err
	}
	if data, _, err = AddSignatures(data, keysOf(s.root, metadata.TARGETS, ring)); err != nil {
		return "", err
	}
	if err := f.write(path, bytes.NewReader(data)); err != nil {
		return "", err
	}
	list, err := parse[metadata.TargetsType]("targets", data)
	if err != nil {
		return "", err
	}
	err = guarded("targets", func() error { return s.root.VerifyDelegate(metadata.TARGETS, list) })
	if errors.Is(err, ErrThreshold) {
		return fmt.Sprintf("%s needs further signatures: %v", path, err), nil
	} else if err != nil {
		return "", err
	}
	if err := f.write(targetsPath(list.Signed.Version), bytes.NewReader(data)); err != nil {
		return "", err
	}
	s.targets, s.staged = list, nil
	return "", f.remove(path)
}

// writeSnapshot writes a new snapshot of the targets and the timestamp that names it.
func (f Folder) writeSnapshot(s *state, ring []Key, terms Terms) error {
	list, err := os.ReadFile(filepath.Join(f.Dir, targetsPath(s.targets.Signed.Version)))
	if err != nil {
		return err
	}
	snapshot := metadata.Snapshot(terms.until(terms.Snapshot))
	snapshot.Signed.Meta = map[string]*metadata.MetaFiles{"targets.json": describe(s.targets.Signed.Version, list)}
	if s.snapshot != nil {
		snapshot.Signed.Version = s.snapshot.Signed.Version + 1
	}
	data, err := signMeta(snapshot, keysOf(s.root, metadata.SNAPSHOT, ring))
	if err != nil {
		return err
	}
	if err := f.write(fmt.Sprintf("metadata/%d.snapshot.json", snapshot.Signed.Version), bytes.NewReader(data)); err != nil {
		return err
	}
	timestamp := metadata.Timestamp(terms.until(terms.Timestamp))
	timestamp.Signed.Meta = map[string]*metadata.MetaFiles{"snapshot.json": describe(snapshot.Signed.Version, data)}
	if s.timestamp != nil {
		timestamp.Signed.Version = s.timestamp.Signed.Version + 1
	}
	if data, err = signMeta(timestamp, keysOf(s.root, metadata.TIMESTAMP, ring)); err != nil {
		return err
	}
	return f.write("metadata/timestamp.json", bytes.NewReader(data))
}

func signMeta[T metadata.Roles](meta *metadata.Metadata[T], ring []Key) ([]byte, error) {
	data, err := meta.ToBytes(true)
	if err != nil {
		return nil, err
	}
	data, _, err = AddSignatures(data, ring)
	return data, err
}

func describe(version int64, data []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(data)
	return &metadata.MetaFiles{Version: version, Length: int64(len(data)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}
