package verity

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLeaves(t *testing.T) {
	salt := []byte("a salt")
	for _, n := range []uint64{1, 2, 127, 128, 129, 300} {
		data := make([]byte, n*BlockSize)
		rand.NewChaCha8([32]byte{byte(n)}).Read(data)
		tree, root, err := Build(bytes.NewReader(data), n, salt)
		require.NoError(t, err)
		p := Params{Root: root, Salt: salt, Blocks: n, HashStart: n}
		leaves, err := Leaves(tree, p)
		require.NoError(t, err)
		require.Len(t, leaves, int(n))
		h := NewHasher(salt)
		for i, l := range leaves {
			require.Equal(t, h.Sum(data[i*BlockSize:][:BlockSize]), l)
		}
		_, err = Leaves(append(tree, 0), p)
		require.ErrorIs(t, err, ErrCorrupt)
		for i := 0; i < len(tree); i += 97 {
			tree[i] ^= 1
			_, err = Leaves(tree, p)
			require.ErrorIs(t, err, ErrCorrupt, "byte %d", i)
			tree[i] ^= 1
		}
	}
}
