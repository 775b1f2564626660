package keyfile

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	golden = "-----BEGIN PRIVATE KEY-----\nName: alice-root\n\n" +
		"MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n-----END PRIVATE KEY-----\n"
	goldenPublic = "-----BEGIN PUBLIC KEY-----\nName: alice-root\n\n" +
		"MCowBQYDK2VwAyEA6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=\n-----END PUBLIC KEY-----\n"
)

func sample() Key {
	return Key{"alice-root", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))}
}

func TestGoldenAndRoundTrip(t *testing.T) {
	text, err := sample().Encode()
	require.NoError(t, err)
	require.Equal(t, golden, string(text))
	k, err := Parse(text)
	require.NoError(t, err)
	require.Equal(t, sample(), k)
	text, err = k.Public().Encode()
	require.NoError(t, err)
	require.Equal(t, goldenPublic, string(text))
	p, err := ParsePublic(text)
	require.NoError(t, err)
	require.Equal(t, sample().Public(), p)
	made, err := New("bob")
	require.NoError(t, err)
	require.Equal(t, "bob", made.Name)
	require.NotEqual(t, sample().Key, made.Key)
}

func TestRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "no name": strings.Replace(golden, "Name: alice-root\n\n", "", 1),
		"another header": strings.Replace(golden, "Name:", "Nome:", 1), "odd name": strings.Replace(golden, "alice-root", "alice root", 1),
		"the public half": goldenPublic, "two": golden + golden, "short": strings.Replace(golden, "MC4CAQ", "MC4CAA", 1),
	} {
		_, err := Parse([]byte(text))
		require.Error(t, err, name)
	}
	_, err := ParsePublic([]byte(golden))
	require.Error(t, err)
	for _, name := range []string{"", "a b", strings.Repeat("x", 65), "a\nb"} {
		_, err := New(name)
		require.Error(t, err, name)
		_, err = Key{name, sample().Key}.Encode()
		require.Error(t, err, name)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(goldenPublic))
	f.Fuzz(func(t *testing.T, text []byte) {
		if k, err := Parse(text); err == nil {
			_, err = k.Encode()
			require.NoError(t, err)
		}
		if p, err := ParsePublic(text); err == nil {
			_, err = p.Encode()
			require.NoError(t, err)
		}
	})
}
