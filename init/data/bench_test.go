package data

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/xts"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/datakey"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/seal/sealtest"
)

// A bench: memory for the two partitions, a TPM of three lines, dm-crypt in Go, and a "file system" whose size stands
// in its first block. Every write is recorded, so that each point of a power cut can be gone back to.

const (
	diskSize = 3 * layout.MiB
	fsSize   = 256 * layout.KiB // of the empty file system as shipped
)

type write struct {
	disk string
	at   int64
	data []byte          // nil: a sync
	tpm  sealtest.Memory // not nil: a TPM command, after which the TPM kept this
}

func (w write) sync() bool { return w.data == nil && w.tpm == nil }

type bench struct {
	state, disk []byte
	log         []write
	say         []string
	pcrs        seal.Boot
	mounted     bool
	noTPM       error
	grow        error

	// What the vendor's rules and the machine are like.
	withoutTPM, mayLack bool
	escrow              string

	// The TPM's owner and floor; none is nil.
	owner *seal.OwnerSecret
	floor *uint64
	next  *seal.Boot // Reseal to this after Unlock
	last  *Partition

	// A real TPM in place of the three lines; nil is none.
	chip  *sealtest.Chip
	by    seal.Approval
	boots byte

	ownFails error
}

func newBench() *bench {
	return &bench{escrow: "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg", state: make([]byte, 4*layout.MiB), disk: make([]byte, diskSize)}
}

type medium struct {
	b    *bench
	name string
	data []byte
}

func (m medium) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > int64(len(m.data)) {
		return 0, io.EOF
	}
	return copy(p, m.data[at:]), nil
}

func (m medium) WriteAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > int64(len(m.data)) {
		return 0, io.ErrShortWrite
	}
	m.b.log = append(m.b.log, write{disk: m.name, at: at, data: bytes.Clone(p)})
	return copy(m.data[at:], p), nil
}

func (m medium) Sync() error {
	m.b.log = append(m.b.log, write{disk: m.name})
	return nil
}

// The TPM of the bench keeps secrets in the open and looks at the boot values.
func (b *bench) Boot() (seal.Boot, error) { return b.pcrs, b.noTPM }

func (b *bench) Seal(secret, pkix []byte, at seal.Boot) (seal.Blob, error) {
	if b.noTPM != nil {
		return seal.Blob{}, b.noTPM
	}
	return seal.Blob{At: at, Public: bytes.Repeat([]byte("public"), 80), Private: bytes.Clone(secret)}, nil
}

func (b *bench) Owned() (bool, error) { return b.owner != nil, b.noTPM }

func (b *bench) Prepare(floor uint64) error {
	if b.owner != nil {
		return seal.ErrOwned
	}
	if b.floor == nil {
		b.floor = &floor
	}
	return b.noTPM
}

func (b *bench) Own(s seal.OwnerSecret, floor uint64) error {
	if b.owner != nil && *b.owner != s {
		return seal.ErrOwned
	}
	if b.floor == nil {
		b.floor = &floor
	}
	if b.ownFails != nil {
		return b.ownFails
	}
	b.owner = &s
	return b.noTPM
}

func (b *bench) Unseal(x seal.Blob, _ seal.Approval) ([]byte, error) {
	if x.At != b.pcrs {
		return nil, errors.New("the boot image is another")
	}
	if b.floor == nil {
		return nil, seal.ErrNoFloor
	}
	return bytes.Clone(x.Private), b.noTPM
}

// inside is the bench's dm-crypt: aes-xts-plain64 in sectors of 4096 bytes from layout.DataCrypt on.
type inside struct {
	b *bench
	c *xts.Cipher
}

const sector = 4096

const goldenCheck = "c16258b7d14ca0479f6fe110d6a812c4774c287b8ce3b70feb82095cb6f6158c"

func (b *bench) crypt(key []byte) inside {
	c, err := xts.NewCipher(aes.NewCipher, key)
	if err != nil {
		panic(err)
	}
	return inside{b, c}
}

func (i inside) raw() medium { return medium{i.b, "data", i.b.disk} }

func (i inside) ReadAt(p []byte, at int64) (int, error) {
	if _, err := i.raw().ReadAt(p, layout.DataCrypt+at); err != nil {
		return 0, err
	}
	for o := 0; o < len(p); o += sector {
		i.c.Decrypt(p[o:o+sector], p[o:o+sector], uint64(at+int64(o))/512)
	}
	return len(p), nil
}

func (i inside) WriteAt(p []byte, at int64) (int, error) {
	out := make([]byte, len(p))
	for o := 0; o < len(p); o += sector {
		i.c.Encrypt(out[o:o+sector], p[o:o+sector], uint64(at+int64(o))/512)
	}
	return i.raw().WriteAt(out, layout.DataCrypt+at)
}

func (i inside) Sync() error { return i.raw().Sync() }

// vol is the bench's Volume.
type vol struct {
	b   *bench
	dev *inside
}

func (v *vol) Open(key []byte) (frame.Device, error) {
	d := v.b.crypt(key)
	v.dev = &d
	clear(key)
	return d, nil
}

var fsMagic = []byte("bench file system, blocks: ")

func emptyFS() []byte {
	img := bytes.Repeat([]byte("."), fsSize)
	copy(img, fsMagic)
	binary.LittleEndian.PutUint64(img[64:], fsSize/sector)
	return img
}

func (v *vol) Mount() error {
	first := make([]byte, sector)
	if _, err := v.dev.ReadAt(first, 0); err != nil {
		return err
	}
	if !bytes.HasPrefix(first, fsMagic) {
		return errors.New("no file system")
	}
	v.b.mounted = true
	return nil
}

const wholeFS = (diskSize - layout.DataCrypt) / sector

// Grow writes at the end of the device and then into the first block, as ext4 does.
func (v *vol) Grow() error {
	if v.b.grow != nil {
		return v.b.grow
	}
	first := make([]byte, sector)
	if _, err := v.dev.ReadAt(first, 0); err != nil {
		return err
	}
	if binary.LittleEndian.Uint64(first[64:]) == uint64(wholeFS) {
		return nil
	}
	if _, err := v.dev.WriteAt(bytes.Repeat([]byte("e"), sector), (wholeFS-1)*sector); err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(first[64:], uint64(wholeFS))
	if _, err := v.dev.WriteAt(first, 0); err != nil {
		return err
	}
	return v.dev.Sync()
}

// boot is one boot of the bench; it gives the opened inside.
func (b *bench) boot() (*vol, error) {
	v := &vol{b: b}
	b.mounted = false
	b.boots++
	p := New(Parts{
		State: medium{b, "state", b.state}, Disk: medium{b, "data", b.disk}, TPM: b, By: b.by, Volume: v,
		Random:   rand.NewChaCha8([32]byte{b.boots}),
		Empty:    func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(emptyFS())), nil },
		Say:      func(s string) { b.say = append(b.say, s) },
		Progress: func() {},
		NoTPM:    b.mayLack, Escrow: b.escrow,
	})
	b.last = p
	if b.withoutTPM {
		p.parts.TPM = nil
	}
	var chip *seal.TPM
	if b.chip != nil {
		chip = seal.New(b.chip)
		p.parts.TPM = chip
	}
	if err := p.Unlock(); err != nil {
		return v, err
	}
	if b.next != nil {
		if err := p.Reseal(*b.next); err != nil {
			return v, err
		}
	}
	if chip != nil {
		if err := chip.Measure(seal.DoorClosed()); err != nil {
			return v, err
		}
	}
	err := p.Open()
	if p.secret.Key != [64]byte{} {
		return v, errors.New("the key was not wiped")
	}
	return v, err
}

func (b *bench) stored(t *testing.T) datakey.Secret {
	t.Helper()
	s, err := seal.Load(medium{b, "state", b.state})
	require.NoError(t, err)
	got, err := datakey.Parse(s.Blobs[0].Private)
	require.NoError(t, err)
	return got
}

func (b *bench) requireGood(t *testing.T, v *vol) {
	t.Helper()
	require.True(t, b.mounted)
	require.Equal(t, datakey.Made, b.stored(t).State)
	first := make([]byte, sector)
	_, err := v.dev.ReadAt(first, 0)
	require.NoError(t, err)
	require.EqualValues(t, wholeFS, binary.LittleEndian.Uint64(first[64:]), "grown")
	require.NotContains(t, string(b.disk), string(fsMagic), "nothing readable lies on the disk")
}
