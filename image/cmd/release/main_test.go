package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
)

var now = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// desk is a vendor's desk: a folder to work in and development keys.
type desk struct {
	t    *testing.T
	keys *dev.Keys
	now  time.Time
}

// keyDir holds one set of keys for all tests of a run: RSA keys take their time.
var keyDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "choba-INSECURE-")
	if err != nil {
		panic(err)
	}
	keyDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func newDesk(t *testing.T) *desk {
	t.Setenv("CHOBA_KEYS", keyDir)
	t.Setenv("SOURCE_DATE_EPOCH", "")
	keys, err := dev.Ensure(keyDir)
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	return &desk{t, keys, now}
}

// try runs the command and returns what it said.
func (d *desk) try(args ...string) (string, error) {
	var out bytes.Buffer
	err := run(args, &out, d.now)
	return out.String(), err
}

func (d *desk) do(args ...string) string {
	out, err := d.try(args...)
	require.NoError(d.t, err, "%v\n%s", args, out)
	return out
}

const sbom = `{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"application","name":"init"},` +
	`{"type":"library","name":"std","version":"1.26.3"},{"type":"operating-system","name":"linux","version":"6.12.9"}]}`

// bundle writes a small release that is real but for its programs.
func (d *desk) bundle(path string, version uint64, product string, signers ...note.Signer) {
	erofs := bytes.Repeat([]byte{byte(version)}, 3*verity.BlockSize)
	salt := bytes.Repeat([]byte{7}, verity.MaxSalt)
	tree, root, err := verity.Build(bytes.NewReader(erofs), 3, salt)
	require.NoError(d.t, err)
	policy, err := seal.SignPolicy(d.keys.PCR, seal.ApprovedPolicy(root.String(), version))
	require.NoError(d.t, err)
	boot := []byte("MZ boot image")
	m := release.Manifest{
		Product: product, Version: version, Name: "0.1." + string(rune('0'+version)), Schema: 1, Hardware: []string{release.HardwarePC},
		EROFS: release.Sum(erofs), Tree: release.Sum(tree), Boot: release.Sum(boot), SBOM: release.Sum([]byte(sbom)),
		Programs:      []release.Program{{Path: "/init", File: release.Sum([]byte("init"))}},
		Verity:        verity.Params{Root: root, Salt: salt, Blocks: 3, HashStart: 3},
		RootSignature: []byte{1}, PCR13Signature: policy,
	}
	signed, err := release.Sign(m, signers...)
	require.NoError(d.t, err)
	var out bytes.Buffer
	require.NoError(d.t, release.WriteBundle(&out, m, signed, release.Sources{
		release.PartEROFS: bytes.NewReader(erofs), release.PartTree: bytes.NewReader(tree),
		release.PartBoot: bytes.NewReader(boot), release.PartSBOM: strings.NewReader(sbom),
	}))
	require.NoError(d.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(d.t, os.WriteFile(path, out.Bytes(), 0o644))
}

// From the image's results to a repository that registers take from, and on to the
// next version.
func TestMakeAndPublish(t *testing.T) {
	d := newDesk(t)
	d.bundle("out/release.choba", 1, dev.Product, d.keys.Release[:2]...)
	said := d.do("make")
	require.Contains(t, said, "INSECURE development keys")
	require.Contains(t, said, "choba-INSECURE version 1 (0.1.1) is in out/repository.")
	require.Contains(t, said, "until 2026-05-30")
	d.bundle("two.choba", 2, dev.Product, d.keys.Release[1:]...)
	d.do("publish", "out/repository", "two.choba")
	page := d.do("explain", "out/repository")
	require.Contains(t, page, "A register is offered choba-INSECURE version 2 (0.1.2)")
	require.Contains(t, page, "The register takes it.")
	require.Contains(t, d.do("make"), "Version 1 is there already")

	d.now = now.AddDate(0, 0, 91)
	page = d.do("explain", "out/repository")
	require.Contains(t, page, "NO  Its metadata is refused: release metadata is out of date")
	require.Contains(t, page, "Renew it (release refresh)")
	d.do("refresh", "out/repository")
	require.Contains(t, d.do("explain", "out/repository"), "The register takes it.")
}

// What no register would take is not published.
func TestPublishRefuses(t *testing.T) {
	d := newDesk(t)
	d.bundle("out/release.choba", 1, dev.Product, d.keys.Release[:2]...)
	d.do("make")
	d.bundle("short.choba", 2, dev.Product, d.keys.Release[0])
	_, err := d.try("publish", "out/repository", "short.choba")
	require.ErrorIs(t, err, trust.ErrThreshold)
	d.bundle("other.choba", 2, "other", d.keys.Release...)
	_, err = d.try("publish", "out/repository", "other.choba")
	require.ErrorIs(t, err, release.ErrProduct)
	_, err = d.try("publish", "nowhere", "short.choba")
	require.Error(t, err)
	require.Contains(t, d.do("explain", "out/repository"), "version 1")
}

// A production run refuses development keys in whatever form they come (A60).
func TestProductionRefusesDevelopmentKeys(t *testing.T) {
	d := newDesk(t)
	d.bundle("out/release.choba", 1, dev.Product, d.keys.Release[:2]...)
	require.NoError(t, os.WriteFile("trust.txt", d.keys.Trust, 0o644))
	for _, args := range [][]string{
		{"make", "-production"},
		{"make", "-production", "-trust", "trust.txt"},
		{"make", "-production", "-trust", "trust.txt", "-keys", d.keys.Dir},
		{"sign", "-production", "m.manifest", "-key", filepath.Join(d.keys.Dir, "release1.key")},
	} {
		if args[0] == "sign" {
			d.do("manifest", "out/release.choba", "-o", "m.manifest")
		}
		_, err := d.try(args...)
		require.ErrorContains(t, err, "development key", "%v", args)
	}
	d.do("make")
	_, err := d.try("refresh", "-production", "out/repository", "-keys", d.keys.Dir)
	require.ErrorContains(t, err, "INSECURE")
}

// N of M on separate machines, then joined (A60).
func TestSignApartAndJoin(t *testing.T) {
	d := newDesk(t)
	d.bundle("built.choba", 3, dev.Product, d.keys.Release[0])
	d.do("manifest", "built.choba")
	text, err := os.ReadFile("built.manifest")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "choba release 1\n"))
	require.NotContains(t, string(text), "—", "no signature comes along")
	for _, n := range []string{"2", "3"} {
		said := d.do("sign", "built.manifest", "-key", filepath.Join(d.keys.Dir, "release"+n+".key"))
		require.Contains(t, said, "Signed by choba-INSECURE-release"+n+": choba-INSECURE version 3")
	}
	second, third := "built.manifest.choba-INSECURE-release2", "built.manifest.choba-INSECURE-release3"
	_, err = d.try("join", "built.choba", second, "-o", "joined.choba")
	require.ErrorIs(t, err, trust.ErrThreshold)
	require.NoFileExists(t, "joined.choba")
	said := d.do("join", "built.choba", second, third, second, "-o", "joined.choba")
	require.Contains(t, said, "signed by choba-INSECURE-release2 and choba-INSECURE-release3: 2 of the 2 needed")
	page := d.do("explain", "joined.choba")
	require.Contains(t, page, "signed by choba-INSECURE-release2, choba-INSECURE-release3; not by choba-INSECURE-release1")
	require.Contains(t, page, "The register takes it.")

	d.bundle("another.choba", 4, dev.Product, d.keys.Release[0])
	_, err = d.try("join", "another.choba", second, third, "-o", "x.choba")
	require.ErrorContains(t, err, "signs another manifest")
	_, err = d.try("join", "built.choba", second, third, "-o", "built.choba")
	require.Error(t, err, "the bundle itself is not written over")
	d.do("key", "mallory", "-note")
	d.do("sign", "built.manifest", "-key", "mallory.key")
	_, err = d.try("join", "built.choba", second, "built.manifest.mallory", "-o", "x.choba")
	require.Error(t, err)
}

// vendorTrust is a trust list of note keys made by the command.
func (d *desk) vendorTrust() {
	vkey := func(name string) string {
		d.do("key", name, "-note")
		text, err := os.ReadFile(name + ".vkey")
		require.NoError(d.t, err)
		return strings.TrimSpace(string(text))
	}
	root, err := trust.Parse(d.keys.Trust)
	require.NoError(d.t, err)
	text, err := trust.List{
		Product: "choba", Threshold: 2, Release: []string{vkey("r-alice"), vkey("r-bob")}, Store: vkey("shop"), PCR: root.PCR,
		ServiceThreshold: 1, Service: []string{vkey("service")}, Escrow: root.Escrow,
	}.Encode()
	require.NoError(d.t, err)
	require.NoError(d.t, os.WriteFile("trust.txt", text, 0o644))
}

// onlyKeys puts the named keys into a folder, as they lie on one machine.
func (d *desk) onlyKeys(dir string, names ...string) string {
	require.NoError(d.t, os.MkdirAll(dir, 0o700))
	for _, n := range names {
		text, err := os.ReadFile(n + ".key")
		require.NoError(d.t, err)
		require.NoError(d.t, os.WriteFile(filepath.Join(dir, n+".key"), text, 0o600))
	}
	return dir
}

// The whole of a vendor's ceremony as docs/playbooks tell it: keys on machines of
// their own, a root signed by two, a release signed by two and published by a machine
// that holds only the online keys, a rotation, a revocation (A60).
func TestCeremony(t *testing.T) {
	d := newDesk(t)
	d.vendorTrust()
	for _, who := range []string{"alice", "bob", "carol", "snap", "time"} {
		require.Contains(t, d.do("key", who), who+".key is secret")
		_, err := d.try("key", who)
		require.ErrorIs(t, err, os.ErrExist, "a key is never written over")
	}
	d.do("root", "-o", "root.json", "-root", "2:alice.pub,bob.pub", "-targets", "2:alice.pub,bob.pub", "-snapshot", "1:snap.pub", "-timestamp", "1:time.pub")
	for _, who := range []string{"alice", "bob"} {
		d.do("sign", "root.json", "-key", who+".key")
	}
	require.Contains(t, d.do("explain", "root.json"), "signed by alice, bob")
	require.Contains(t, d.do("sign", "root.json", "-key", "bob.key"), "had signed it already")

	d.bundle("built.choba", 1, "choba")
	d.do("manifest", "built.choba")
	d.do("sign", "-production", "built.manifest", "-key", "r-alice.key")
	d.do("sign", "-production", "built.manifest", "-key", "r-bob.key")
	require.NoError(t, os.Mkdir("out", 0o755))
	d.do("join", "-production", "built.choba", "built.manifest.r-alice", "built.manifest.r-bob", "-trust", "trust.txt", "-o", "out/release.choba")
	online := d.onlyKeys("online", "snap", "time")
	common := []string{"-production", "-trust", "trust.txt", "-keys", online}
	said := d.do(append([]string{"make", "-root", "root.json"}, common...)...)
	require.Contains(t, said, "staged/1.targets.json needs further signatures")
	for _, who := range []string{"alice", "bob"} {
		require.Contains(t, d.do("sign", "out/repository/staged/1.targets.json", "-key", who+".key"), "listing choba.pc-x86-64.release")
	}
	said = d.do(append([]string{"refresh", "out/repository"}, common...)...)
	require.NotContains(t, said, "Waiting")
	takes := func() string {
		return d.do("explain", "out/repository", "-trust", "trust.txt", "-root", "root.json")
	}
	require.Contains(t, takes(), "The register takes it.")

	// Bob leaves: carol takes his place in both roles.
	d.do(append([]string{"rotate", "out/repository", "root", "bob", "carol.pub"}, common...)...)
	for _, who := range []string{"alice", "bob", "carol"} {
		d.do("sign", "out/repository/staged/2.root.json", "-key", who+".key")
	}
	d.do(append([]string{"refresh", "out/repository"}, common...)...)
	all := d.onlyKeys("all", "alice", "carol", "snap", "time")
	d.do("rotate", "out/repository", "targets", "bob", "carol.pub", "-production", "-trust", "trust.txt", "-keys", all)
	page := takes()
	require.Contains(t, page, "root      2 of 2: alice, carol")
	require.Contains(t, page, "targets   2 of 2: alice, carol")
	require.Contains(t, page, "The register takes it.")

	// Both online keys at once, with the root keys elsewhere: the second change joins the first, which was signed already.
	for _, who := range []string{"snap2", "time2"} {
		d.do("key", who)
	}
	const staged = "out/repository/staged/4.root.json"
	d.do(append([]string{"rotate", "out/repository", "snapshot", "snap", "snap2.pub"}, common...)...)
	d.do("sign", staged, "-key", "alice.key")
	said = d.do(append([]string{"rotate", "out/repository", "timestamp", "time", "time2.pub"}, common...)...)
	require.Contains(t, said, "version 4 waited already")
	for _, who := range []string{"alice", "carol"} {
		require.NotContains(t, d.do("sign", staged, "-key", who+".key"), "already")
	}
	all = d.onlyKeys("new", "alice", "carol", "snap2", "time2")
	d.do("refresh", "out/repository", "-production", "-keys", all)
	page = takes()
	require.Contains(t, page, "snapshot  1 of 1: snap2")
	require.Contains(t, page, "timestamp 1 of 1: time2")
	require.Contains(t, page, "The register takes it.")

	_, err := d.try("revoke", "out/repository", "targets", "carol", "-production", "-keys", all)
	require.ErrorContains(t, err, "rotate the key instead")
	_, err = d.try("revoke", "out/repository", "targets", "nobody", "-production", "-keys", all)
	require.ErrorContains(t, err, "no key nobody")
	d.do("revoke", "out/repository", "targets", "carol", "-threshold", "1", "-production", "-keys", all)
	page = takes()
	require.Contains(t, page, "targets   1 of 1: alice")
	require.Contains(t, page, "The register takes it.")
}

// explain names every reason at once, in words.
func TestExplain(t *testing.T) {
	d := newDesk(t)
	d.bundle("a.choba", 3, dev.Product, d.keys.Release[:2]...)
	page := d.do("explain", "a.choba", "-floor", "3")
	for _, want := range []string{
		"This is a release bundle of", "choba-INSECURE version 3 (0.1.3).", "For hardware pc-x86-64.", "schema 1 and later",
		"1 programs: /init.", "Bill of materials (CycloneDX 1.5): 1 programs, 1 libraries, Go 1.26.3, Linux 6.12.9.",
		"development keys (INSECURE)", "ok  2 of the 2 signatures needed", "ok  Version 3 is not below the register's floor, 3.",
		"ok  All four parts are whole", "ok  The hash tree belongs", "ok  The TPM would open the data", "The register takes it.",
	} {
		require.Contains(t, page, want)
	}
	d.bundle("b.choba", 3, "other", d.keys.Release[2])
	page = d.do("explain", "b.choba", "-floor", "4", "-hardware", "thin-9", "-schema", "0")
	for _, want := range []string{
		"NO  1 of the 2 signatures needed: signed by choba-INSECURE-release3; not by choba-INSECURE-release1, choba-INSECURE-release2.",
		"NO  It is for the product other; the register is a choba-INSECURE.", "NO  It is for pc-x86-64; the register is thin-9.",
		"NO  Version 3 is below the register's floor, 4", "NO  It reads data of schema 1 and later; the register's is 0.",
		"The register does not take it",
	} {
		require.Contains(t, page, want)
	}
	data, err := os.ReadFile("a.choba")
	require.NoError(t, err)
	data[len(data)-len(sbom)-20] ^= 1 // in the boot image
	require.NoError(t, os.WriteFile("c.choba", data, 0o644))
	require.Contains(t, d.do("explain", "c.choba"), "NO  The contents are not what the manifest says")
	d.do("manifest", "a.choba")
	require.Contains(t, d.do("explain", "a.manifest"), "NO  0 of the 2 signatures needed: signed by nobody")
	require.NoError(t, os.WriteFile("trust.txt", d.keys.Trust, 0o644))
	require.Contains(t, d.do("explain", "trust.txt"), "2 of 3 release keys make a release")
	require.NoError(t, os.WriteFile("rubbish", []byte("rubbish"), 0o644))
	_, err = d.try("explain", "rubbish")
	require.ErrorContains(t, err, "not a bundle, manifest")
	_, err = d.try("explain", "nothing")
	require.Error(t, err)
}

// Equal inputs and times give an equal repository, byte for byte (A50).
func TestRepositoriesAreEqual(t *testing.T) {
	d := newDesk(t)
	d.bundle("out/release.choba", 1, dev.Product, d.keys.Release[:2]...)
	for _, repo := range []string{"one", "two"} {
		d.now = d.now.Add(time.Hour) // -time decides, not the clock
		d.do("make", "-repo", repo, "-time", "2026-03-01T09:00:00Z")
	}
	require.Equal(t, tree(t, "one"), tree(t, "two"))
	t.Setenv("SOURCE_DATE_EPOCH", "1772355600")
	d.do("make", "-repo", "three")
	require.Equal(t, tree(t, "one"), tree(t, "three"))
}

func tree(t *testing.T, dir string) map[string]string {
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			var data []byte
			data, err = os.ReadFile(path)
			name, _ := filepath.Rel(dir, path)
			out[name] = string(data)
		}
		return err
	}))
	return out
}

func TestUsage(t *testing.T) {
	d := newDesk(t)
	require.Contains(t, d.do(), "rotate REPO ROLE OLD NEW.pub")
	require.Contains(t, d.do("help"), "explain FILE")
	for _, args := range [][]string{{"burn"}, {"publish"}, {"publish", "a"}, {"explain"}, {"explain", "a", "b"}, {"make", "-x"}, {"sign", "f"}, {"join", "a"}, {"make", "-time", "noon"}} {
		_, err := d.try(args...)
		require.Error(t, err, "%v", args)
	}
}
