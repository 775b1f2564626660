// Package pkcs7test reads the key pairs in image/pkcs7/testdata, which sign what tests need signed.
//
// It is for tests only and makes no keys: what they sign must be the same bytes every time. The rule that keeps it small:
// one function.
package pkcs7test

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Pair is the key "one", "two" or "three" with its certificate; repository is the way to the repository's root.
func Pair(t testing.TB, repository, name string) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	decode := func(ext string) []byte {
		text, err := os.ReadFile(filepath.Join(repository, "image/pkcs7/testdata", name+ext))
		require.NoError(t, err)
		block, _ := pem.Decode(text)
		return block.Bytes
	}
	key, err := x509.ParsePKCS8PrivateKey(decode(".key"))
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(decode(".crt"))
	require.NoError(t, err)
	return key.(crypto.Signer), cert
}
