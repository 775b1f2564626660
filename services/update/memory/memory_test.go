package memory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/update/stage"
)

var _ stage.Memory = Folder{}

func notes() Notes {
	return Notes{Refused: Refusal{Version: 15, Name: "1.5.0", Manifest: strings.Repeat("ab", 32), Why: "版 15 <needs> schema 3"}, Told: "15"}
}

func TestGolden(t *testing.T) {
	data, err := notes().Encode()
	require.NoError(t, err)
	require.Len(t, data, size)
	require.Equal(t, "CHOBA-UPDATE-1\x00\x00", string(data[:16]))
	require.Equal(t, `{"refused":{"version":15,"name":"1.5.0","manifest":"`+strings.Repeat("ab", 32)+
		`","why":"版 15 \u003cneeds\u003e schema 3"},"told":"15"}`+"\n", strings.TrimRight(string(data[64:]), "\x00"))
	back, err := Parse(data)
	require.NoError(t, err)
	require.Equal(t, notes(), back)
}

func TestEveryOneByteChangeIsRefused(t *testing.T) {
	data, err := notes().Encode()
	require.NoError(t, err)
	for i := range data {
		data[i] ^= 1 << (i % 8)
		_, err := Parse(data)
		require.Error(t, err, "byte %d", i)
		data[i] ^= 1 << (i % 8)
	}
	for n := range data {
		if n%97 == 0 {
			_, err := Parse(data[:n])
			require.Error(t, err)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	f := At(dir)
	n, err := f.Notes()
	require.NoError(t, err)
	require.Zero(t, n)
	require.NoError(t, f.SetNotes(notes()))
	n, err = At(dir).Notes()
	require.NoError(t, err)
	require.Equal(t, notes(), n)

	long := notes()
	long.Refused.Why = strings.Repeat("版", 5000) + "\xff"
	require.NoError(t, f.SetNotes(long))
	n, err = f.Notes()
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("版", 333), n.Refused.Why)

	require.NoError(t, os.WriteFile(filepath.Join(dir, notesFile), []byte("torn"), 0o600))
	n, err = f.Notes()
	require.Error(t, err)
	require.Zero(t, n)
	require.NoError(t, os.WriteFile(filepath.Join(dir, notesFile), make([]byte, size+1), 0o600))
	_, err = f.Notes()
	require.Error(t, err)
	require.NoError(t, f.SetNotes(Notes{}))

	require.Nil(t, f.Load("aa"))
	require.NoError(t, f.Store("aa", []byte("one")))
	require.NoError(t, f.Store("bb", []byte("two")))
	require.Nil(t, f.Load("aa"), "only the last one is kept")
	require.Equal(t, []byte("two"), f.Load("bb"))
	require.NoError(t, f.Store("cc", make([]byte, maxTree+1)))
	require.Nil(t, f.Load("cc"))
	require.Error(t, At(dir+"/none").SetNotes(Notes{}))
	require.Error(t, At(dir+"/none").Store("x", nil))
}

func FuzzParse(f *testing.F) {
	data, err := notes().Encode()
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := Parse(data)
		if err != nil {
			return
		}
		again, err := n.Encode()
		require.NoError(t, err)
		require.Equal(t, data, again)
	})
}
