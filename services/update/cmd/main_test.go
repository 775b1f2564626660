package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/keys/dev"
)

// What is missing or not well formed stops the start, with a reason.
func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	keys, err := dev.Ensure(filepath.Join(dir, "keys"))
	require.NoError(t, err)
	etc := filepath.Join(dir, "etc")
	require.NoError(t, os.Mkdir(etc, 0o700))
	const rows = "../../table/table.json"
	fails := func(want string, args ...string) {
		t.Helper()
		args = append([]string{"-etc", etc, "-data", filepath.Join(dir, "data"), "-table", rows}, args...)
		require.ErrorContains(t, run(context.Background(), args, &bytes.Buffer{}), want)
	}
	fails("not defined", "-x")
	fails("reading the service table", "-table", "nowhere")
	fails("reading the trust list")
	require.NoError(t, os.WriteFile(filepath.Join(etc, "trust.txt"), keys.Trust, 0o600))
	fails("reading the root of releases")
	require.NoError(t, os.WriteFile(filepath.Join(etc, "root.json"), []byte("{}"), 0o600))
	fails("opening the built-in root of trust")
}

// An image that names no server is no error; one that names it badly is.
func TestServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "update.json")
	log := logrus.New()
	log.SetOutput(&bytes.Buffer{})
	from, err := server(path, logrus.NewEntry(log))
	require.NoError(t, err)
	require.Nil(t, from)
	require.NoError(t, os.WriteFile(path, []byte(`{"url":"http://plain/"}`), 0o600))
	_, err = server(path, logrus.NewEntry(log))
	require.ErrorContains(t, err, "reading update.json")
}
