package repository

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// golden compares with testdata; UPDATE=1 writes it.
func golden(t *testing.T, name string, data []byte) {
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") == "1" {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, data, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(data), name)
}

// The bytes of a repository and of what a register remembers of it.
func TestGolden(t *testing.T) {
	v, r := newVendor(t), newRegister(t)
	v.publish(product, 7)
	for name, data := range v.files() {
		if strings.HasPrefix(name, "metadata/") {
			golden(t, name, data)
		}
	}
	r.takes(v.Folder, epoch, 7)
	memory, err := os.ReadFile(filepath.Join(r.dir, memoryFile))
	require.NoError(t, err)
	golden(t, "memory.golden", memory)
	require.Equal(t, []string{
		"bundles/e9e0bfdf25e679bee03ab0a6c170d90ea90eed30ee1f4ce03415e65ff631c84b.choba",
	}, slices.DeleteFunc(sortedKeys(v.files()), func(n string) bool { return !strings.HasPrefix(n, "bundles/") }))
}

// Any changed byte of any metadata file is refused, or leaves the very same offer (a
// space in a file whose signature does not cover spaces).
func TestEveryByte(t *testing.T) {
	v := newVendor(t)
	v.publish(product, 7)
	good := v.files()
	want := newRegister(t).takes(good, epoch, 7)
	root := testRoot(t)
	for _, name := range []string{"metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/1.targets.json"} {
		for i := range good[name] {
			bad := bytes.Clone(good[name])
			bad[i] ^= 1
			w := walk{ctx: t.Context(), from: good.with(files{name: bad}, name), now: epoch}
			require.NoError(t, w.roots(root, func(memory) error { return nil }))
			got, err := w.offer(product, hardware)
			if err == nil {
				require.Equal(t, "metadata/timestamp.json", name, "byte %d: its hash is signed", i)
				require.Equal(t, want.Signed, got.Signed, "byte %d", i)
			}
		}
	}
}

// A register that reads while the vendor writes, or a folder that was copied in part
// in the right order, shows the old release or the new one, never an error.
func TestWrittenInOrder(t *testing.T) {
	v := newVendor(t)
	v.publish(product, 7)
	old := v.files()
	v.publish(product, 8)
	new := v.files()
	rank := func(name string) int {
		for i, prefix := range []string{"bundles/", "targets/", "metadata/2.targets", "metadata/2.snapshot", "metadata/timestamp", "latest/"} {
			if strings.HasPrefix(name, prefix) {
				return i
			}
		}
		t.Fatal(name)
		return 0
	}
	var changed []string
	for name := range new {
		if !bytes.Equal(old[name], new[name]) {
			changed = append(changed, name)
		}
	}
	slices.SortFunc(changed, func(a, b string) int { return rank(a) - rank(b) })
	require.Len(t, changed, 6)
	for n := range changed {
		want := uint64(7)
		if rank(changed[n]) > rank("metadata/timestamp.json") {
			want = 8
		}
		newRegister(t).takes(old.with(new, changed[:n]...), epoch, want)
	}
	newRegister(t).takes(new, epoch, 8)
}
