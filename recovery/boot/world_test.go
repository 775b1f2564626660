package boot

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
)

// vendor signs releases for one trust list.
type vendor struct {
	t       *testing.T
	list    trust.List
	signers []note.Signer
}

// recipient is the example of age's own README.
const recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

func newVendor(t *testing.T, prefix string) *vendor {
	v := &vendor{t: t, list: trust.List{Product: "choba-test", Threshold: 2, ServiceThreshold: 1, Escrow: recipient}}
	for i := range 3 {
		s, key := noteKey(t, fmt.Sprintf("%s-release%d", prefix, i+1))
		v.signers, v.list.Release = append(v.signers, s), append(v.list.Release, key)
	}
	_, v.list.Store = noteKey(t, prefix+"-store")
	_, service := noteKey(t, prefix+"-service")
	v.list.Service = []string{service}
	pcr, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	v.list.PCR, err = x509.MarshalPKIXPublicKey(&pcr.PublicKey)
	require.NoError(t, err)
	return v
}

func noteKey(t *testing.T, name string) (note.Signer, string) {
	private, public, err := note.GenerateKey(rand.Reader, name)
	require.NoError(t, err)
	s, err := note.NewSigner(private)
	require.NoError(t, err)
	return s, public
}

func (v *vendor) trust() []byte {
	text, err := v.list.Encode()
	require.NoError(v.t, err)
	return text
}

const (
	stateSize = 4 * layout.MiB
	slotSize  = 1 * layout.MiB
	blocks    = 16
)

var salt = bytes.Repeat([]byte{0x5a}, verity.MaxSalt)

// partition is a raw partition in memory.
type partition struct{ data []byte }

func (p *partition) ReadAt(b []byte, off int64) (int, error) {
	return bytes.NewReader(p.data).ReadAt(b, off)
}
func (p *partition) WriteAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > int64(len(p.data)) {
		return 0, io.ErrShortWrite
	}
	return copy(p.data[off:], b), nil
}
func (p *partition) Sync() error  { return nil }
func (p *partition) Close() error { return nil }

// world is a register with two slots whose every act is written down.
type world struct {
	t       *testing.T
	files   map[string][]byte
	parts   map[string]*partition
	measure []seal.Event
	fail    map[string]error // by the beginning of an entry of done
	done    []string
	lines   []string
	env     []string
	noDisk  error

	fired  string      // the watchdog that caused the last reset
	pcr    seal.Digest // PCR 13 before this run
	floor  uint64      // 0 = the TPM has none
	log    string      // the kernel's
	loaded string      // command line of the loaded kernel
}

// How a run can end where the real world never returns.
var (
	errReplaced  = errors.New("replaced by init")
	errJumped    = errors.New("another kernel runs")
	errRestarted = errors.New("the machine restarts")
)

const (
	thisImage  = "1111111111111111111111111111111111111111111111111111111111111111\n"
	otherImage = "2222222222222222222222222222222222222222222222222222222222222222\n"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, v *vendor) *world {
	params := make([]byte, 4096)
	params[secureBootAt] = secureBootOn
	w := &world{t: t, fail: map[string]error{}, parts: map[string]*partition{}, files: map[string][]byte{
		trustFile: v.trust(), policyFile: []byte("policy"), bootParams: params,
		securityfs + "/lockdown": []byte("none [integrity] confidentiality\n"), securityfs + "/ipe/enforce": []byte("1\n"),
		loaderType: []byte("33\n"), ownID: []byte(thisImage), slotID: []byte(thisImage),
	}}
	for name, size := range map[string]int{layout.State: stateSize, layout.SlotA: slotSize, layout.SlotB: slotSize,
		layout.Factory: layout.Block, layout.ESP: layout.Block, layout.Data: layout.Block} {
		w.parts["/dev/"+name] = &partition{make([]byte, size)}
	}
	return w
}

func (w *world) part(n slot.Name) *partition { return w.parts["/dev/choba-"+string(n)] }

// manifest is a good one over content that says its version.
func (v *vendor) manifest(version uint64) (release.Manifest, []byte, []byte) {
	content := bytes.Repeat([]byte(fmt.Sprintf("version %-8d", version)), blocks*4096/16)
	tree, root, err := verity.Build(bytes.NewReader(content), blocks, salt)
	require.NoError(v.t, err)
	return release.Manifest{Product: v.list.Product, Version: version, Name: "v", Schema: 1, Hardware: []string{release.HardwarePC},
		EROFS: release.Sum(content), Tree: release.Sum(tree), Boot: release.Sum([]byte("boot")), SBOM: release.Sum([]byte("sbom")),
		Verity:        verity.Params{Root: root, Salt: salt, Blocks: blocks, HashStart: blocks},
		RootSignature: []byte("signature"), PCR13Signature: make([]byte, 64)}, content, tree
}

// install writes a release, changed by change, into a slot.
func (w *world) install(n slot.Name, v *vendor, version uint64, signers int, change func(*release.Manifest)) (m release.Manifest, id slot.Manifest) {
	m, content, tree := v.manifest(version)
	if change != nil {
		change(&m)
	}
	signed, err := release.Sign(m, v.signers[:signers]...)
	require.NoError(w.t, err)
	err = release.WriteSlot(w.part(n), slotSize, m, signed, bytes.NewReader(content), bytes.NewReader(tree))
	require.NoError(w.t, err)
	text, err := m.Encode()
	require.NoError(w.t, err)
	return m, slot.Manifest(release.Sum(text).SHA256)
}

func (w *world) store(r slot.Record) {
	require.NoError(w.t, slot.Store(w.parts["/dev/"+layout.State], r))
}

func (w *world) record() slot.Record {
	r, _, err := slot.Load(w.parts["/dev/"+layout.State])
	require.NoError(w.t, err)
	return r
}

func (w *world) do(format string, args ...any) error {
	act := fmt.Sprintf(format, args...)
	w.done = append(w.done, act)
	for start, err := range w.fail {
		if strings.HasPrefix(act, start) {
			return err
		}
	}
	return nil
}

// end does what ends this program in the real world; run catches it.
func (w *world) end(how error, format string, args ...any) error {
	if err := w.do(format, args...); err != nil {
		return err
	}
	panic(how)
}

// run boots in a world. The error is how it ended; nil: recovery stopped.
func run(w *world) (s Stopped, ended error) {
	defer func() {
		if r := recover(); r != nil {
			var ok bool
			if ended, ok = r.(error); !ok || ended != errReplaced && ended != errJumped && ended != errRestarted {
				panic(r)
			}
		}
	}()
	return New(w).Run(), nil
}

// powerOn is the next start of the same register, with the same disk and firmware.
func (w *world) powerOn(v *vendor) *world {
	next := newWorld(w.t, v)
	next.parts, next.floor = w.parts, w.floor
	return next
}

// history is what was written there.
func (w *world) history() (out []string) {
	all, err := history.Load(w.parts["/dev/"+layout.State])
	require.NoError(w.t, err)
	for _, e := range all {
		out = append(out, e.Kind+" "+e.Text)
	}
	return out
}

// did gives the acts that begin with a word.
func (w *world) did(word string) (out []string) {
	for _, d := range w.done {
		if strings.HasPrefix(d, word) {
			out = append(out, d)
		}
	}
	return out
}

func (w *world) Say(line string)             { w.lines = append(w.lines, line) }
func (w *world) Mount(m Mount) error         { return w.do("mount %s %s", m.Source, m.Target) }
func (w *world) Unmount(target string) error { return w.do("unmount %s", target) }
func (w *world) ReadFile(path string) ([]byte, error) {
	if b, ok := w.files[path]; ok {
		return b, nil
	}
	return nil, os.ErrNotExist
}
func (w *world) WriteFile(path string, data []byte) error { return w.do("write %s %s", path, data) }
func (w *world) FindDisk(names ...string) (disk.Disk, error) {
	d := disk.Disk{Name: "vda", Parts: map[string]disk.Partition{}}
	for _, n := range names {
		p, ok := w.parts["/dev/"+n]
		if !ok {
			return disk.Disk{}, fmt.Errorf("finding partition %s: %w", n, disk.ErrAbsent)
		}
		d.Parts[n] = disk.Partition{Name: n, Path: "/dev/" + n, Size: int64(len(p.data))}
	}
	return d, w.noDisk
}
func (w *world) Open(path string, write bool) (Partition, error) {
	if write {
		return w.parts[path], w.do("open %s", path)
	}
	return w.parts[path], nil
}
func (w *world) OpenVerity(v dm.Verity) (string, error) {
	return "/dev/dm-" + v.Name, w.do("verity %s %s %d %s", v.Name, v.Table, v.Sectors, v.Signature)
}
func (w *world) CloseVerity(name string) error { return w.do("remove %s", name) }
func (w *world) Measure(e seal.Event) error {
	w.measure = append(w.measure, e)
	return w.do("measure")
}
func (w *world) Choice() (seal.Digest, error) { return w.pcr, w.do("choice") }
func (w *world) Floor() (uint64, error) {
	if err := w.do("floor"); err != nil || w.floor > 0 {
		return w.floor, err
	}
	return 0, seal.ErrNoFloor
}
func (w *world) WatchdogFired() (string, error) { return w.fired, w.do("fired") }
func (w *world) Now() time.Time                 { return noon }
func (w *world) LoadKernel(path, commandLine string) error {
	w.loaded = commandLine
	return w.do("load %s %s", path, commandLine)
}
func (w *world) UnloadKernel() error {
	w.loaded = ""
	return w.do("unload")
}
func (w *world) KernelLog() ([]byte, error) { return []byte(w.log), w.do("log") }
func (w *world) Jump() error {
	if w.loaded == "" {
		w.t.Fatal("a jump without a kernel")
	}
	return w.end(errJumped, "jump")
}
func (w *world) Restart() error { return w.end(errRestarted, "restart") }

func (w *world) ArmWatchdog(time.Duration) (string, error) { return "dog", w.do("arm") }
func (w *world) FeedWatchdog() error                       { return w.do("feed") }
func (w *world) GiveUpMACAdmin() error                     { return w.do("give up") }
func (w *world) SwitchRoot(dir string, keep ...string) error {
	return w.do("switch %s %v", dir, keep)
}
func (w *world) Exec(path string, env []string) error {
	w.env = env
	return w.end(errReplaced, "exec %s", path)
}
