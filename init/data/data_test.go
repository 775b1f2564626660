package data

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/xts"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/seal"
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
	data []byte // nil: a sync
}

type bench struct {
	state, disk []byte
	log         []write
	say         []string
	pcrs        seal.Boot
	mounted     bool
	noTPM       error
	grow        error
}

func newBench() *bench {
	return &bench{state: make([]byte, 2*layout.MiB), disk: make([]byte, diskSize)}
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
	m.b.log = append(m.b.log, write{m.name, at, bytes.Clone(p)})
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

func (b *bench) Unseal(x seal.Blob, _ seal.Approval) ([]byte, error) {
	if x.At != b.pcrs {
		return nil, errors.New("the boot image is another")
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
	p := New(Parts{
		State: medium{b, "state", b.state}, Disk: medium{b, "data", b.disk}, TPM: b, Volume: v,
		Random:   rand.NewChaCha8([32]byte{1}),
		Empty:    func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(emptyFS())), nil },
		Say:      func(s string) { b.say = append(b.say, s) },
		Progress: func() {},
	})
	if err := p.Unlock(); err != nil {
		return v, err
	}
	err := p.Open()
	if p.secret.key != [64]byte{} {
		return v, errors.New("the key was not wiped")
	}
	return v, err
}

func (b *bench) stored(t *testing.T) secret {
	t.Helper()
	s, err := seal.Load(medium{b, "state", b.state})
	require.NoError(t, err)
	got, err := parseSecret(s.Blobs[0].Private)
	require.NoError(t, err)
	return got
}

func (b *bench) requireGood(t *testing.T, v *vol) {
	t.Helper()
	require.True(t, b.mounted)
	require.Equal(t, stateMade, b.stored(t).state)
	first := make([]byte, sector)
	_, err := v.dev.ReadAt(first, 0)
	require.NoError(t, err)
	require.EqualValues(t, wholeFS, binary.LittleEndian.Uint64(first[64:]), "grown")
	require.NotContains(t, string(b.disk), string(fsMagic), "nothing readable lies on the disk")
}

func TestFirstBootAndLaterOnes(t *testing.T) {
	b := newBench()
	v, err := b.boot()
	require.NoError(t, err)
	b.requireGood(t, v)
	require.Contains(t, b.say, "first boot: making the data partition")

	// What a service wrote is there at the next boot, and nothing is written by opening.
	note := bytes.Repeat([]byte("sold"), sector/4)
	_, err = v.dev.WriteAt(note, 8*sector)
	require.NoError(t, err)
	b.say, b.log = nil, nil
	v, err = b.boot()
	require.NoError(t, err)
	b.requireGood(t, v)
	got := make([]byte, sector)
	_, err = v.dev.ReadAt(got, 8*sector)
	require.NoError(t, err)
	require.Equal(t, note, got)
	require.Empty(t, b.say)
	require.Empty(t, b.log)
	for i := range 2 { // both copies of the sealed key say that the partition was made
		at := []int64{layout.SealedCopy1, layout.SealedCopy2}[i]
		clearOther := *b
		clearOther.state = bytes.Clone(b.state)
		clear(clearOther.state[at : at+layout.SealedSize])
		require.Equal(t, stateMade, clearOther.stored(t).state)
	}
}

// Power is cut after each recorded write, within each write, and with each unsynced write missing: the next boot ends
// with a good partition, and once a service could have written, the partition is never made again.
func TestEveryPowerCutOfTheFirstBoot(t *testing.T) {
	whole := newBench()
	_, err := whole.boot()
	require.NoError(t, err)
	cuts := 0
	for n := range len(whole.log) + 1 {
		for _, how := range []string{"clean", "torn", "sector", "lost"} {
			b := replay(whole.log[:n], how)
			v, err := b.boot()
			require.NoError(t, err, "cut after write %d (%s)", n, how)
			b.requireGood(t, v)
			// And a second cut during the repair changes nothing.
			again := &bench{state: bytes.Clone(b.state), disk: bytes.Clone(b.disk)}
			v, err = again.boot()
			require.NoError(t, err)
			again.requireGood(t, v)
			cuts++
		}
	}
	t.Logf("%d cuts over %d writes and syncs", cuts, len(whole.log))
	require.Greater(t, cuts, 30)
}

// replay writes the log onto blank disks. Torn: of the last write only the first half arrives. Sector: only its first 512 bytes do. Lost: the
// last write before the cut that was not synced never arrives, the ones after it do.
func replay(log []write, how string) *bench {
	b := newBench()
	skip := -1
	if how == "lost" {
		for i := len(log) - 1; i >= 0 && log[i].data != nil; i-- {
			skip = i
		}
	}
	for i, w := range log {
		if w.data == nil || i == skip {
			continue
		}
		data := w.data
		if how == "torn" && i == len(log)-1 {
			data = data[:len(data)/2/512*512]
		}
		if how == "sector" && i == len(log)-1 {
			data = data[:min(len(data), 512)]
		}
		copy(map[string][]byte{"state": b.state, "data": b.disk}[w.disk][w.at:], data)
	}
	return b
}

// A sealed key that cannot be read on a disk in use is never replaced.
func TestDamagedKeyOfADiskInUse(t *testing.T) {
	b := made(t)
	for _, at := range []int64{layout.SealedCopy1, layout.SealedCopy2} {
		b.state[at+100] ^= 1
	}
	b.refuses(t, seal.ErrDamaged, "sealed key")
	copy(b.disk, make([]byte, layout.DataCrypt)) // not even when its header is gone, too
	b.refuses(t, seal.ErrDamaged, "sealed key")
}

func made(t *testing.T) *bench {
	t.Helper()
	b := newBench()
	_, err := b.boot()
	require.NoError(t, err)
	b.log = nil
	return b
}

// refuses boots and wants this error and not a single write.
func (b *bench) refuses(t *testing.T, want error, says string) {
	t.Helper()
	b.log = nil
	_, err := b.boot()
	require.Error(t, err)
	if want != nil {
		require.ErrorIs(t, err, want)
	}
	require.ErrorContains(t, err, says)
	require.Empty(t, b.log, "nothing may be written")
	require.False(t, b.mounted)
}

func TestNeverFormatsWhatWasInUse(t *testing.T) {
	b := made(t)
	clear(b.disk[:layout.DataCrypt])
	b.refuses(t, ErrHeader, "nothing is formatted")

	b = made(t)
	clear(b.state)
	b.refuses(t, ErrKeyLost, "sealed key is gone")

	b = made(t)
	for _, at := range []int64{layout.SealedCopy1, layout.SealedCopy2} {
		b.state[at+100] ^= 1
	}
	b.refuses(t, seal.ErrDamaged, "")

	b = made(t)
	b.pcrs.Image[0] = 1
	b.refuses(t, nil, "the boot image is another")

	b = made(t)
	b.noTPM = errors.New("no TPM")
	b.refuses(t, b.noTPM, "opening the data key")

	other := made(t)
	other.disk = made(t).disk
	h := Header{Identity: [16]byte{9}}
	require.NoError(t, pair().Store(medium{other, "data", other.disk}, h.Encode()))
	require.NoError(t, pair().Store(medium{other, "data", other.disk}, h.Encode()))
	other.refuses(t, ErrKey, "")

	b = newBench()
	copy(b.disk, "something else")
	b.refuses(t, ErrForeign, "neither empty nor ours")
}

func TestOneDamagedHeaderCopyIsNoHarm(t *testing.T) {
	for _, at := range []int64{copy1, copy2} {
		b := made(t)
		b.disk[at+80] ^= 1
		v, err := b.boot()
		require.NoError(t, err)
		b.requireGood(t, v)
	}
}

// A partition that became larger after it was made is filled at the next boot; when that fails, the shop opens on what
// there was.
func TestFileSystemOfASmallerDisk(t *testing.T) {
	b := made(t)
	key := b.stored(t).key
	_, err := b.crypt(key[:]).WriteAt(emptyFS()[:sector], 0)
	require.NoError(t, err)
	b.grow, b.say = errors.New("growing: no room"), nil
	_, err = b.boot()
	require.NoError(t, err)
	require.True(t, b.mounted)
	require.Contains(t, b.say, "growing: no room")
	b.grow = nil
	v, err := b.boot()
	require.NoError(t, err)
	b.requireGood(t, v)
}

func TestFirstBootThatCannotFinish(t *testing.T) {
	b := newBench()
	b.grow = errors.New("no room")
	_, err := b.boot()
	require.ErrorContains(t, err, "making the data partition: no room")
	require.Equal(t, stateMaking, b.stored(t).state)
	b.grow = nil
	v, err := b.boot()
	require.NoError(t, err)
	b.requireGood(t, v)

	b = newBench()
	b.noTPM = errors.New("no TPM")
	b.refuses(t, b.noTPM, "sealing")
}

func golden() (secret, Header) {
	s := secret{state: stateMade}
	for i := range s.identity {
		s.identity[i] = byte(i)
	}
	for i := range s.key {
		s.key[i] = byte(0x40 + i)
	}
	return s, s.header()
}

// Golden bytes: a register sold today must be read by the software of ten years from now.
func TestFormatIsFixed(t *testing.T) {
	s, h := golden()
	require.Equal(t, "choba data 1\ncipher aes-xts-plain64\nsector 4096\noffset 1048576\n"+
		"identity 000102030405060708090a0b0c0d0e0f\n"+
		"check "+goldenCheck+"\n", string(h.Encode()))
	require.Equal(t, "0102000102030405060708090a0b0c0d0e0f"+hex.EncodeToString(s.key[:]), hex.EncodeToString(s.encode()))
	block, err := frame.Encode(magic, 1, h.Encode(), headerSize)
	require.NoError(t, err)
	require.Equal(t, "43484f42412d444154412d3100000000", hex.EncodeToString(block[:16]))

	got, err := ParseHeader(h.Encode())
	require.NoError(t, err)
	require.Equal(t, h, got)
	back, err := parseSecret(s.encode())
	require.NoError(t, err)
	require.Equal(t, s, back)
}

func TestEveryAlteredByteIsRefused(t *testing.T) {
	s, h := golden()
	block, err := frame.Encode(magic, 1, h.Encode(), headerSize)
	require.NoError(t, err)
	for i := range block {
		bad := bytes.Clone(block)
		bad[i] ^= 0x20
		_, _, err := frame.Decode(magic, bad)
		require.Error(t, err, i)
	}
	text := h.Encode()
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 0x20
		if got, err := ParseHeader(bad); err == nil {
			require.NotEqual(t, h, got, i) // another digit: another header, which the check then refuses
		}
	}
	for _, bad := range [][]byte{nil, s.encode()[1:], append(s.encode(), 0), append([]byte{2}, s.encode()[1:]...), append([]byte{1, 9}, s.encode()[2:]...)} {
		_, err := parseSecret(bad)
		require.Error(t, err)
	}
}

func FuzzParseHeader(f *testing.F) {
	_, h := golden()
	f.Add(h.Encode())
	f.Add(bytes.ToUpper(h.Encode()))
	f.Add(append(h.Encode(), '\n'))
	f.Add(fmt.Appendf(nil, headerText, "00", "11"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ParseHeader(text)
		if err == nil {
			require.Equal(t, string(text), string(got.Encode()))
		}
	})
}
