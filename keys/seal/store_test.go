package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/layout"
)

const stateSize = 5 << 18 // of the state partition, only what the keys need

func testBlob(n byte) Blob {
	return Blob{At: Boot{Image: Digest{n}, SecureBoot: Digest{2}}, PolicyKey: Digest{3},
		Public: []byte{4, 5, n}, Private: bytes.Repeat([]byte{n}, 200)}
}

func TestBlobGolden(t *testing.T) {
	b := Blob{At: Boot{Image: Digest{0: 1, 31: 2}, SecureBoot: Digest{0: 3}}, PolicyKey: Digest{0: 4}, Public: []byte("pub"), Private: []byte("priv")}
	want := "CHOBAKEY" + "\x00\x01" +
		"\x01" + string(make([]byte, 30)) + "\x02" + "\x03" + string(make([]byte, 31)) + "\x04" + string(make([]byte, 31)) +
		"\x00\x03pub" + "\x00\x04priv"
	require.Equal(t, want, string(b.Encode()))
	got, err := ParseBlob([]byte(want))
	require.NoError(t, err)
	require.Equal(t, b, got)
}

// TestStoredGolden: the bytes of a copy. Everything after the head is the blob and zeros.
func TestStoredGolden(t *testing.T) {
	d := frametest.New(stateSize)
	require.NoError(t, Save(d, testBlob(7)))
	copy1, copy2 := d.Data[1<<20:][:4096], d.Data[1<<20+64<<10:][:4096]
	blob := testBlob(7).Encode()
	require.Equal(t, "43484f42412d4b45592d310000000000"+"0100000000000000"+"39010000"+"00000000"+
		"ea949ab1980d51ae7560d80e2d61a3fcf325b56c63dd6322bdc89e1dd1ad77e3", hex.EncodeToString(copy1[:64]))
	require.Equal(t, blob, copy1[64:64+len(blob)])
	require.Empty(t, bytes.TrimRight(copy1[64+len(blob):], "\x00"))
	require.EqualValues(t, 2, copy2[16], "a fresh key is written to both copies")
	require.Equal(t, copy1[64:], copy2[64:])
}

func TestStore(t *testing.T) {
	d := frametest.New(stateSize)
	_, err := Load(d)
	require.ErrorIs(t, err, ErrNone)
	for n := byte(1); n < 6; n++ {
		require.NoError(t, Save(d, testBlob(n)))
		s, err := Load(d)
		require.NoError(t, err)
		require.Empty(t, s.Trouble)
		want := []Blob{testBlob(n)}
		if n > 1 {
			want = append(want, testBlob(n-1))
		}
		require.Equal(t, want, s.Blobs)
	}
}

// TestStorePowerCut: the power goes after every sector, and the sectors come in either order. The key
// before or the new one is there, and one that is torn is told.
func TestStorePowerCut(t *testing.T) {
	const sectors = layout.SealedSize / layout.Sector
	for _, reverse := range []bool{false, true} {
		d := frametest.New(stateSize)
		require.NoError(t, Save(d, testBlob(1)))
		d.Reverse = reverse
		for n := byte(2); n < 6; n++ {
			for cut := range sectors + 1 { // the last cut takes the flush
				c := d.Clone()
				c.Left = cut
				require.ErrorIs(t, Save(c, testBlob(n)), frametest.ErrPower)
				c.Left = -1
				s, err := Load(c)
				require.NoError(t, err)
				require.Contains(t, []Blob{testBlob(n - 1), testBlob(n)}, s.Blobs[0])
				require.True(t, cut > 0 || s.Blobs[0].Public[2] == n-1)
				require.True(t, cut < sectors || s.Blobs[0].Public[2] == n)
				require.Equal(t, altered(d, c) && s.Blobs[0].Public[2] != n, s.Trouble != "", "cut %d: %s", cut, s.Trouble)
				require.NoError(t, Save(c, testBlob(n)))
				s, err = Load(c)
				require.NoError(t, err)
				require.Empty(t, s.Trouble)
				require.Equal(t, testBlob(n), s.Blobs[0])
			}
			require.NoError(t, Save(d, testBlob(n)))
		}
	}
}

// altered says whether a cut write left any trace at all.
func altered(before, after *frametest.Disk) bool { return !bytes.Equal(before.Data, after.Data) }

// TestFirstPowerCut: of the very first key, what is torn is damage and never a first boot.
func TestFirstPowerCut(t *testing.T) {
	const sectors = layout.SealedSize / layout.Sector
	for _, reverse := range []bool{false, true} {
		for cut := range 2*sectors + 1 {
			d := frametest.New(stateSize)
			d.Reverse, d.Left = reverse, cut
			require.ErrorIs(t, Save(d, testBlob(1)), frametest.ErrPower)
			d.Left = -1
			s, err := Load(d)
			switch {
			case !altered(frametest.New(stateSize), d):
				require.ErrorIs(t, err, ErrNone, "cut %d", cut)
			case cut < sectors && err != nil:
				require.ErrorIs(t, err, ErrDamaged, "cut %d", cut)
			default:
				require.NoError(t, err, "cut %d", cut)
				require.Equal(t, []Blob{testBlob(1)}, s.Blobs)
			}
		}
	}
}

// TestStoreCorruption: every altered byte is noticed, and two bad copies are never a first boot.
func TestStoreCorruption(t *testing.T) {
	d := frametest.New(stateSize)
	require.NoError(t, Save(d, testBlob(1)))
	require.NoError(t, Save(d, testBlob(2)))
	at := [2]int64{layout.SealedCopy1, layout.SealedCopy2}
	left := [2]Blob{testBlob(1), testBlob(2)} // when copy 1, copy 2 is damaged
	for c := range 2 {
		for i := range int64(layout.SealedSize) {
			d.Data[at[c]+i] ^= 0x10
			s, err := Load(d)
			require.NoError(t, err)
			require.Equal(t, []Blob{left[c]}, s.Blobs, "byte %d", i)
			require.Contains(t, s.Trouble, fmt.Sprintf("copy %d", c+1), "byte %d", i)
			d.Data[at[c]+i] ^= 0x10
		}
	}
	d.Data[at[0]+70] ^= 1
	d.Data[at[1]+70] ^= 1
	_, err := Load(d)
	require.ErrorIs(t, err, ErrDamaged)
	clear(d.Data[at[0]:][:layout.SealedSize])
	_, err = Load(d)
	require.ErrorIs(t, err, ErrDamaged, "one blank, one bad")
	require.False(t, errors.Is(err, ErrNone))
}

// TestStoreStranger: a whole frame that holds no blob of ours neither hides the key beside it nor outlives it.
func TestStoreStranger(t *testing.T) {
	d := frametest.New(stateSize)
	require.NoError(t, Save(d, testBlob(1)))
	odd, err := frame.Encode(magic, 9, []byte("another version"), layout.SealedSize)
	require.NoError(t, err)
	copy(d.Data[layout.SealedCopy1:], odd)
	s, err := Load(d)
	require.NoError(t, err)
	require.Equal(t, []Blob{testBlob(1)}, s.Blobs)
	require.Contains(t, s.Trouble, "copy 1 of the sealed key: reading sealed key: not a sealed key")
	require.NoError(t, Save(d, testBlob(2)))
	s, err = Load(d)
	require.NoError(t, err)
	require.Equal(t, Stored{Blobs: []Blob{testBlob(2), testBlob(1)}, Whole: true}, s)
	copy(d.Data[layout.SealedCopy1:], odd)
	copy(d.Data[layout.SealedCopy2:], odd)
	_, err = Load(d)
	require.ErrorIs(t, err, ErrDamaged)
}

// TestStoreInTheOpen: the golden bytes of a key without a TPM, and that a sealed key
// always goes before it.
func TestStoreInTheOpen(t *testing.T) {
	d := frametest.New(stateSize)
	require.NoError(t, SaveClear(d, []byte("open")))
	block, err := frame.Encode("CHOBA-CLEAR-1", 1, []byte("open"), 4096)
	require.NoError(t, err)
	require.Equal(t, block, d.Data[1<<20:][:4096])
	s, err := Load(d)
	require.NoError(t, err)
	require.Equal(t, Stored{Clear: []byte("open")}, s)
	for i := range int64(layout.SealedSize) { // one damaged copy is no harm, two are no first boot
		d.Data[layout.SealedCopy1+i] ^= 0x10
		s, err := Load(d)
		require.NoError(t, err)
		require.Equal(t, []byte("open"), s.Clear)
		d.Data[layout.SealedCopy1+i] ^= 0x10
	}
	bad := d.Clone()
	bad.Data[layout.SealedCopy1+70] ^= 1
	bad.Data[layout.SealedCopy2+70] ^= 1
	_, err = Load(bad)
	require.ErrorIs(t, err, ErrDamaged)

	require.Error(t, SaveClear(d, nil))
	require.Error(t, SaveClear(d, make([]byte, MaxSecret+1)))
	sealed := frametest.New(stateSize)
	require.NoError(t, Save(sealed, testBlob(1)))
	require.ErrorContains(t, SaveClear(sealed, []byte("open")), "there is a sealed one")
}

// TestSealInTheOpenPowerCut: at each cut of the sealing of an open key there is the
// one or the other; afterwards nothing of the open one is left.
func TestSealInTheOpenPowerCut(t *testing.T) {
	const sectors = layout.SealedSize / layout.Sector
	for _, reverse := range []bool{false, true} {
		for cut := range 2*sectors + 2 {
			d := frametest.New(stateSize)
			require.NoError(t, SaveClear(d, []byte("it lies in the open")))
			d.Reverse, d.Left = reverse, cut
			_ = Save(d, testBlob(1))
			d.Left = -1
			s, err := Load(d)
			require.NoError(t, err, "cut %d", cut)
			if len(s.Blobs) == 0 {
				require.Equal(t, []byte("it lies in the open"), s.Clear)
				require.NoError(t, Save(d, testBlob(1)))
			} else {
				require.Nil(t, s.Clear)
				require.Equal(t, testBlob(1), s.Blobs[0])
				require.Empty(t, s.Trouble)
				if s.Left {
					require.NoError(t, Save(d, testBlob(1)))
				}
			}
			s, err = Load(d)
			require.NoError(t, err)
			require.Equal(t, []Blob{testBlob(1)}, s.Blobs)
			require.False(t, s.Left)
			if s.Whole {
				require.NotContains(t, string(d.Data), "in the open")
			}
		}
	}
}

// TestSaveBeside: whichever copy opens today stays, at every cut.
func TestSaveBeside(t *testing.T) {
	for keep := byte(1); keep <= 2; keep++ {
		for cut := range layout.SealedSize/layout.Sector + 1 {
			d := frametest.New(stateSize)
			require.NoError(t, Save(d, testBlob(1)))
			require.NoError(t, Save(d, testBlob(2)))
			d.Left = cut
			require.ErrorIs(t, SaveBeside(d, testBlob(keep), testBlob(3)), frametest.ErrPower)
			d.Left = -1
			s, err := Load(d)
			require.NoError(t, err)
			require.Contains(t, s.Blobs, testBlob(keep))
			require.NoError(t, SaveBeside(d, testBlob(keep), testBlob(3)))
			s, err = Load(d)
			require.NoError(t, err)
			require.Equal(t, []Blob{testBlob(3), testBlob(keep)}, s.Blobs)
		}
	}
	require.ErrorIs(t, SaveBeside(frametest.New(stateSize), testBlob(1), testBlob(2)), frame.ErrUnreadable)
}

func TestSaveTooLong(t *testing.T) {
	b := testBlob(1)
	b.Private = make([]byte, layout.SealedSize)
	require.ErrorContains(t, Save(frametest.New(stateSize), b), "at most")
}

func TestStoreShortDisk(t *testing.T) {
	_, err := Load(bytes.NewReader(make([]byte, layout.SealedCopy1)))
	require.ErrorIs(t, err, ErrDamaged)
}

func FuzzParseBlob(f *testing.F) {
	f.Add(testBlob(1).Encode())
	f.Add([]byte(blobMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBlob(data)
		if err == nil {
			require.Equal(t, data, b.Encode())
		}
	})
}

// FuzzLoad: what is found in a copy is what Save would have put there.
func FuzzLoad(f *testing.F) {
	for _, payload := range [][]byte{testBlob(1).Encode(), []byte(blobMagic), nil} {
		block, err := frame.Encode(magic, 1, payload, layout.SealedSize)
		require.NoError(f, err)
		f.Add(block)
	}
	f.Add(make([]byte, layout.SealedSize))
	f.Fuzz(func(t *testing.T, block []byte) {
		d := frametest.New(stateSize)
		block = block[:min(len(block), layout.SealedSize)]
		copy(d.Data[layout.SealedCopy1:], block)
		s, err := Load(d)
		if err != nil {
			return
		}
		require.Len(t, s.Blobs, 1)
		payload, generation, err := frame.Decode(magic, d.Data[layout.SealedCopy1:][:layout.SealedSize])
		require.NoError(t, err)
		require.Equal(t, s.Blobs[0].Encode(), payload)
		again, err := frame.Encode(magic, generation, payload, layout.SealedSize)
		require.NoError(t, err)
		require.Equal(t, again, d.Data[layout.SealedCopy1:][:layout.SealedSize])
	})
}
