package repository

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/verity"
)

const (
	product  = "choba"
	hardware = release.HardwarePC
)

var (
	epoch   = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	forever = time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC)
)

const dayLong = 24 * time.Hour

// key makes the same key for the same name every time.
func key(name string) Key {
	seed := sha256.Sum256([]byte(name))
	return Key{name, ed25519.NewKeyFromSeed(seed[:])}
}

func ring(names ...string) []Key {
	var out []Key
	for _, n := range names {
		out = append(out, key(n))
	}
	return out
}

func role(threshold int, names ...string) Role {
	r := Role{Threshold: threshold}
	for _, k := range ring(names...) {
		r.Keys = append(r.Keys, k.Public())
	}
	return r
}

// allKeys are the keys of testRoles.
var allKeys = []string{"root1", "root2", "targets1", "targets2", "snapshot", "timestamp"}

func testRoles() Roles {
	return Roles{
		Root: role(2, "root1", "root2"), Targets: role(2, "targets1", "targets2"),
		Snapshot: role(1, "snapshot"), Timestamp: role(1, "timestamp"),
	}
}

func testRoot(t testing.TB) []byte {
	root, err := NewRoot(1, testRoles(), forever, ring(allKeys...))
	require.NoError(t, err)
	return root
}

// releaseSigner signs the test releases' manifests.
func releaseSigner(t testing.TB) note.Signer {
	private := key("release").Key
	vkey, err := note.NewEd25519VerifierKey("release", private.Public().(ed25519.PublicKey))
	require.NoError(t, err)
	s, err := note.NewSigner("PRIVATE+KEY+release+" + strings.Split(vkey, "+")[1] + "+" +
		base64.StdEncoding.EncodeToString(append([]byte{1}, private.Seed()...)))
	require.NoError(t, err)
	return s
}

// bundle is a small but real release.
func bundle(t testing.TB, product string, version uint64) []byte {
	erofs := bytes.Repeat([]byte{byte(version)}, 2*verity.BlockSize)
	salt := bytes.Repeat([]byte{7}, verity.MaxSalt)
	tree, root, err := verity.Build(bytes.NewReader(erofs), 2, salt)
	require.NoError(t, err)
	boot, sbom := []byte("MZ boot image"), []byte("{}")
	m := release.Manifest{
		Product: product, Version: version, Name: "1." + string(rune('0'+version%10)), Schema: 1, Hardware: []string{hardware},
		EROFS: release.Sum(erofs), Tree: release.Sum(tree), Boot: release.Sum(boot), SBOM: release.Sum(sbom),
		Verity:        verity.Params{Root: root, Salt: salt, Blocks: 2, HashStart: 2},
		RootSignature: []byte{1}, PCR13Signature: make([]byte, 64),
	}
	signed, err := release.Sign(m, releaseSigner(t))
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, release.WriteBundle(&out, m, signed, release.Sources{
		release.PartEROFS: bytes.NewReader(erofs), release.PartTree: bytes.NewReader(tree),
		release.PartBoot: bytes.NewReader(boot), release.PartSBOM: bytes.NewReader(sbom),
	}))
	return out.Bytes()
}

// vendor writes repositories.
type vendor struct {
	t testing.TB
	Folder
	now  time.Time
	keys []string // at hand
}

func newVendor(t testing.TB) *vendor {
	v := &vendor{t, Folder{filepath.Join(t.TempDir(), "repository")}, epoch, allKeys}
	require.NoError(t, v.Create(testRoot(t)))
	return v
}

func (v *vendor) publish(product string, version uint64) {
	_, err := v.Stage(bytes.NewReader(bundle(v.t, product, version)), DefaultTerms(v.now))
	require.NoError(v.t, err)
	v.advance()
}

func (v *vendor) advance() {
	waiting, err := v.Advance(ring(v.keys...), DefaultTerms(v.now))
	require.NoError(v.t, err)
	require.Empty(v.t, waiting)
}

// rotate puts a changed root into force.
func (v *vendor) rotate(change func(*Roles), signers ...string) {
	info, err := v.Root()
	require.NoError(v.t, err)
	change(&info.Roles)
	root, err := NewRoot(info.Version+1, info.Roles, forever, ring(signers...))
	require.NoError(v.t, err)
	require.NoError(v.t, v.StageRoot(root))
	v.keys = slices.Concat(v.keys, signers)
	v.advance()
}

// files is a repository as a server or a stick shows it: a map that an attacker may
// change at will.
type files map[string][]byte

func (v *vendor) files() files {
	out := files{}
	require.NoError(v.t, filepath.WalkDir(v.Dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(v.Dir, path)
			out[name], err = os.ReadFile(path)
		}
		return err
	}))
	return out
}

func (f files) with(others files, names ...string) files {
	out := maps.Clone(f)
	for _, n := range names {
		out[n] = others[n]
	}
	return out
}

func (f files) without(name string) files {
	out := maps.Clone(f)
	delete(out, name)
	return out
}

func (f files) File(_ context.Context, path string, limit int64) ([]byte, error) {
	data, ok := f[path]
	if !ok {
		return nil, ErrMissing
	}
	if int64(len(data)) > limit {
		return nil, ErrTooLarge
	}
	return data, nil
}

func (f files) Range(_ context.Context, path string, from, n int64) (io.ReadCloser, error) {
	data, ok := f[path]
	if !ok {
		return nil, ErrMissing
	}
	return io.NopCloser(io.NewSectionReader(bytes.NewReader(data), from, n)), nil
}

// register is a client with its folder.
type register struct {
	t   testing.TB
	dir string
	*Client
}

func newRegister(t testing.TB) *register {
	r := &register{t: t, dir: t.TempDir()}
	r.restart()
	return r
}

// restart is a new process over the same folder.
func (r *register) restart() {
	var err error
	r.Client, err = Open(testRoot(r.t), r.dir)
	require.NoError(r.t, err)
}

func (r *register) ask(f Fetcher, now time.Time) (Offer, error) {
	r.restart()
	return r.Latest(r.t.Context(), f, product, hardware, now)
}

// takes requires that the register is offered a version.
func (r *register) takes(f Fetcher, now time.Time, version uint64) Offer {
	o, err := r.ask(f, now)
	require.NoError(r.t, err)
	m, err := readManifest(o.Signed)
	require.NoError(r.t, err)
	require.Equal(r.t, version, m.Version)
	return o
}

func (r *register) refuses(f Fetcher, now time.Time, want error) {
	_, err := r.ask(f, now)
	require.ErrorIs(r.t, err, want)
	require.Greater(r.t, len(err.Error()), 20, "a reason in words")
}

// From publishing to the bundle's bytes, twice.
func TestPublishAndTake(t *testing.T) {
	v, r := newVendor(t), newRegister(t)
	v.publish(product, 7)
	o := r.takes(v.Folder, epoch, 7)
	require.Empty(t, o.Warning)
	require.Equal(t, epoch.Add(90*dayLong), o.Expires)
	got, err := v.Range(t.Context(), o.Bundle, 0, 1<<20)
	require.NoError(t, err)
	defer got.Close()
	data, err := io.ReadAll(got)
	require.NoError(t, err)
	require.Equal(t, bundle(t, product, 7), data)

	v.publish(product, 8)
	r.takes(v.Folder, epoch, 8)
	latest, err := v.File(t.Context(), "latest/choba."+hardware+".release", release.MaxNote)
	require.NoError(t, err)
	m, err := readManifest(latest)
	require.NoError(t, err)
	require.EqualValues(t, 8, m.Version, "the plain copy for recovery")
	list, err := v.Offered()
	require.NoError(t, err)
	require.Equal(t, []string{"choba.pc-x86-64.release: version 8 (1.8)"}, list)
}

// The same keys, bundles and times give the same bytes.
func TestSameBytes(t *testing.T) {
	one, two := newVendor(t), newVendor(t)
	for _, v := range []*vendor{one, two} {
		v.publish(product, 7)
		v.publish("other", 3)
	}
	require.Equal(t, one.files(), two.files())
}

func TestStageRefuses(t *testing.T) {
	v := newVendor(t)
	v.publish(product, 7)
	_, err := v.Stage(bytes.NewReader(bundle(t, product, 7)), DefaultTerms(epoch))
	require.ErrorIs(t, err, ErrOlder)
	bad := bundle(t, product, 8)
	bad[len(bad)-1] ^= 1
	_, err = v.Stage(bytes.NewReader(bad), DefaultTerms(epoch))
	require.ErrorIs(t, err, release.ErrAltered)
	_, err = v.Stage(strings.NewReader("no bundle"), DefaultTerms(epoch))
	require.Error(t, err)
	left, err := os.ReadDir(filepath.Join(v.Dir, "bundles"))
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing of a refused bundle stays")
	_, err = Folder{t.TempDir()}.Stage(bytes.NewReader(bundle(t, product, 8)), DefaultTerms(epoch))
	require.ErrorIs(t, err, ErrMissing)
	require.Error(t, v.Create([]byte("{}")))
	other, err := NewRoot(1, testRoles(), epoch, ring(allKeys...))
	require.NoError(t, err)
	require.Error(t, v.Create(other), "another root over an existing repository")
}

// N of M on separate machines: nothing that registers read changes until the second
// person has signed the staged list (A60).
func TestSignaturesMadeApart(t *testing.T) {
	v, r := newVendor(t), newRegister(t)
	v.publish(product, 7)
	before := v.files()
	_, err := v.Stage(bytes.NewReader(bundle(t, product, 8)), DefaultTerms(epoch))
	require.NoError(t, err)
	waiting, err := v.Advance(ring("targets1", "snapshot", "timestamp"), DefaultTerms(epoch))
	require.NoError(t, err)
	require.Len(t, waiting, 1)
	require.Contains(t, waiting[0], "staged/2.targets.json needs further signatures")
	r.takes(v.Folder, epoch, 7)

	// The second person signs a copy of the file alone, elsewhere.
	staged := v.files()["staged/2.targets.json"]
	signed, added, err := AddSignatures(staged, ring("targets2"))
	require.NoError(t, err)
	require.Equal(t, []string{"targets2"}, added)
	require.NoError(t, v.write("staged/2.targets.json", bytes.NewReader(signed)))
	waiting, err = v.Advance(ring("snapshot", "timestamp"), DefaultTerms(epoch))
	require.NoError(t, err)
	require.Empty(t, waiting)
	r.takes(v.Folder, epoch, 8)
	require.NotContains(t, v.files(), "staged/2.targets.json")
	require.Equal(t, before["metadata/1.targets.json"], v.files()["metadata/1.targets.json"], "old files stay for those who are reading")

	_, added, err = AddSignatures(signed, ring("targets2"))
	require.NoError(t, err)
	require.Empty(t, added, "nobody signs twice")
	_, _, err = AddSignatures([]byte("{}"), ring("targets2"))
	require.ErrorIs(t, err, ErrForm)
}

// Without the snapshot's or the timestamp's key nothing is half published.
func TestMissingOnlineKey(t *testing.T) {
	v := newVendor(t)
	v.publish(product, 7)
	before := v.files()["metadata/timestamp.json"]
	_, err := v.Stage(bytes.NewReader(bundle(t, product, 8)), DefaultTerms(epoch))
	require.NoError(t, err)
	waiting, err := v.Advance(ring("targets1", "targets2", "snapshot"), DefaultTerms(epoch))
	require.NoError(t, err)
	require.Equal(t, []string{"timestamp: the key is not at hand"}, waiting)
	require.Equal(t, before, v.files()["metadata/timestamp.json"])
	newRegister(t).takes(v.Folder, epoch, 7)
	v.advance()
	newRegister(t).takes(v.Folder, epoch, 8)
}

func TestReadRoot(t *testing.T) {
	root := testRoot(t)
	info, err := ReadRoot(root)
	require.NoError(t, err)
	require.EqualValues(t, 1, info.Version)
	require.Equal(t, forever, info.Expires)
	require.ElementsMatch(t, []string{"root1", "root2"}, info.Signers)
	require.True(t, info.Signed)
	require.False(t, info.Insecure())
	again, err := NewRoot(info.Version, info.Roles, info.Expires, ring(allKeys...))
	require.NoError(t, err)
	require.Equal(t, root, again, "what was read is all there is")
	one, err := NewRoot(1, testRoles(), forever, ring("root1"))
	require.NoError(t, err)
	info, err = ReadRoot(one)
	require.NoError(t, err)
	require.False(t, info.Signed)
	require.Equal(t, []string{"root1"}, info.Signers)
	roles := testRoles()
	roles.Targets.Keys[0].Name = "choba-INSECURE-targets1"
	bad, err := NewRoot(1, roles, forever, ring(allKeys...))
	require.NoError(t, err)
	info, err = ReadRoot(bad)
	require.NoError(t, err)
	require.True(t, info.Insecure())
}

// Power cut at any byte while the memory is written: the old one is still there. A
// damaged one is told, and costs the memory only.
func TestMemorySurvives(t *testing.T) {
	v, r := newVendor(t), newRegister(t)
	v.publish(product, 7)
	old := v.files()
	r.takes(old, epoch, 7)
	path := filepath.Join(r.dir, memoryFile)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	v.publish(product, 8)
	r.takes(v.Folder, epoch, 8)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	for n := 0; n <= len(after); n += 1 + n/64 { // cut while the new file is written
		require.NoError(t, os.WriteFile(path, before, 0o600))
		require.NoError(t, os.WriteFile(path+".new", after[:n], 0o600))
		m, err := loadMemory(r.dir)
		require.NoError(t, err)
		again, err := m.encode()
		require.NoError(t, err)
		require.Equal(t, before, again)
	}
	r.takes(v.Folder, epoch, 8)
	r.refuses(old, epoch, ErrRollback)
	for i := 0; i < len(after); i += 1 + i/32 { // any changed byte, any length
		for _, bad := range [][]byte{after[:i], slices.Concat(after[:i], []byte{after[i] ^ 1}, after[i+1:])} {
			_, err := decodeMemory(bad)
			require.Error(t, err, "byte %d", i)
		}
	}
	require.NoError(t, os.WriteFile(path, after[:100], 0o600))
	o := r.takes(old, epoch, 7) // the price: the floor in the TPM must refuse this one
	require.Contains(t, o.Warning, "what this register knew of earlier releases was damaged")
	require.Empty(t, r.takes(old, epoch, 7).Warning, "said once, then remembered anew")
	require.NoError(t, os.WriteFile(path, make([]byte, maxMemory+1), 0o600))
	require.Contains(t, r.takes(old, epoch, 7).Warning, "damaged")
}

// An unchanged repository costs the disk one write an hour at most.
func TestQuietMemory(t *testing.T) {
	v, r := newVendor(t), newRegister(t)
	v.publish(product, 7)
	r.takes(v.Folder, epoch, 7)
	path := filepath.Join(r.dir, memoryFile)
	first, err := os.Stat(path)
	require.NoError(t, err)
	for i := range 59 {
		r.takes(v.Folder, epoch.Add(time.Duration(i)*time.Minute), 7)
	}
	last, err := os.Stat(path)
	require.NoError(t, err)
	require.True(t, os.SameFile(first, last))
}

func TestFolder(t *testing.T) {
	v := newVendor(t)
	v.publish(product, 7)
	_, err := v.File(t.Context(), "metadata/9.root.json", 10)
	require.ErrorIs(t, err, ErrMissing)
	_, err = v.File(t.Context(), "metadata/1.root.json", 10)
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = v.Range(t.Context(), "bundles/none.choba", 0, 1)
	require.ErrorIs(t, err, ErrMissing)
	require.NoError(t, os.WriteFile(filepath.Join(v.Dir, "..", "secret"), []byte("x"), 0o600))
	require.NoError(t, os.Symlink("../secret", filepath.Join(v.Dir, "link")))
	for _, path := range []string{"../secret", "link", "/etc/passwd"} {
		_, err = v.File(t.Context(), path, 10)
		require.Error(t, err, path)
	}
	_, err = Folder{filepath.Join(v.Dir, "none")}.File(t.Context(), "x", 1)
	require.ErrorIs(t, err, ErrMissing)
}

func TestOpenRefuses(t *testing.T) {
	for _, root := range [][]byte{nil, []byte("{}"), bytes.Repeat([]byte(" "), maxRoot+1)} {
		_, err := Open(root, t.TempDir())
		require.Error(t, err)
	}
	short, err := NewRoot(1, testRoles(), forever, ring("root1"))
	require.NoError(t, err)
	_, err = Open(short, t.TempDir())
	require.ErrorIs(t, err, ErrThreshold)
	broken := errors.New("server on fire")
	_, err = newRegister(t).ask(failing{broken}, epoch)
	require.ErrorIs(t, err, broken)
}

type failing struct{ err error }

func (f failing) File(context.Context, string, int64) ([]byte, error) { return nil, f.err }
func (f failing) Range(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, f.err
}
