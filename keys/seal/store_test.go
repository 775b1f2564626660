package seal

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// partition is a state partition in memory whose power goes after some writes.
type partition struct {
	data   []byte
	writes int  // still allowed
	torn   bool // the last one is cut off after 100 bytes
}

func newPartition() *partition { return &partition{data: make([]byte, 4<<20), writes: -1} }

func (p *partition) ReadAt(b []byte, off int64) (int, error) {
	return bytes.NewReader(p.data).ReadAt(b, off)
}

func (p *partition) WriteAt(b []byte, off int64) (int, error) {
	if p.writes == 0 {
		if p.torn {
			copy(p.data[off:], b[:100])
		}
		return 0, io.ErrShortWrite
	}
	p.writes--
	return copy(p.data[off:], b), nil
}

func (p *partition) Sync() error { return nil }

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

func TestStore(t *testing.T) {
	p := newPartition()
	_, err := Load(p)
	require.ErrorIs(t, err, ErrNone)
	for n := byte(1); n < 6; n++ {
		require.NoError(t, Save(p, testBlob(n)))
		s, err := Load(p)
		require.NoError(t, err)
		require.Empty(t, s.Trouble)
		require.Equal(t, testBlob(n), s.Blobs[0])
		if n > 1 {
			require.Equal(t, []Blob{testBlob(n), testBlob(n - 1)}, s.Blobs)
		}
	}
}

// TestStorePowerCut: whatever moment the power goes, the key before or the new one is there.
func TestStorePowerCut(t *testing.T) {
	for _, torn := range []bool{false, true} {
		p := newPartition()
		require.NoError(t, Save(p, testBlob(1)))
		for n := byte(2); n < 6; n++ {
			p.writes, p.torn = 0, torn
			require.Error(t, Save(p, testBlob(n)))
			p.writes = -1
			s, err := Load(p)
			require.NoError(t, err)
			require.Equal(t, testBlob(n-1), s.Blobs[0])
			require.Equal(t, torn, s.Trouble != "", s.Trouble)
			require.NoError(t, Save(p, testBlob(n)))
		}
	}
}

// TestStoreCorruption: every altered byte is noticed, and two bad copies are never a first boot.
func TestStoreCorruption(t *testing.T) {
	p := newPartition()
	require.NoError(t, Save(p, testBlob(1)))
	require.NoError(t, Save(p, testBlob(2)))
	for i := range CopySize {
		p.data[Copy2Offset+i] ^= 0x10
		s, err := Load(p)
		require.NoError(t, err)
		require.Equal(t, []Blob{testBlob(1)}, s.Blobs, "byte %d", i)
		require.Contains(t, s.Trouble, "copy 2", "byte %d", i)
		p.data[Copy2Offset+i] ^= 0x10
	}
	p.data[Copy1Offset+70] ^= 1
	p.data[Copy2Offset+70] ^= 1
	_, err := Load(p)
	require.ErrorIs(t, err, ErrDamaged)
	clear(p.data[Copy1Offset : Copy1Offset+CopySize])
	_, err = Load(p)
	require.ErrorIs(t, err, ErrDamaged, "one blank, one bad")
	require.False(t, errors.Is(err, ErrNone))
}

func TestStoreShortDisk(t *testing.T) {
	_, err := Load(bytes.NewReader(make([]byte, Copy1Offset)))
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

func FuzzParseCopy(f *testing.F) {
	f.Add(encodeCopy(1, testBlob(1).Encode()))
	f.Add(make([]byte, CopySize))
	f.Add([]byte(storeMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := parseCopy(data)
		if c.err == nil {
			require.Equal(t, data, encodeCopy(c.generation, c.blob.Encode()))
		}
	})
}
