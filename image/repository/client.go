package repository

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/source"
)

// Client asks repositories for the newest release. It is for one caller at a time.
type Client struct {
	root   []byte // built-in root of trust
	dir    string
	memory memory
	lost   string // why the memory could not be read; "" = it could
}

// Open makes a client that trusts a built-in root (/etc/choba/root.json) and keeps
// what it has seen in a folder, which is made when it is missing. Damaged memory is
// no error: the client starts from the built-in root and says so in the next
// Offer's Warning. What protects against old releases then is the version floor.
func Open(root []byte, dir string) (*Client, error) {
	info, err := ReadRoot(root)
	if err == nil && !info.Signed {
		err = fmt.Errorf("%w: root: only by %v", ErrThreshold, info.Signers)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the built-in root of trust: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder for release metadata: %w", err)
	}
	c := &Client{root: root, dir: dir}
	if c.memory, err = loadMemory(dir); err != nil {
		c.memory, c.lost = memory{}, err.Error()
	}
	return c, nil
}

// soon is how long before its end metadata is called nearly out of date.
const soon = 14 * 24 * time.Hour

// Latest returns what the repository offers to a register. Roots are remembered as
// they come; the other metadata only when all of it, and the release's manifest, was
// found good: what is half there (a stick pulled, a server half updated) shuts out
// nothing. now is the register's clock; a clock behind the latest time at which
// metadata was found good is put forward to it. Errors: those of this package, else
// what the Fetcher said.
func (c *Client) Latest(ctx context.Context, f Fetcher, product, hardware string, now time.Time) (Offer, error) {
	var warnings []string
	if c.lost != "" {
		warnings = append(warnings, "what this register knew of earlier releases was damaged ("+c.lost+"); it starts again from its built-in root")
	}
	if seen := c.memory.Seen; now.Before(seen) {
		warnings = append(warnings, fmt.Sprintf("the clock says %s, which is past; %s is used", day(now), day(seen)))
		now = seen
	}
	w := walk{ctx: ctx, from: f, memory: c.memory, now: now}
	if err := w.roots(c.root, c.remember); err != nil {
		return Offer{}, err
	}
	offer, err := w.offer(product, hardware)
	if err != nil {
		return Offer{}, err
	}
	if err := c.remember(w.found()); err != nil {
		return Offer{}, err
	}
	c.lost = ""
	if offer.Expires.Sub(now) < soon {
		warnings = append(warnings, fmt.Sprintf("the repository's metadata is good only until %s", day(offer.Expires)))
	}
	offer.Warning = strings.Join(append(warnings, w.warnings...), "; ")
	return offer, nil
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// remember stores what was found when it differs from what is stored.
func (c *Client) remember(m memory) error {
	if m.equal(c.memory) && c.lost == "" {
		return nil
	}
	if err := m.store(c.dir); err != nil {
		return fmt.Errorf("remembering release metadata: %w", err)
	}
	c.memory = m
	return nil
}

// walk is one way through a repository, from the root to a release.
type walk struct {
	ctx     context.Context
	from    Fetcher
	memory  memory // what was known before; Roots grows
	now     time.Time
	trusted *trustedmetadata.TrustedMetadata

	timestamp, snapshot, targets []byte
	warnings                     []string
}

// Limits of what is read, in bytes, and of new roots in one go.
const (
	maxRoot      = 64 << 10
	maxTimestamp = 16 << 10
	maxSnapshot  = 64 << 10
	maxTargets   = 1 << 20
	maxRoots     = 64
)

func (w *walk) fetch(path string, limit int64) ([]byte, error) {
	data, err := w.from.File(w.ctx, path, limit)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("fetching %s: %w: more than %d bytes", path, ErrTooLarge, limit)
	}
	return data, nil
}

// roots goes from the built-in root over the remembered ones to the newest that the
// repository has, each signed by the one before it and by itself.
func (w *walk) roots(builtIn []byte, remember func(memory) error) error {
	err := guarded("root", func() (err error) {
		w.trusted, err = trustedmetadata.New(builtIn)
		return err
	})
	if err != nil {
		return err
	}
	w.trusted.RefTime = w.now
	var chain [][]byte
	for _, data := range w.memory.Roots {
		known, err := parseRoot(data)
		if err == nil && known.Signed.Version <= w.trusted.Root.Signed.Version {
			continue // the image has caught up
		}
		if err == nil {
			err = w.nextRoot(data)
		}
		if err != nil {
			w.warnings = append(w.warnings, "a remembered root does not follow from the built-in one: "+err.Error())
			break
		}
		chain = append(chain, data)
	}
	w.memory.Roots = chain
	for range maxRoots {
		data, err := w.fetch(fmt.Sprintf("metadata/%d.root.json", w.trusted.Root.Signed.Version+1), maxRoot)
		if errors.Is(err, ErrMissing) {
			break
		}
		if err != nil {
			return err
		}
		if err := w.nextRoot(data); err != nil {
			return err
		}
		w.memory.Roots = append(slices.Clip(w.memory.Roots), data)
		if err := remember(w.memory); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) nextRoot(data []byte) error {
	if _, err := parseRoot(data); err != nil {
		return err
	}
	return guarded("root", func() error {
		_, err := w.trusted.UpdateRoot(data)
		return err
	})
}

// offer reads timestamp, snapshot, targets and the release's manifest.
func (w *walk) offer(product, hardware string) (Offer, error) {
	if err := w.readTimestamp(); err != nil {
		return Offer{}, err
	}
	if err := w.readSnapshot(); err != nil {
		return Offer{}, err
	}
	if err := w.readTargets(); err != nil {
		return Offer{}, err
	}
	signed, err := w.manifest(product, hardware)
	if err != nil {
		return Offer{}, err
	}
	bundle, err := source.BundlePath(signed)
	if err != nil {
		return Offer{}, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return Offer{Signed: signed, Bundle: bundle, Expires: w.expires()}, nil
}

func (w *walk) readTimestamp() (err error) {
	if old := w.memory.Timestamp; old != nil && checkTimestamp(old) == nil {
		// Held against the new one even when it is out of date or the key has
		// changed since; then it counts for nothing.
		_ = guarded("timestamp", func() error { _, err := w.trusted.UpdateTimestamp(old); return err })
	}
	if w.timestamp, err = w.fetch("metadata/timestamp.json", maxTimestamp); err != nil {
		return err
	}
	if err := checkTimestamp(w.timestamp); err != nil {
		return err
	}
	err = guarded("timestamp", func() error { _, err := w.trusted.UpdateTimestamp(w.timestamp); return err })
	if errors.Is(err, errSame) {
		w.timestamp = w.memory.Timestamp // the same version: the one already known counts
		return nil
	}
	return err
}

func (w *walk) readSnapshot() (err error) {
	meta := w.trusted.Timestamp.Signed.Meta["snapshot.json"]
	old := w.memory.Snapshot
	if old != nil && checkSnapshot(old) == nil {
		_ = guarded("snapshot", func() error { _, err := w.trusted.UpdateSnapshot(old, true); return err })
	}
	if w.snapshot, err = w.described("snapshot", meta, old, maxSnapshot); err != nil {
		return err
	}
	if err := checkSnapshot(w.snapshot); err != nil {
		return err
	}
	return guarded("snapshot", func() error { _, err := w.trusted.UpdateSnapshot(w.snapshot, false); return err })
}

func (w *walk) readTargets() (err error) {
	meta := w.trusted.Snapshot.Signed.Meta["targets.json"]
	if w.targets, err = w.described("targets", meta, w.memory.Targets, maxTargets); err != nil {
		return err
	}
	if err := checkTargets(w.targets); err != nil {
		return err
	}
	return guarded("targets", func() error { _, err := w.trusted.UpdateTargets(w.targets); return err })
}

// described returns a role's file that another role's metadata describes: the
// remembered one when it is that very file, else the repository's. The file's name
// carries its version (consistent snapshots), so that a repository that is being
// written is never read half old and half new.
func (w *walk) described(role string, meta *metadata.MetaFiles, known []byte, limit int64) ([]byte, error) {
	if meta.VerifyLengthHashes(known) == nil {
		return known, nil
	}
	if meta.Length > limit {
		return nil, fmt.Errorf("%w: %s of %d bytes, at most %d", ErrTooLarge, role, meta.Length, limit)
	}
	return w.fetch(fmt.Sprintf("metadata/%d.%s.json", meta.Version, role), meta.Length)
}

// manifest fetches the register's release.
func (w *walk) manifest(product, hardware string) ([]byte, error) {
	list := w.trusted.Targets[metadata.TARGETS].Signed.Targets
	name := source.ReleaseName(product, hardware)
	target := list[name]
	if target == nil {
		return nil, fmt.Errorf("%w: want %s, it has %s", ErrProduct, name, names(list))
	}
	if target.Length > release.MaxNote {
		return nil, fmt.Errorf("%w: %s of %d bytes, at most %d", ErrTooLarge, name, target.Length, release.MaxNote)
	}
	signed, err := w.fetch(targetPath(name, target), target.Length)
	if err != nil {
		return nil, err
	}
	if int64(len(signed)) != target.Length || sha256.Sum256(signed) != [32]byte(target.Hashes["sha256"]) {
		return nil, fmt.Errorf("%w: %s", ErrAltered, name)
	}
	m, err := readManifest(signed)
	if err != nil {
		return nil, err
	}
	if m.Product != product || !slices.Contains(m.Hardware, hardware) {
		return nil, fmt.Errorf("%w: %s holds a release of %s for %v", ErrProduct, name, m.Product, m.Hardware)
	}
	return signed, nil
}

// targetPath is where a release's manifest lies, under the name of its hash.
func targetPath(name string, t *metadata.TargetFiles) string {
	return fmt.Sprintf("targets/%x.%s", []byte(t.Hashes["sha256"]), name)
}

func names(list map[string]*metadata.TargetFiles) string {
	if len(list) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%.200s", strings.Join(sortedKeys(list), ", "))
}

// expires is when the first of the four roles goes out of date.
func (w *walk) expires() time.Time {
	first := w.trusted.Root.Signed.Expires
	for _, t := range []time.Time{
		w.trusted.Timestamp.Signed.Expires, w.trusted.Snapshot.Signed.Expires, w.trusted.Targets[metadata.TARGETS].Signed.Expires,
	} {
		if t.Before(first) {
			first = t
		}
	}
	return first
}

// found is what to remember of a walk that was good to its end. The time is kept to
// the hour, so that an unchanged repository costs no write each time it is asked. It
// was checked against every expiry: a clock that ran ahead can poison it only as far
// as metadata that the vendor signed.
func (w *walk) found() memory {
	m := memory{Roots: w.memory.Roots, Timestamp: w.timestamp, Snapshot: w.snapshot, Targets: w.targets, Seen: w.memory.Seen}
	if hour := w.now.UTC().Truncate(time.Hour); hour.After(m.Seen) {
		m.Seen = hour
	}
	return m
}
