package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"io"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/authenticode"
	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/init/data"
	"github.com/choba-os/choba/init/espupdate"
	"github.com/choba-os/choba/init/offer/petest"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/seal/sealtest"
)

// chain is a register with a real TPM (swtpm), from the firmware to the kept release.
type chain struct {
	t      *testing.T
	chip   *sealtest.Chip
	vendor *ecdsa.PrivateKey
	pkix   []byte
	escrow string
	state  *frametest.Disk
	data   *frametest.Disk
	file   *memoryFile // on the boot partition
}

// memoryFile is a boot file that needs no FAT.
type memoryFile struct{ content []byte }

func (f *memoryFile) Read() ([]byte, error)        { return bytes.Clone(f.content), nil }
func (f *memoryFile) Replace(content []byte) error { f.content = bytes.Clone(content); return nil }

// plainVolume is a data partition without encryption or file system.
type plainVolume struct{ d *frametest.Disk }

func (v plainVolume) Open(key []byte) (frame.Device, error) { clear(key); return inside{v.d}, nil }
func (v plainVolume) Mount() error                          { return nil }
func (v plainVolume) Grow() error                           { return nil }

type inside struct{ *frametest.Disk }

func (i inside) ReadAt(b []byte, at int64) (int, error) { return i.Disk.ReadAt(b, at+layout.DataCrypt) }
func (i inside) WriteAt(b []byte, at int64) (int, error) {
	return i.Disk.WriteAt(b, at+layout.DataCrypt)
}

func newChain(t *testing.T) *chain {
	if !sealtest.Available() {
		t.Skip("no swtpm installed")
	}
	c := &chain{t: t, chip: sealtest.New(t.TempDir()), state: frametest.New(4 * layout.MiB), data: frametest.New(2 * layout.MiB)}
	t.Cleanup(c.chip.Off)
	var err error
	c.vendor, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c.pkix, err = x509.MarshalPKIXPublicKey(&c.vendor.PublicKey)
	require.NoError(t, err)
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	c.escrow = id.Recipient().String()
	return c
}

// boot switches the register on and runs version from slot b, up to the opened key.
func (c *chain) boot(version uint64, jumped bool) (*bench, error) {
	t := c.t
	c.chip.Off()
	require.NoError(t, c.chip.PowerOn())
	sum, err := authenticode.Hash(c.file.content)
	require.NoError(t, err)
	events := []seal.Digest{sha256.Sum256([]byte("Calling EFI Application from Boot Option")), sha256.Sum256(make([]byte, 4)), sum}
	for _, e := range events {
		require.NoError(t, c.chip.Extend(4, e))
	}
	require.NoError(t, c.chip.Extend(7, sha256.Sum256([]byte("on"))))
	tpm := seal.New(c.chip)
	root := strings.Repeat("ab", 32)
	require.NoError(t, tpm.Measure(seal.System(root)))

	b := newBench(t, keptRecord())
	copy(b.disk.Data[layout.RecordCopy2+layout.RecordSize:], c.state.Data[layout.RecordCopy2+layout.RecordSize:])
	c.state = b.disk
	b.facts.version, b.facts.jumped, b.facts.events = version, jumped, events
	b.running.Version = version
	b.machine.tpm = tpm
	signature, err := seal.SignPolicy(c.vendor, seal.ApprovedPolicy(root, version))
	require.NoError(t, err)
	b.machine.partition = data.New(data.Parts{
		State: b.disk, Disk: c.data, TPM: tpm, Random: rand.Reader, Volume: plainVolume{c.data}, Escrow: c.escrow,
		Empty:    func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("ext4")), nil },
		By:       seal.Approval{Key: c.pkix, RootHash: root, Version: version, Signature: signature},
		Say:      func(s string) { t.Log(s) },
		Progress: func() {},
	})
	return b, b.machine.partition.Unlock()
}

// The whole chain: the key is sealed to the boot image that comes, the release is kept, the floor rises to the lower of
// the two committed versions, the boot file is replaced, the next boot opens the data with the new file, and a release
// below the floor does not (A26).
func TestFloorAndBootFileOverBoots(t *testing.T) {
	c := newChain(t)
	old := petest.Signed(t, "..", 1, 4096, "one", "two")
	image := petest.Signed(t, "..", 2, 8192, "one", "two")
	c.file = &memoryFile{old}

	b, err := c.boot(17, false)
	require.NoError(t, err)
	require.NoError(t, b.closeDoor())
	require.NoError(t, b.openData())

	b, err = c.boot(17, true)
	require.NoError(t, err)
	require.NoError(t, b.prepareBootFile(c.file, image))
	require.True(t, b.machine.boot.job.Due())
	require.NoError(t, b.closeDoor())
	require.NoError(t, b.openData())
	require.Equal(t, old, c.file.content, "nothing is written before the release is kept")
	b.ready()
	b.until(t, "boot.file")
	require.Contains(t, string(b.told[0].Content), `"floor":16`, "version 16 is in the other slot")
	require.EqualValues(t, 16, b.floor.Load())
	require.Equal(t, image, c.file.content)
	require.Equal(t, espupdate.Written, espupdate.Load(c.state).State)

	b, err = c.boot(17, false)
	require.NoError(t, err, "the new boot image opens the data")
	require.Equal(t, data.Newest, b.machine.partition.Opened())
	require.True(t, b.bootFileWanted(b.record(t)), "to be brought to its end")
	require.NoError(t, b.prepareBootFile(c.file, image))
	require.NoError(t, b.raiseFloor(), "nothing to raise")
	require.NoError(t, b.closeDoor())
	require.NoError(t, b.openData())
	b.ready()
	b.until(t, "boot.ready")
	require.Eventually(t, func() bool {
		stored, err := seal.Load(c.state)
		return err == nil && len(stored.Blobs) == 1
	}, 10*time.Second, 5*time.Millisecond, "both copies are the new one's")
	require.Equal(t, espupdate.Done, espupdate.Load(c.state).State)

	_, err = c.boot(15, false)
	require.ErrorIs(t, err, seal.ErrFloor)
	_, err = c.boot(16, false)
	require.NoError(t, err, "the other committed release opens it")
}

// The floor is raised at the next boot when the power went between the commit and the raising.
func TestFloorIsCaughtUp(t *testing.T) {
	c := newChain(t)
	c.file = &memoryFile{petest.Signed(t, "..", 1, 4096, "one", "two")}
	b, err := c.boot(17, false)
	require.NoError(t, err)
	require.NoError(t, b.closeDoor())
	require.NoError(t, b.openData())
	_, err = b.change(func(r slot.Record) (slot.Record, error) { return slot.MarkReady(r, slot.B, 17, manifest(2)) })
	require.NoError(t, err)

	b, err = c.boot(17, false)
	require.NoError(t, err)
	floor, err := b.machine.tpm.Floor()
	require.NoError(t, err)
	require.Zero(t, floor)
	require.NoError(t, b.raiseFloor())
	require.EqualValues(t, 16, b.floor.Load())
}
