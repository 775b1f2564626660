// Package vm boots the real image in QEMU, always through the disk and with
// Secure Boot on, and looks at what a person would see: the screen, the paper,
// the console, the disk afterwards.
//
// It is not a place for what a unit test can show. The rule that keeps it small:
// a test here needs the whole machine, and says in its name what it shows.
package vm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/gpt"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/tests/bench"
)

// out is what ./build.sh image leaves; test is the same with the probe inside.
const (
	out  = "../../out"
	test = "../../out/test"
)

func TestMain(m *testing.M) {
	for _, dir := range []string{out, test} {
		if _, err := os.Stat(filepath.Join(dir, "disk.img")); err != nil {
			fmt.Fprintln(os.Stderr, "these tests boot the built image: run ./build.sh test, or ./build.sh image first")
			os.Exit(1)
		}
	}
	code := m.Run()
	for _, dir := range []string{used.dir, shopped.dir} {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// Lines on the console that tests wait for.
const (
	ready = `choba-init: ready to sell.*`
	stop  = `choba-(init|recovery): stop: .*`
)

// limit is how long any one wait may take: the machines are shared and slow.
const limit = 3 * time.Minute

// short makes a folder with a short name: a unix socket's path has 108 bytes.
func short(t *testing.T) string {
	dir, err := os.MkdirTemp("", "choba")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// register is a switched-off register with a freshly flashed disk; change is
// applied to its configuration.
func register(t *testing.T, change func(*bench.Config)) *bench.Register {
	cfg := bench.Config{Dir: filepath.Join(short(t), "m"), Disk: filepath.Join(out, "disk.img"), Vars: filepath.Join(out, "vars.fd")}
	if change != nil {
		change(&cfg)
	}
	r, err := bench.NewRegister(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		r.Cut()
		if t.Failed() {
			t.Logf("the console:\n%s", r.Text())
		}
	})
	return r
}

// on switches a register on and waits for the first of the patterns.
func on(t *testing.T, r *bench.Register, patterns ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	require.NoError(t, r.Start(ctx))
	s, err := r.Wait(ctx, patterns...)
	require.NoError(t, err)
	return s
}

// wait waits for a line on the console.
func wait(t *testing.T, r *bench.Register, patterns ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	s, err := r.Wait(ctx, patterns...)
	require.NoError(t, err)
	return s
}

// copyDisk copies the flashed disk so that a test may alter it. Holes stay holes.
func copyDisk(t *testing.T) *flashed {
	path := filepath.Join(short(t), "disk.img")
	b, err := exec.Command("cp", "--sparse=always", filepath.Join(out, "disk.img"), path).CombinedOutput()
	require.NoError(t, err, "%s", b)
	return open(t, path)
}

// open reads the partition table of a disk.
func open(t *testing.T, path string) *flashed {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	require.NoError(t, err)
	parts, err := gpt.Read(f, st.Size())
	require.NoError(t, err)
	d := &flashed{t: t, path: path, file: f, parts: map[string]gpt.Entry{}}
	for _, p := range parts {
		d.parts[p.Name] = p
	}
	return d
}

// flashed is a disk that a test alters while no machine runs on it.
type flashed struct {
	t     *testing.T
	path  string
	file  *os.File
	parts map[string]gpt.Entry
}

// on makes a register's configuration use this disk.
func (d *flashed) on(c *bench.Config) { c.Disk = d.path }

// flip changes one bit at an offset of a partition.
func (d *flashed) flip(part string, offset int64) {
	b := make([]byte, 1)
	at := d.parts[part].Start + offset
	_, err := d.file.ReadAt(b, at)
	require.NoError(d.t, err)
	b[0] ^= 0x40
	_, err = d.file.WriteAt(b, at)
	require.NoError(d.t, err)
}

// write overwrites bytes of a partition.
func (d *flashed) write(part string, offset int64, b []byte) {
	_, err := d.file.WriteAt(b, d.parts[part].Start+offset)
	require.NoError(d.t, err)
}

// wipe makes a slot hold no release.
func (d *flashed) wipe(part string) {
	d.write(part, layout.HeadOffset(d.parts[part].Size), make([]byte, layout.HeadSize))
}

// keys are the development keys that signed the image under test.
func keys(t *testing.T) *dev.Keys {
	dir, err := dev.DefaultDir()
	require.NoError(t, err)
	k, err := dev.Ensure(dir)
	require.NoError(t, err)
	return k
}

// esp writes a FAT disk with the given files by Debian's mtools, so that a
// stranger's disk is not made by our own code.
func esp(t *testing.T, files map[string][]byte) string {
	dir := short(t)
	img := filepath.Join(dir, "esp.img")
	tool(t, "truncate", "-s", "64M", img)
	tool(t, "/sbin/mkfs.vfat", "-F", "32", img)
	for name, data := range files {
		var at string
		for _, part := range strings.Split(filepath.Dir(name), "/") {
			at += "/" + part
			exec.Command("mmd", "-i", img, "-D", "s", "::"+at).Run() // there already is fine
		}
		src := filepath.Join(dir, "file")
		require.NoError(t, os.WriteFile(src, data, 0o644))
		tool(t, "mcopy", "-i", img, src, "::"+name)
	}
	return img
}

func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	var buf bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &buf, &buf
	require.NoError(t, cmd.Run(), "%s %v: %s", name, args, &buf)
	return buf.String()
}

// pulled takes the disk out of a register that is off, as one plain file.
func pulled(t *testing.T, r *bench.Register) string {
	t.Helper()
	raw := filepath.Join(short(t), "raw.img")
	tool(t, "qemu-img", "convert", "-O", "raw", r.DiskFile(), raw)
	return raw
}
