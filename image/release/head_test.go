package release

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/verity"
)

const partition = 256 << 10

// slotDisk is a slot partition that loses power after a number of writes and
// flushes. What was not flushed before the cut is lost, or kept, as told.
type slotDisk struct {
	flushed, seen []byte
	left          int // operations until the power goes; -1 = for ever
}

var errPower = errors.New("power cut")

func newSlot() *slotDisk {
	return &slotDisk{flushed: make([]byte, partition), seen: make([]byte, partition), left: -1}
}

func (d *slotDisk) step() error {
	if d.left == 0 {
		return errPower
	}
	d.left--
	return nil
}

func (d *slotDisk) ReadAt(b []byte, off int64) (int, error) {
	return bytes.NewReader(d.seen).ReadAt(b, off)
}

func (d *slotDisk) WriteAt(b []byte, off int64) (int, error) {
	if err := d.step(); err != nil {
		copy(d.seen[off:], b[:len(b)/2]) // torn
		return len(b) / 2, err
	}
	return copy(d.seen[off:], b), nil
}

func (d *slotDisk) Sync() error {
	if err := d.step(); err != nil {
		return err
	}
	copy(d.flushed, d.seen)
	return nil
}

func write(d *slotDisk, m Manifest, signed []byte, parts map[Part][]byte) error {
	return WriteSlot(d, partition, m, signed, bytes.NewReader(parts[PartEROFS]), bytes.NewReader(parts[PartTree]))
}

func TestHeadGolden(t *testing.T) {
	head, err := EncodeHead([]byte("note\n"))
	require.NoError(t, err)
	require.Len(t, head, layout.HeadSize)
	require.Equal(t, "43484f42412d484541442d3100000000"+"0000000000000000"+"05000000"+"00000000", hex.EncodeToString(head[:32]))
	require.Equal(t, "note\n", string(head[64:69]))
	_, err = EncodeHead(nil)
	require.Error(t, err)
	_, err = EncodeHead(make([]byte, MaxNote+1))
	require.Error(t, err)
}

func TestWriteSlot(t *testing.T) {
	_, m, parts, signed := testRelease(t)
	d := newSlot()
	_, err := ReadHead(d, partition)
	require.ErrorIs(t, err, frame.ErrEmpty)
	require.NoError(t, write(d, m, signed, parts))
	require.Equal(t, d.seen, d.flushed)
	got, err := ReadHead(d, partition)
	require.NoError(t, err)
	require.Equal(t, signed, got)
	require.NoError(t, verity.Verify(d, m.Verity), "data and tree lie as the kernel wants them")

	parts[PartTree][5] ^= 1
	err = write(d, m, signed, parts)
	require.ErrorIs(t, err, ErrAltered)
	_, err = ReadHead(d, partition)
	require.ErrorIs(t, err, frame.ErrEmpty, "a slot that was not finished has no head")
	require.ErrorIs(t, WriteSlot(newSlot(), partition, m, signed, bytes.NewReader(nil), bytes.NewReader(nil)), io.ErrUnexpectedEOF)
	require.ErrorContains(t, WriteSlot(newSlot(), layout.HeadSize, m, signed, nil, nil), "the release needs")
	_, err = ReadHead(bytes.NewReader(nil), partition)
	require.Error(t, err)
}

// Power cut at every write and flush while one release replaces another: the slot
// has no head, or a head whose content verifies. It never shows the old head over
// new content, nor the new head over old content.
func TestWriteSlotPowerCut(t *testing.T) {
	_, oldM, oldParts, oldSigned := testRelease(t)
	v := testVendor(t)
	newM, newParts := testParts(t)
	for i := range newParts[PartEROFS] {
		newParts[PartEROFS][i] ^= 0xff
	}
	tree, root, err := verity.Build(bytes.NewReader(newParts[PartEROFS]), 3, newM.Verity.Salt)
	require.NoError(t, err)
	newParts[PartTree] = tree
	newM.Version, newM.EROFS, newM.Tree, newM.Verity.Root = 8, Sum(newParts[PartEROFS]), Sum(tree), root
	newSigned, err := Sign(newM, v.signers[:2]...)
	require.NoError(t, err)

	states := map[string]int{}
	for cut := 0; ; cut++ {
		d := newSlot()
		require.NoError(t, write(d, oldM, oldSigned, oldParts))
		d.left = cut
		err := write(d, newM, newSigned, newParts)
		for name, data := range map[string][]byte{"kept": d.seen, "lost": d.flushed} {
			state := slotState(t, v, data)
			require.NotEqual(t, "mixed", state, "cut %d, unflushed %s", cut, name)
			states[state]++
		}
		if err == nil {
			break
		}
		require.ErrorIs(t, err, errPower)
	}
	for _, want := range []string{"none", "old", "new"} {
		require.NotZero(t, states[want], "%v", states)
	}
}

func slotState(t *testing.T, v vendor, data []byte) string {
	d := bytes.NewReader(data)
	head, err := ReadHead(d, partition)
	if err != nil {
		return "none"
	}
	r, err := Check(v.root, head, Register{Hardware: HardwarePC})
	require.NoError(t, err)
	if verity.Verify(d, r.Verity) != nil {
		return "mixed"
	}
	return map[uint64]string{7: "old", 8: "new"}[r.Version]
}

// Any changed byte of the head is noticed before a signature is even looked at.
func TestEveryByteOfTheHead(t *testing.T) {
	_, _, _, signed := testRelease(t)
	head, err := EncodeHead(signed)
	require.NoError(t, err)
	for i := 0; i < len(head); i += 1 + i/4096 { // each byte of the first blocks, then ever fewer of the padding
		head[i] ^= 4
		_, err := ReadHead(bytes.NewReader(head), layout.HeadSize)
		require.Error(t, err, "byte %d", i)
		head[i] ^= 4
	}
	bundle, err := encodeHead(bundleMagic, signed)
	require.NoError(t, err)
	_, err = ReadHead(bytes.NewReader(bundle), layout.HeadSize)
	require.ErrorIs(t, err, frame.ErrMagic, "a bundle's head is no slot's head")
}

func bundle(t testing.TB, m Manifest, signed []byte, parts map[Part][]byte) []byte {
	var b bytes.Buffer
	from := Sources{}
	for p, data := range parts {
		from[p] = bytes.NewReader(data)
	}
	require.NoError(t, WriteBundle(&b, m, signed, from))
	return b.Bytes()
}

// unpack reads a bundle as a register does: open, check, extract.
func unpack(v vendor, file []byte) (map[Part][]byte, error) {
	b, err := OpenBundle(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	r, err := Check(v.root, b.Signed, Register{Hardware: HardwarePC})
	if err != nil {
		return nil, err
	}
	out := map[Part]*bytes.Buffer{}
	err = b.Extract(r.Manifest, func(p PartFile) (io.Writer, error) {
		out[p.Part] = &bytes.Buffer{}
		return out[p.Part], nil
	})
	got := map[Part][]byte{}
	for p, b := range out {
		got[p] = b.Bytes()
	}
	return got, err
}

func TestBundle(t *testing.T) {
	v, m, parts, signed := testRelease(t)
	file := bundle(t, m, signed, parts)
	require.Equal(t, "CHOBA-BUNDLE-1\x00\x00", string(file[:16]))
	require.Len(t, file, layout.HeadSize+3*4096+4096+13+2)
	got, err := unpack(v, file)
	require.NoError(t, err)
	require.Equal(t, parts, got)

	b, err := OpenBundle(bytes.NewReader(file))
	require.NoError(t, err)
	require.NoError(t, b.Extract(m, func(PartFile) (io.Writer, error) { return nil, nil }), "checking without keeping")
	b, err = OpenBundle(bytes.NewReader(file))
	require.NoError(t, err)
	stop := errors.New("disk full")
	require.ErrorIs(t, b.Extract(m, func(PartFile) (io.Writer, error) { return nil, stop }), stop)
}

// Every altered byte of a bundle is refused with a reason.
func TestEveryByteOfTheBundle(t *testing.T) {
	v, m, parts, signed := testRelease(t)
	file := bundle(t, m, signed, parts)
	for i := 0; i < len(file); {
		file[i] ^= 1
		_, err := unpack(v, file)
		require.Error(t, err, "byte %d", i)
		require.Greater(t, len(err.Error()), 10, "byte %d", i)
		file[i] ^= 1
		switch { // the inside of what one checksum covers is sampled
		case i > 2048 && i < layout.HeadSize-64:
			i += 61
		case i > layout.HeadSize+64 && i < len(file)-64:
			i += 7
		default:
			i++
		}
	}
	for _, n := range []int{0, 100, layout.HeadSize, layout.HeadSize + 1, len(file) - 1} {
		_, err := unpack(v, file[:n])
		require.Error(t, err, "cut to %d", n)
	}
	_, err := unpack(v, append(bytes.Clone(file), 0))
	require.ErrorIs(t, err, ErrAltered, "a byte behind the end")
}

func TestWriteBundleRefuses(t *testing.T) {
	_, m, parts, signed := testRelease(t)
	require.Error(t, WriteBundle(io.Discard, m, signed, Sources{}), "parts missing")
	from := Sources{PartEROFS: bytes.NewReader(parts[PartTree])}
	require.Error(t, WriteBundle(io.Discard, m, signed, from), "wrong part")
	require.Error(t, WriteBundle(io.Discard, m, nil, from), "no manifest")
}

func FuzzBundle(f *testing.F) {
	v, m, parts, signed := testRelease(f)
	f.Add(bundle(f, m, signed, parts))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := unpack(v, file)
		if err == nil {
			require.Equal(t, fmt.Sprint(parts), fmt.Sprint(got))
		}
	})
}
