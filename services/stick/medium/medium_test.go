package medium

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAllowed(t *testing.T) {
	for _, ok := range []string{
		"metadata/1.root.json", "metadata/timestamp.json", "targets/0f.choba-register.bench.release", "bundles/0f.choba",
		"latest/choba-register.bench.release", "factory.choba", "choba-1.2+3.choba",
	} {
		require.True(t, Allowed(ok), ok)
	}
	for _, bad := range []string{
		"", "/", "metadata", "metadata/", "/metadata/x", "metadata//x", "metadata/..", "../metadata/x", "metadata/.hidden", "metadata/a/b",
		"private/x", "Metadata/x", "notes.txt", ".choba", "a\\b.choba", "metadata/a b", "metadata/日本", "metadata/a\x00", "metadata/%2e%2e",
		"metadata/" + strings.Repeat("a", 300),
	} {
		require.False(t, Allowed(bad), "%q", bad)
	}
}

func FuzzAllowed(f *testing.F) {
	f.Add("metadata/1.root.json")
	f.Add("../x.choba")
	f.Fuzz(func(t *testing.T, path string) {
		if Allowed(path) {
			require.NotContains(t, path, "..//")
			require.False(t, strings.HasPrefix(path, "/") || strings.Contains(path, "/.") || strings.ContainsAny(path, "\\\x00 %"))
			require.LessOrEqual(t, strings.Count(path, "/"), 1)
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("\xeb\x58\x90CHOBA   "))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Open(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			_, _ = m.File("metadata/timestamp.json")
		}
	})
}
