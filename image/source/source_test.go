package source

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
)

func certificate(t testing.TB) []byte {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestSource(t *testing.T) {
	ca := certificate(t)
	for _, url := range []string{"https://10.0.2.100/", "https://updates.example/shops/", "https://updates.example:8443/"} {
		text, err := Source{url, ca}.Encode()
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(text, []byte(`{"url":"`+url+`","ca":"-----BEGIN`)))
		s, err := Parse(text)
		require.NoError(t, err)
		require.Equal(t, Source{url, ca}, s)
	}
	good, err := Source{"https://h/", bytes.Repeat(ca, 2)}.Encode()
	require.NoError(t, err, "two authorities")
	for name, change := range map[string][2]string{
		"http": {"https://", "http://"}, "no host": {"https://h/", "https:///"}, "no folder": {"https://h/", "https://h/x"},
		"user": {"//h/", "//u:p@h/"}, "query": {"//h/", "//h/?a/"}, "fragment": {"//h/", "//h/#a/"}, "unclean": {"//h/", "//h/a b/"},
		"unknown field": {`"url"`, `"x":1,"url"`}, "no ca": {"BEGIN CERT", "BEGAN CERT"}, "a key": {"CERTIFICATE", "PRIVATE KEY"},
		"rubbish": {`-----BEGIN`, `rubbish -----BEGIN`}, "behind its end": {"}", "}{}"}, "not a certificate": {"MI", "MA"},
	} {
		_, err := Parse([]byte(strings.Replace(string(good), change[0], change[1], 1)))
		require.Error(t, err, name)
	}
	_, err = Parse(bytes.Repeat([]byte(" "), MaxBytes+1))
	require.Error(t, err)
	_, err = Source{URL: "https://h/"}.Encode()
	require.Error(t, err)
}

func TestNames(t *testing.T) {
	require.Equal(t, "latest/choba.pc-x86-64.release", LatestPath("choba", "pc-x86-64"))
	skey, _, err := note.GenerateKey(rand.Reader, "alice")
	require.NoError(t, err)
	signer, err := note.NewSigner(skey)
	require.NoError(t, err)
	signed, err := note.Sign(&note.Note{Text: "release\n"}, signer)
	require.NoError(t, err)
	path, err := BundlePath(signed)
	require.NoError(t, err)
	require.Equal(t, "bundles/3933e3274b63dc01fd286d6d939a626867c83a4603fc4347e0f8b8856f1b98fd.choba", path)
	_, err = BundlePath([]byte("release\n"))
	require.Error(t, err)
}

func FuzzParse(f *testing.F) {
	text, err := Source{"https://h/", certificate(f)}.Encode()
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte(`{"url":"https://h/","ca":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := Parse(text); err == nil {
			_, err = s.Encode()
			require.NoError(t, err)
		}
	})
}

func FuzzBundlePath(f *testing.F) {
	f.Add([]byte("release\n\n— a AAAAAAAA\n"))
	f.Fuzz(func(t *testing.T, signed []byte) {
		if path, err := BundlePath(signed); err == nil {
			require.Len(t, path, len("bundles/.choba")+64)
		}
	})
}
