package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/services/table"
)

const root = "../../.."

// sample builds one small program as the image's are built.
func sample(t *testing.T, c config, pkg string) string {
	path := filepath.Join(t.TempDir(), "sample")
	require.NoError(t, c.command(t.Context(), "go", append(buildFlags(), "-o", path, pkg)...))
	return path
}

// bootStub has what a kernel's setup header says of its version, and no more.
func bootStub() []byte {
	b := make([]byte, 0x400)
	copy(b, "MZ")
	copy(b[0x202:], "HdrS")
	b[0x20f] = 1
	copy(b[0x300:], "6.12.0 (choba) #1")
	return b
}

// testJob is a build whose programs are all one small one and whose boot image is a
// few bytes, so that everything else is real and quick.
func testJob(t *testing.T, keys string, args ...string) *job {
	for _, tool := range []string{"mkfs.erofs", "/sbin/mkfs.ext4"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	c, err := configure(append([]string{"-root", root, "-out", filepath.Join(dir, "out"), "-cache", filepath.Join(dir, "cache"), "-keys", keys}, args...), io.Discard)
	require.NoError(t, err)
	j := &job{config: c, programs: map[string]string{}, boot: bootStub()}
	small := sample(t, c, "./tests/vm/probe/confine")
	for _, p := range c.programs() {
		j.programs[p.pkg] = small
	}
	return j
}

// finish runs the steps behind the boot image.
func (j *job) finish(t *testing.T) {
	for _, s := range []func(context.Context) (string, error){
		j.stepKeys, j.stepExt4, j.stepPack, j.stepSystem, j.stepRelease, j.stepBundle, j.stepDisk,
	} {
		_, err := s(t.Context())
		require.NoError(t, err)
	}
}

func sum(t *testing.T, path string) [32]byte {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	require.NoError(t, err)
	return [32]byte(h.Sum(nil))
}

// Two builds from the same sources and keys, in different folders and with empty
// caches, give the same bytes (A50). The release that comes out unpacks and checks.
func TestBuildsAreEqual(t *testing.T) {
	keys := t.TempDir()
	a, b := testJob(t, keys), testJob(t, keys)
	a.finish(t)
	b.finish(t)
	for _, name := range []string{"disk.img", "release.choba", "keys/trust.txt", "keys/db.crt"} {
		require.Equal(t, sum(t, filepath.Join(a.out, name)), sum(t, filepath.Join(b.out, name)), name)
	}
	require.Equal(t, a.sbom, b.sbom)

	f, err := os.Open(filepath.Join(a.out, "release.choba"))
	require.NoError(t, err)
	defer f.Close()
	bundle, err := release.OpenBundle(f)
	require.NoError(t, err)
	r, err := release.Check(a.trust, bundle.Signed, release.Register{Hardware: release.HardwarePC, Floor: 1})
	require.NoError(t, err)
	require.NoError(t, bundle.Extract(r.Manifest, func(release.PartFile) (io.Writer, error) { return nil, nil }))
	require.Len(t, r.Programs, 2+len(a.services))

	_, hit, err := a.emptyExt4(t.Context())
	require.NoError(t, err)
	require.True(t, hit, "a second build finds it in the cache")
}

// The EROFS holds the folders and files of the plan and nothing else (A21).
func TestWhatTheImageHolds(t *testing.T) {
	j := testJob(t, t.TempDir())
	j.finish(t)
	items, err := j.items()
	require.NoError(t, err)
	var paths []string
	for _, i := range items {
		paths = append(paths, i.path)
	}
	want := []string{
		"/boot", "/boot/boot.efi", "/boot/boot.id", "/data", "/dev", "/etc", "/etc/choba", "/etc/choba/ports.json", "/etc/choba/root.json",
		"/etc/choba/table.json", "/etc/choba/trust.txt", "/etc/choba/update.json", "/etc/resolv.conf", "/init", "/proc", "/run", "/sbin",
		"/sbin/confine", "/share", "/share/empty.ext4.gz", "/share/shop.pack", "/slot", "/svc", "/sys", "/tmp",
	}
	want = append(want, j.services...) // those of the table and no other
	slices.Sort(want)
	require.Equal(t, want, paths)
	check, err := exec.Command("fsck.erofs", "--extract="+t.TempDir()+"/x", j.system).CombinedOutput()
	require.NoError(t, err, "%s", check)
}

// The product has no probe; the test image has it, says so, and goes elsewhere.
func TestProbe(t *testing.T) {
	product, err := configure([]string{"-root", root}, io.Discard)
	require.NoError(t, err)
	for _, p := range product.programs() {
		require.NotContains(t, p.pkg, "probe")
	}
	j := &job{config: product}
	text, err := j.table()
	require.NoError(t, err)
	require.NotContains(t, string(text), "probe")

	test, err := configure([]string{"-root", root, "-with-probe"}, io.Discard)
	require.NoError(t, err)
	require.Contains(t, test.name, "PROBE")
	require.Equal(t, filepath.Join(product.out, "test"), test.out)
	j = &job{config: test}
	text, err = j.table()
	require.NoError(t, err)
	rows, err := table.Parse(text)
	require.NoError(t, err)
	row, ok := rows.Row("probe")
	require.True(t, ok)
	require.Equal(t, probePath, row.Binary)
	inside := map[string]string{}
	for _, p := range j.programsInside() {
		inside[p.path] = p.pkg
	}
	require.Equal(t, "./init/confine", inside["/sbin/confine.real"])
	require.Equal(t, "./tests/vm/probe/confine", inside["/sbin/confine"])
}

// The empty file system is clean in the eyes of e2fsck, and can grow without limit.
func TestEmptyExt4(t *testing.T) {
	j := testJob(t, t.TempDir())
	zipped, _, err := j.emptyExt4(t.Context())
	require.NoError(t, err)
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	require.NoError(t, err)
	image, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Len(t, image, ext4Size)
	path := filepath.Join(t.TempDir(), "ext4")
	require.NoError(t, os.WriteFile(path, image, 0o600))
	out, err := exec.Command("/sbin/e2fsck", "-f", "-n", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.Command("/sbin/dumpe2fs", "-h", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, feature := range []string{"meta_bg", "metadata_csum", "64bit", "has_journal", "flex_bg"} {
		require.Contains(t, string(out), " "+feature)
	}
	require.NotContains(t, string(out), "resize_inode")
}

func TestLinuxVersionRefuses(t *testing.T) {
	for n, b := range [][]byte{nil, make([]byte, 0x400), bootStub()[:0x300], bootStub()[:0x301]} {
		_, err := linuxVersion(b)
		require.Error(t, err, "%d", n)
	}
}

func TestComplete(t *testing.T) {
	items, err := complete([]item{plain("/a/b/c", []byte("x"))})
	require.NoError(t, err)
	var paths []string
	for _, i := range items {
		paths = append(paths, i.path)
	}
	require.Equal(t, "/a /a/b /a/b/c /data /dev /proc /run /slot /sys /tmp", strings.Join(paths, " "))
	for _, bad := range [][]item{
		{plain("relative", []byte("x"))}, {plain("/a/../b", []byte("x"))}, {plain("/a/", []byte("x"))},
		{plain("/a", []byte("x")), plain("/a", []byte("y"))},
	} {
		_, err := complete(bad)
		require.Error(t, err, bad[0].path)
	}
}

// The cache keeps whole entries, makes each once, and keys do not run together.
func TestCache(t *testing.T) {
	c := cache{filepath.Join(t.TempDir(), "cache")}
	stop := errors.New("stop")
	_, _, err := c.file("kind", "k", func(string) error { return stop })
	require.ErrorIs(t, err, stop)
	made := 0
	for i := range 3 {
		path, hit, err := c.file("kind", "k", func(path string) error {
			made++
			return os.WriteFile(path, []byte("made"), 0o600)
		})
		require.NoError(t, err)
		require.Equal(t, i > 0, hit)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "made", string(data))
	}
	require.Equal(t, 1, made)
	require.NoError(t, c.prune())
	list, err := os.ReadDir(c.dir)
	require.NoError(t, err)
	require.Len(t, list, 1, "nothing half made is left")
	require.NotEqual(t, key("a", "b"), key("ab"))
	require.NotEqual(t, key("a", "b"), key("b", "a"))
}

func TestConfigure(t *testing.T) {
	_, err := configure([]string{"stray"}, io.Discard)
	require.Error(t, err)
	_, err = configure([]string{"-without-journal"}, io.Discard)
	require.Error(t, err, "nothing can be left out")
}

// A release with a fault is told from a good one by its name, holds the fault in the place of the right program, and
// an unknown fault is refused.
func TestFaults(t *testing.T) {
	for fault, at := range faults {
		c, err := configure([]string{"-root", root, "-out", t.TempDir(), "-fault", fault}, io.Discard)
		require.NoError(t, err)
		require.Contains(t, c.name, "+FAULT-"+fault)
		var pkgs []string
		for _, p := range c.programs() {
			pkgs = append(pkgs, p.pkg)
		}
		require.Equal(t, at != "", slices.Contains(pkgs, faultPkg), fault)
		require.True(t, at == "" || !slices.Contains(pkgs, at), fault)
	}
	_, err := configure([]string{"-fault", "smoke"}, io.Discard)
	require.ErrorContains(t, err, "no fault")
	text, err := os.ReadFile(filepath.Join(root, tableFile))
	require.NoError(t, err)
	got, err := config{fault: "blind"}.blind(text)
	require.NoError(t, err)
	rows, err := table.Parse(got)
	require.NoError(t, err)
	screen, _ := rows.Row("screen")
	require.Empty(t, screen.Devices)
}
