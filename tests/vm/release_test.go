package vm

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/fat"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/tests/bench"
)

// bundles are built once for all tests.
var bundles struct {
	sync.Mutex
	paths map[string]string
}

// bundle builds a release with this version number: a good one, or with one of the faults of image/cmd/image. More
// arguments go to that program.
func bundle(t *testing.T, version int, fault string, more ...string) string {
	t.Helper()
	bundles.Lock()
	defer bundles.Unlock()
	name := fmt.Sprintf("release-%d-%s", version, fault)
	for _, m := range more {
		name += m
	}
	if path, ok := bundles.paths[name]; ok {
		return path
	}
	dir, err := filepath.Abs(filepath.Join(test, name))
	require.NoError(t, err)
	args := append([]string{"run", "./image/cmd/image", "-bundle", "-out", dir, "-version", fmt.Sprint(version), "-name", fmt.Sprintf("0.%d.0-test", version), "-fault", fault}, more...)
	cmd := exec.Command("go", args...)
	cmd.Dir = "../.."
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
	if bundles.paths == nil {
		bundles.paths = map[string]string{}
	}
	bundles.paths[name] = filepath.Join(dir, "release.choba")
	return bundles.paths[name]
}

// opened is a bundle's checked manifest, and its parts still to be read.
func opened(t *testing.T, path string) (release.Release, *release.Bundle) {
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	b, err := release.OpenBundle(f)
	require.NoError(t, err)
	r, err := release.Check(trusted(t), b.Signed, release.Register{Hardware: release.HardwarePC})
	require.NoError(t, err)
	return r, b
}

// stage puts a release into slot b and on trial, as an update does at its end, while the register is off.
func (d *flashed) stage(path string) release.Release {
	r, b := opened(d.t, path)
	part := d.parts[layout.SlotB]
	erofs, tree := filepath.Join(d.t.TempDir(), "erofs"), filepath.Join(d.t.TempDir(), "tree")
	files := map[release.Part]string{release.PartEROFS: erofs, release.PartTree: tree}
	require.NoError(d.t, b.Extract(r.Manifest, func(p release.PartFile) (io.Writer, error) {
		if files[p.Part] == "" {
			return nil, nil
		}
		f, err := os.Create(files[p.Part])
		d.t.Cleanup(func() { f.Close() })
		return f, err
	}))
	e, err := os.Open(erofs)
	require.NoError(d.t, err)
	defer e.Close()
	h, err := os.Open(tree)
	require.NoError(d.t, err)
	defer h.Close()
	require.NoError(d.t, release.WriteSlot(section{d, part.Start}, part.Size, r.Manifest, b.Signed, e, h))
	rec, err := slot.Clear(d.record(), slot.B)
	require.NoError(d.t, err)
	rec, err = slot.Offer(rec, slot.B, r.Version, r.ID, false)
	require.NoError(d.t, err)
	require.NoError(d.t, slot.Store(d.state(), rec))
	return r
}

// record is the slot record of a disk.
func (d *flashed) record() slot.Record {
	rec, _, err := slot.Load(d.state())
	require.NoError(d.t, err)
	return rec
}

// bootImage is the file that the firmware finds.
func (d *flashed) bootImage() []byte {
	esp := d.parts[layout.ESP]
	v, err := fat.Open(section{d, esp.Start}, esp.Size)
	require.NoError(d.t, err)
	f, err := v.Open(layout.BootFile)
	require.NoError(d.t, err)
	b := make([]byte, f.Size())
	_, err = f.ReadAt(b, 0)
	require.NoError(d.t, err)
	return b
}

// section is a disk from an offset on.
type section struct {
	disk *flashed
	from int64
}

func (s section) ReadAt(b []byte, at int64) (int, error)  { return s.disk.file.ReadAt(b, s.from+at) }
func (s section) WriteAt(b []byte, at int64) (int, error) { return s.disk.file.WriteAt(b, s.from+at) }
func (s section) Sync() error                             { return s.disk.file.Sync() }

// sold is a register that has been switched on once: its slot a is committed, its data is made. Each call gives a copy
// of its own, disk, firmware variables and TPM.
func sold(t *testing.T, change func(*bench.Config)) *bench.Register {
	t.Helper()
	used.Do(func() {
		dir, err := os.MkdirTemp("", "choba-used")
		require.NoError(t, err)
		r, err := bench.NewRegister(bench.Config{Dir: dir, Disk: filepath.Join(out, "disk.img"), Vars: filepath.Join(out, "vars.fd"), Watchdog: true})
		require.NoError(t, err)
		on(t, r, committed)
		r.Cut()
		used.dir = dir
	})
	require.NotEmpty(t, used.dir, "the first register did not come up")
	return again(t, used.dir, change)
}

// committed is the line that init prints when the running release is committed.
const committed = `choba-init: committed: .*`

// used is the folder of a register after its first day.
var used struct {
	sync.Once
	dir string
}

// again is a register made of another one's folder, which must be off.
func again(t *testing.T, dir string, change func(*bench.Config)) *bench.Register {
	t.Helper()
	to := filepath.Join(short(t), "m")
	tool(t, "cp", "-a", "--sparse=always", dir, to)
	return register(t, func(c *bench.Config) {
		c.Dir, c.Watchdog = to, true
		if change != nil {
			change(c)
		}
	})
}

// alter takes the disk out of a register that is off, lets do change it, and puts it back.
func alter(t *testing.T, r *bench.Register, do func(*flashed)) {
	t.Helper()
	raw := pulled(t, r)
	d := open(t, raw)
	do(d)
	require.NoError(t, d.file.Sync())
	require.NoError(t, os.Remove(r.DiskFile()))
	tool(t, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, r.DiskFile())
}
