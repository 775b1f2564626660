package pkcs7_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/pkcs7"
	"github.com/choba-os/choba/image/pkcs7/pkcs7test"
)

func pair(t testing.TB, name string) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	return pkcs7test.Pair(t, "../..", name)
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return b
}

func spcKind() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4} }

// The golden files were written by openssl's smime command.
func TestBytesEqualOpenssl(t *testing.T) {
	key, cert := pair(t, "one")
	detached, err := pkcs7.Sign(file(t, "root.hex"), key, cert)
	require.NoError(t, err)
	require.Equal(t, file(t, "detached.p7s"), detached)
	embedded, err := pkcs7.Embed(file(t, "policy.txt"), key, cert)
	require.NoError(t, err)
	require.Equal(t, file(t, "embedded.p7b"), embedded)
}

func TestOpensslAccepts(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	key, cert := pair(t, "one")
	dir := t.TempDir()
	check := func(der []byte, args ...string) ([]byte, error) {
		path := filepath.Join(dir, "m.der")
		require.NoError(t, os.WriteFile(path, der, 0o600))
		args = append([]string{"smime", "-verify", "-binary", "-inform", "der", "-in", path,
			"-certfile", "testdata/one.crt", "-nointern", "-noverify"}, args...)
		return exec.Command("openssl", args...).Output()
	}
	der, err := pkcs7.Sign(file(t, "root.hex"), key, cert)
	require.NoError(t, err)
	_, err = check(der, "-content", "testdata/root.hex")
	require.NoError(t, err)
	_, err = check(der, "-content", "testdata/policy.txt")
	require.Error(t, err)
	der, err = pkcs7.Embed(file(t, "policy.txt"), key, cert)
	require.NoError(t, err)
	out, err := check(der)
	require.NoError(t, err)
	require.Equal(t, file(t, "policy.txt"), out)
}

func TestVerify(t *testing.T) {
	key, cert := pair(t, "one")
	_, stranger := pair(t, "two")
	content := []byte("content")
	element := []byte{0x30, 3, 2, 1, 5}
	detached, err := pkcs7.Sign(content, key, cert)
	require.NoError(t, err)
	embedded, err := pkcs7.Embed(content, key, cert)
	require.NoError(t, err)
	typed, err := pkcs7.SignTyped(spcKind(), element, key, cert)
	require.NoError(t, err)
	for name, c := range map[string]struct{ der, content []byte }{
		"detached": {detached, content}, "embedded": {embedded, nil}, "typed": {typed, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := pkcs7.Parse(c.der)
			require.NoError(t, err)
			require.NoError(t, m.Verify(c.content, cert))
			require.ErrorIs(t, m.Verify(c.content, stranger), pkcs7.ErrSignature)
			require.Error(t, m.Verify([]byte("other"), cert))
			if c.content != nil {
				require.Error(t, m.Verify(nil, cert))
			}
		})
	}
	m, err := pkcs7.Parse(typed)
	require.NoError(t, err)
	require.True(t, m.Kind.Equal(spcKind()))
	require.Equal(t, element, m.Content)
	inside, err := m.Certificate()
	require.NoError(t, err)
	require.True(t, cert.Equal(inside))
	m, err = pkcs7.Parse(detached)
	require.NoError(t, err)
	_, err = m.Certificate()
	require.ErrorContains(t, err, "not inside")
}

// Every altered byte is refused, by Parse or by Verify. The certificate inside
// a typed message is nobody's promise: its bytes are skipped.
func TestAlteredByteIsRefused(t *testing.T) {
	key, cert := pair(t, "one")
	content := []byte("content")
	detached, err := pkcs7.Sign(content, key, cert)
	require.NoError(t, err)
	typed, err := pkcs7.SignTyped(spcKind(), []byte{0x30, 3, 2, 1, 5}, key, cert)
	require.NoError(t, err)
	hole := bytes.Index(typed, cert.Raw) - 4 // with its tag and length
	for name, c := range map[string]struct {
		der, content []byte
		from, to     int
	}{
		"detached": {detached, content, 0, 0},
		"typed":    {typed, nil, hole, hole + 4 + len(cert.Raw)},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range c.der {
				if i >= c.from && i < c.to {
					continue
				}
				bad := bytes.Clone(c.der)
				bad[i] ^= 0x01
				m, err := pkcs7.Parse(bad)
				if err == nil {
					err = m.Verify(c.content, cert)
				}
				require.Error(t, err, "byte %d", i)
			}
			for i := range c.der {
				_, err := pkcs7.Parse(c.der[:i])
				require.Error(t, err, "cut at %d", i)
			}
			_, err := pkcs7.Parse(append(bytes.Clone(c.der), 0))
			require.Error(t, err)
		})
	}
}

func TestWrongKeyIsRefused(t *testing.T) {
	key, cert := pair(t, "one")
	_, other := pair(t, "two")
	_, err := pkcs7.Sign(nil, key, other)
	require.ErrorContains(t, err, "belongs to another key")
	_, err = pkcs7.Sign(nil, nil, cert)
	require.ErrorContains(t, err, "missing")
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, err = pkcs7.Sign(nil, curve, cert)
	require.ErrorContains(t, err, "only RSA")
	_, err = pkcs7.SignTyped(spcKind(), []byte{0x30, 9}, key, cert)
	require.ErrorContains(t, err, "not one DER element")
}

func FuzzParse(f *testing.F) {
	key, cert := pair(f, "one")
	typed, err := pkcs7.SignTyped(spcKind(), []byte{0x30, 3, 2, 1, 5}, key, cert)
	require.NoError(f, err)
	f.Add(file(f, "detached.p7s"))
	f.Add(file(f, "embedded.p7b"))
	f.Add(typed)
	f.Fuzz(func(t *testing.T, der []byte) {
		m, err := pkcs7.Parse(der)
		if err != nil {
			return
		}
		if m.Verify(nil, cert) == nil {
			require.NotNil(t, m.Content)
		}
		if inside, err := m.Certificate(); err == nil {
			require.True(t, m.Names(inside))
		}
	})
}
