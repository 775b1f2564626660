package printer_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/tests/bench/printer"
)

func cut(b []byte) (names []string, held int) {
	z := printer.NewTokenizer()
	z.Feed(b, func(t printer.Token) { names = append(names, t.Name) })
	return names, z.Held()
}

func TestTokens(t *testing.T) {
	for in, want := range map[string][]string{
		"\x1b@A\x97\xcc\xb1\n":             {"ESC @", "text", "text", "text", "LF"},
		"\x1dV\x00\x1dVB\x03\x1dV1":        {"GS V", "GS V", "GS V"},
		"\x1dv0\x00\x01\x00\x02\x00\x1b@A": {"GS v 0", "text"},
		"\x1d(H\x06\x0000abcd!":            {"GS ( H", "text"},
		"\x1d(k\x03\x001A2\x00":            {"GS ( k", "junk"},
		"\x1d8L\x02\x00\x00\x00ab":         {"GS 8 L"},
		"\x1b*!\x01\x00\x10\x14\x01x":      {"ESC *", "text"},
		"\x1dk\x04ABC\x00x":                {"GS k", "text"},
		"\x1dkI\x03\x1b@Ax":                {"GS k", "text"},
		"\x10\x04\x01\x10\x14\x01\x00\x01": {"DLE EOT", "DLE DC4"},
		"\x1b\xff\x00":                     {"junk", "junk", "junk"},
		"\x1bD\x08\x10\x00x":               {"ESC D", "text"},
		"\x1bp\x00\x19\xfa":                {"ESC p"},
	} {
		got, held := cut([]byte(in))
		require.Equal(t, want, got, "% x", in)
		require.Zero(t, held)
	}
}

// Every byte is in exactly one token, or waits for the rest of one.
func FuzzTokenizer(f *testing.F) {
	f.Add([]byte("\x1b@A\x97\xcc\n\x1dv0\x00\x01\x00\x02\x00\x1b@"))
	f.Add([]byte("\x1d(H\x06\x0000abcd\x1bD\x01\x02\x00\x1dk\x04123\x00\x1c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var out []byte
		z := printer.NewTokenizer()
		p := printer.New(printer.Options{})
		z.Feed(b, func(tk printer.Token) {
			require.NotEmpty(t, tk.Bytes)
			require.True(t, bytes.HasSuffix(tk.Bytes, tk.Data))
			out = append(out, tk.Bytes...)
		})
		require.Equal(t, len(b), len(out)+z.Held())
		require.True(t, bytes.HasPrefix(b, out))
		if len(b) < 2000 {
			p.Show(b)
		}
	})
}
