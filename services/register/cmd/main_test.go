package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/services/register/pack"
)

// What is missing or not signed stops the start, with a reason.
func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	keys, err := dev.Ensure(filepath.Join(dir, "keys"))
	require.NoError(t, err)
	stranger, err := dev.Ensure(filepath.Join(dir, "stranger"))
	require.NoError(t, err)
	body, err := os.ReadFile("../pack/sample/shop.json")
	require.NoError(t, err)
	shop, err := pack.Parse(body)
	require.NoError(t, err)
	put := func(name string, data []byte, err error) string {
		require.NoError(t, err)
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, data, 0o600))
		return path
	}
	good, err := pack.Seal(shop, keys.Store)
	goodPack := put("good.pack", good, err)
	bad, err := pack.Seal(shop, stranger.Store)
	badPack := put("bad.pack", bad, err)
	trust := put("trust.txt", keys.Trust, nil)
	const rows = "../../table/table.json"
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no table":        {[]string{"-table", "nowhere"}, "reading the service table"},
		"no trust":        {[]string{"-table", rows, "-trust", "nowhere"}, "reading the trust list"},
		"no pack":         {[]string{"-table", rows, "-trust", trust, "-pack", "nowhere"}, "reading the store pack"},
		"a stranger's":    {[]string{"-table", rows, "-trust", trust, "-pack", badPack}, "opening the store pack"},
		"not under init":  {[]string{"-table", rows, "-trust", trust, "-pack", goodPack}, "taking over the listening socket"},
		"an unknown flag": {[]string{"-x"}, "not defined"},
	} {
		require.ErrorContains(t, run(context.Background(), c.args, &bytes.Buffer{}), c.want, name)
	}
}
