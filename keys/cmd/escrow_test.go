package main

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/keys/datakey"
	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/keys/escrow"
)

// The vendor's side with the development identity: from the stick's file, or from the block, to the code.
func TestShowCode(t *testing.T) {
	keys := t.TempDir()
	k, err := dev.Ensure(keys)
	require.NoError(t, err)
	block, code, err := escrow.Make(rand.Reader, datakey.Secret{State: datakey.Made, Identity: [16]byte{0xab}}, k.Escrow.Recipient().String())
	require.NoError(t, err)
	identity := filepath.Join(keys, "escrow.key")
	used := block
	used.Used, used.Last = 2, 9
	for name, file := range map[string][]byte{"letter": block.Vendor(), "block": block.Encode(), "used block": append(used.Encode(), 0, 0)} {
		path := filepath.Join(t.TempDir(), "blob")
		require.NoError(t, os.WriteFile(path, file, 0o600))
		var out bytes.Buffer
		require.NoError(t, run([]string{"escrow", "-identity", identity, path}, &out), name)
		require.Contains(t, out.String(), "register  ab00000000")
		require.Contains(t, out.String(), code.String())
		require.Equal(t, name == "used block", bytes.Contains(out.Bytes(), []byte("2 times, last 1970-01-01T00:00:09Z")))
		_, err := dev.Ensure(keys)
		require.NoError(t, err)
		stranger := t.TempDir()
		_, err = dev.Ensure(stranger)
		require.NoError(t, err)
		require.Error(t, run([]string{"escrow", "-identity", filepath.Join(stranger, "escrow.key"), path}, &out))
	}
	for _, args := range [][]string{{"escrow"}, {"escrow", "-identity", identity}, {"escrow", "-identity", "none", "none"}, {"escrow", "-identity", identity, identity}, {"escrow", "-x"}} {
		require.Error(t, run(args, &bytes.Buffer{}), "%v", args)
	}
}
