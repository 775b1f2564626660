package verity

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func sample(blocks uint64) []byte {
	b := make([]byte, blocks*BlockSize)
	r := rand.NewChaCha8([32]byte{byte(blocks)})
	_, _ = r.Read(b)
	return b
}

func salt() []byte { return bytes.Repeat([]byte{0x5a}, MaxSalt) }

// volume is data and tree as they lie on a slot, with their parameters.
func volume(t testing.TB, blocks uint64) ([]byte, Params) {
	data := sample(blocks)
	tree, root, err := Build(bytes.NewReader(data), blocks, salt())
	require.NoError(t, err)
	require.Equal(t, TreeBlocks(blocks)*BlockSize, uint64(len(tree)))
	return append(data, tree...), Params{Root: root, Salt: salt(), Blocks: blocks, HashStart: blocks}
}

// Golden: a root hash fixed for ever, computed by veritysetup as well (below).
func TestGolden(t *testing.T) {
	_, root, err := Build(bytes.NewReader(make([]byte, 3*BlockSize)), 3, salt())
	require.NoError(t, err)
	require.Equal(t, goldenRoot, root.String())
}

const goldenRoot = "011e3f538283400dbc335927b9b1a76db100b0f0f2ce73f960648ee79d9ad4d1"

// Debian's veritysetup is the oracle: same tree, same root, for sizes around each
// change of the number of levels.
func TestAsVeritysetup(t *testing.T) {
	const tool = "/sbin/veritysetup"
	if _, err := os.Stat(tool); err != nil {
		t.Skip("no veritysetup")
	}
	for _, blocks := range []uint64{2, 3, 127, 128, 129, 255, 1000, 128*128 - 1, 128 * 128, 128*128 + 1} {
		image, p := volume(t, blocks)
		dir := t.TempDir()
		data, tree := filepath.Join(dir, "data"), filepath.Join(dir, "tree")
		require.NoError(t, os.WriteFile(data, image[:blocks*BlockSize], 0o600))
		out, err := exec.Command(tool, "format", "--no-superblock", "--data-block-size=4096", "--hash-block-size=4096",
			fmt.Sprint("--data-blocks=", blocks), "--salt="+hex.EncodeToString(p.Salt), "--hash=sha256", data, tree).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), p.Root.String(), "%d blocks", blocks)
		want, err := os.ReadFile(tree)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, image[blocks*BlockSize:]), "%d blocks", blocks)
	}
}

func TestVerify(t *testing.T) {
	for _, blocks := range []uint64{1, 2, 128, 129, 300} {
		image, p := volume(t, blocks)
		require.NoError(t, Verify(bytes.NewReader(image), p))
		require.Error(t, Verify(bytes.NewReader(image[:len(image)-1]), p), "a byte short")
	}
}

// One changed byte in any block of data or tree is found and the block is named.
func TestEveryBlock(t *testing.T) {
	const blocks = 300
	image, p := volume(t, blocks)
	total := uint64(len(image) / BlockSize)
	require.Equal(t, uint64(blocks+4), total, "three leaves and the top")
	for i := range total {
		at := i*BlockSize + (i*977)%BlockSize
		image[at] ^= 1
		err := Verify(bytes.NewReader(image), p)
		require.ErrorIs(t, err, ErrCorrupt)
		kind := "data"
		if i >= blocks {
			kind = "hash"
		}
		require.EqualError(t, err, fmt.Sprintf("%s block %d is corrupted", kind, i))
		image[at] ^= 1
	}
	require.NoError(t, Verify(bytes.NewReader(image), p))
	p.Root[31] ^= 1
	require.ErrorIs(t, Verify(bytes.NewReader(image), p), ErrCorrupt)
	p.Root[31] ^= 1
	p.Salt = bytes.Repeat([]byte{1}, MaxSalt)
	require.ErrorIs(t, Verify(bytes.NewReader(image), p), ErrCorrupt)
}

func TestBuildRefuses(t *testing.T) {
	_, _, err := Build(strings.NewReader(""), 0, salt())
	require.Error(t, err)
	_, _, err = Build(bytes.NewReader(sample(2)), 3, salt())
	require.Error(t, err, "data is short")
	_, _, err = Build(bytes.NewReader(sample(2)), 2, make([]byte, MaxSalt+1))
	require.Error(t, err)
}

// The kernel's table, as drivers/dm loads it (Documentation/admin-guide/
// device-mapper/verity.rst).
func TestTable(t *testing.T) {
	p := Params{Root: Hash{0xab}, Salt: []byte{0xcd, 0xef}, Blocks: 10, HashStart: 10}
	require.Equal(t, "1 /dev/vda3 /dev/vda3 4096 4096 10 10 sha256 ab"+strings.Repeat("0", 62)+
		" cdef 3 panic_on_corruption root_hash_sig_key_desc choba:a", Table("/dev/vda3", p, "choba:a"))
	require.Equal(t, uint64(80), p.Sectors())
	p.Salt = nil
	require.Contains(t, Table("/dev/vda3", p, "k"), " - 3 ")
}

func FuzzVerify(f *testing.F) {
	image, p := volume(f, 130)
	f.Add(uint32(0), byte(1))
	f.Add(uint32(131*BlockSize), byte(0x80))
	f.Fuzz(func(t *testing.T, at uint32, flip byte) {
		i := int(at) % len(image)
		image[i] ^= flip
		err := Verify(bytes.NewReader(image), p)
		image[i] ^= flip
		if flip == 0 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, ErrCorrupt)
		}
	})
}
