// Package redeploytest is a vendor and a register in memory, on one disk whose power
// can be cut, for the tests of what recovery does.
//
// It is for tests only and is not a model of anything but the disk's layout.
//
// The rule that keeps it small: it makes what a test starts from; it judges nothing.
package redeploytest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/recovery/redeploy"
)

// Vendor signs releases and tickets for one trust list.
type Vendor struct {
	T        testing.TB
	Root     trust.Root
	Releases []note.Signer // three, two of which must sign
	Service  []note.Signer // three, two of which must sign
}

// recipient is the example of age's own README.
const recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

// NewVendor makes a vendor whose keys are called by a prefix.
func NewVendor(t testing.TB, prefix string) *Vendor {
	v := &Vendor{T: t}
	list := trust.List{Product: "choba-test", Threshold: 2, ServiceThreshold: 2, Escrow: recipient}
	for i := range 3 {
		s, key := noteKey(t, fmt.Sprintf("%s-release%d", prefix, i+1))
		v.Releases, list.Release = append(v.Releases, s), append(list.Release, key)
		s, key = noteKey(t, fmt.Sprintf("%s-service%d", prefix, i+1))
		v.Service, list.Service = append(v.Service, s), append(list.Service, key)
	}
	_, list.Store = noteKey(t, prefix+"-store")
	pcr, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	list.PCR, err = x509.MarshalPKIXPublicKey(&pcr.PublicKey)
	require.NoError(t, err)
	text, err := list.Encode()
	require.NoError(t, err)
	v.Root, err = trust.Parse(text)
	require.NoError(t, err)
	return v
}

func noteKey(t testing.TB, name string) (note.Signer, string) {
	private, public, err := note.GenerateKey(rand.Reader, name)
	require.NoError(t, err)
	s, err := note.NewSigner(private)
	require.NoError(t, err)
	return s, public
}

// Release is a release with its parts.
type Release struct {
	release.Manifest
	Signed  []byte
	Content map[release.Part][]byte
}

// ID names the release in a slot record.
func (r Release) ID() slot.Manifest {
	text, err := r.Encode()
	if err != nil {
		panic(err)
	}
	return slot.Manifest(release.Sum(text).SHA256)
}

// Blocks is the size of every release here, in blocks of 4 KiB.
const Blocks = 16

// Release makes a release whose content says its version, changed by change, signed by
// so many keys.
func (v *Vendor) Release(version uint64, signers int, change func(*release.Manifest)) Release {
	content := bytes.Repeat([]byte(fmt.Sprintf("version %-8d", version)), Blocks*verity.BlockSize/16)
	salt := bytes.Repeat([]byte{0x5a}, verity.MaxSalt)
	tree, root, err := verity.Build(bytes.NewReader(content), Blocks, salt)
	require.NoError(v.T, err)
	m := release.Manifest{Product: v.Root.Product, Version: version, Name: fmt.Sprintf("1.%d", version), Schema: 1,
		Hardware: []string{release.HardwarePC}, EROFS: release.Sum(content), Tree: release.Sum(tree),
		Boot: release.Sum([]byte("boot")), SBOM: release.Sum([]byte("sbom")),
		Verity:        verity.Params{Root: root, Salt: salt, Blocks: Blocks, HashStart: Blocks},
		RootSignature: []byte("signature"), PCR13Signature: make([]byte, 64)}
	if change != nil {
		change(&m)
	}
	signed, err := release.Sign(m, v.Releases[:signers]...)
	require.NoError(v.T, err)
	return Release{m, signed, map[release.Part][]byte{
		release.PartEROFS: content, release.PartTree: tree, release.PartBoot: []byte("boot"), release.PartSBOM: []byte("sbom")}}
}

// Bundle is the release as a file.
func (v *Vendor) Bundle(r Release) []byte {
	from := release.Sources{}
	for p, b := range r.Content {
		from[p] = bytes.NewReader(b)
	}
	var out bytes.Buffer
	require.NoError(v.T, release.WriteBundle(&out, r.Manifest, r.Signed, from))
	return out.Bytes()
}

// Sizes of the partitions here.
const (
	StateSize = 4 * layout.MiB
	SlotSize  = 256 * layout.KiB
	DataSize  = 3 * layout.MiB
)

// Machine is a register on one disk.
type Machine struct {
	T    testing.TB
	Disk *frametest.Disk
}

// NewMachine has blank partitions.
func NewMachine(t testing.TB) *Machine {
	return &Machine{t, frametest.New(StateSize + 3*SlotSize + DataSize)}
}

// Part gives a partition by its place: 0 state, 1 a, 2 b, 3 factory, 4 data.
func (m *Machine) Part(i int) redeploy.Part {
	starts := []int64{0, StateSize, StateSize + SlotSize, StateSize + 2*SlotSize, StateSize + 3*SlotSize, StateSize + 3*SlotSize + DataSize}
	return redeploy.Part{Device: piece{m.Disk, starts[i], starts[i+1] - starts[i]}, Size: starts[i+1] - starts[i]}
}

// Register is the machine as redeploy sees it, under a vendor's trust list.
func (m *Machine) Register(v *Vendor) redeploy.Register {
	return redeploy.Register{Root: v.Root, Hardware: release.HardwarePC, State: m.Part(0), Factory: m.Part(3),
		Slots: map[slot.Name]redeploy.Part{slot.A: m.Part(1), slot.B: m.Part(2)}}
}

// Put writes a release into a partition.
func (m *Machine) Put(i int, r Release) {
	p := m.Part(i)
	require.NoError(m.T, release.WriteSlot(p, p.Size, r.Manifest, r.Signed,
		bytes.NewReader(r.Content[release.PartEROFS]), bytes.NewReader(r.Content[release.PartTree])))
}

// Store stores the slot record, and Record reads it.
func (m *Machine) Store(r slot.Record) { require.NoError(m.T, slot.Store(m.Part(0), r)) }

// Record reads the slot record.
func (m *Machine) Record() slot.Record {
	r, _, err := slot.Load(m.Part(0))
	require.NoError(m.T, err)
	return r
}

// piece is a part of the disk.
type piece struct {
	d       *frametest.Disk
	at, len int64
}

func (p piece) ReadAt(b []byte, off int64) (int, error) {
	return io.NewSectionReader(p.d, p.at, p.len).ReadAt(b, off)
}

func (p piece) WriteAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > p.len {
		return 0, io.ErrShortWrite
	}
	return p.d.WriteAt(b, p.at+off)
}

func (p piece) Sync() error { return p.d.Sync() }
