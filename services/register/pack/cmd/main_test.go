package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/services/register/pack"
)

func TestRun(t *testing.T) {
	const shop = "../sample/shop.json"
	require.NoError(t, run([]string{"-shop", shop}), "checking only")
	keys, out := filepath.Join(t.TempDir(), "keys"), filepath.Join(t.TempDir(), "a", "shop.pack")
	require.NoError(t, run([]string{"-shop", shop, "-keys", keys, "-o", out}))
	k, err := dev.Ensure(keys)
	require.NoError(t, err)
	root, err := trust.Parse(k.Trust)
	require.NoError(t, err)
	file, err := os.ReadFile(out)
	require.NoError(t, err)
	p, err := pack.Open(root, file)
	require.NoError(t, err)
	require.Equal(t, "駅前商店 本店", p.Shop.Name)
	require.NoError(t, run([]string{"-shop", shop, "-keys", keys, "-o", out}))
	again, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, file, again, "the same shop and key give the same bytes")
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	body, err := os.ReadFile("../sample/shop.json")
	require.NoError(t, err)
	bad := filepath.Join(t.TempDir(), "shop.json")
	require.NoError(t, os.WriteFile(bad, []byte(strings.Replace(string(body), `"price": 138`, `"price": -138`, 1)), 0o600))
	out := filepath.Join(t.TempDir(), "shop.pack")
	require.ErrorContains(t, run([]string{"-shop", bad, "-o", out}), "articles[0].price: -138")
	_, err = os.Stat(out)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Error(t, run([]string{"-shop", "nowhere.json"}))
}
