package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// copySources copies what git knows of, and what it would take, as it is now.
func copySources(t *testing.T, from, to string) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = from
	list, err := cmd.Output()
	require.NoError(t, err, "the sources are in a git clone")
	for _, name := range strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(from, name))
		if os.IsNotExist(err) {
			continue // removed, and not yet committed
		}
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(to, name), data, 0o644))
	}
}

// rebuild builds everything but the kernel, from one folder of sources into an empty
// results folder with an empty cache, and makes a repository of it at a fixed time.
func rebuild(t *testing.T, root, keys string) (out string) {
	dir := t.TempDir()
	c, err := configure([]string{"-root", root, "-out", filepath.Join(dir, "out"), "-cache", filepath.Join(dir, "cache"), "-keys", keys, "-version", "3"}, io.Discard)
	require.NoError(t, err)
	j := &job{config: c, boot: bootStub(), bootID: []byte(strings.Repeat("0", 64) + "\n")}
	_, err = j.stepPrograms(t.Context())
	require.NoError(t, err)
	j.finish(t)
	cmd := exec.CommandContext(t.Context(), "go", "run", "./image/cmd/release", "make", "-out", c.out, "-time", "2026-03-01T09:00:00Z")
	cmd.Dir, cmd.Env = root, append(goEnv(), "CHOBA_KEYS="+keys)
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	return c.out
}

// The same sources, keys and time give the same bundle, disk and repository, byte for
// byte, wherever the sources lie (A50). Every program is built and linked twice; only
// the Go tool's own cache of compiled packages is shared, which knows them by what
// they were compiled from. The kernel has a test of its own (image/kernel).
func TestRebuildIsEqual(t *testing.T) {
	here, err := filepath.Abs(root)
	require.NoError(t, err)
	there := filepath.Join(t.TempDir(), "elsewhere", "choba")
	copySources(t, here, there)
	keys := t.TempDir()
	one, two := rebuild(t, here, keys), rebuild(t, there, keys)
	compared := 0
	require.NoError(t, filepath.WalkDir(one, func(path string, e os.DirEntry, err error) error {
		name, _ := filepath.Rel(one, path)
		if err != nil || !e.Type().IsRegular() || name == ".lock" {
			return err
		}
		compared++
		require.Equal(t, sum(t, path), sum(t, filepath.Join(two, name)), name)
		return nil
	}))
	require.Greater(t, compared, 30, "bundle, disk, public keys, what the EROFS was made of, repository")
	for _, name := range []string{"release.choba", "disk.img", "repository/metadata/timestamp.json", "repository/latest/choba-INSECURE.pc-x86-64.release"} {
		require.FileExists(t, filepath.Join(one, name))
	}
}
