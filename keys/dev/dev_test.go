package dev

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/keys/trust"
)

func ensure(t *testing.T, dir string) *Keys {
	k, err := Ensure(dir)
	require.NoError(t, err)
	return k
}

func files(t *testing.T, dir string) map[string]string {
	out := map[string]string{}
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range list {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		out[e.Name()] = string(data)
	}
	return out
}

// Made once, then stable; a lost certificate comes back byte for byte.
func TestEnsureIsStable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	first := ensure(t, dir)
	before := files(t, dir)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	for name := range before {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
	require.NoError(t, os.Remove(filepath.Join(dir, "db.crt")))
	second := ensure(t, dir)
	require.Equal(t, before, files(t, dir))
	require.Equal(t, first.Trust, second.Trust)
	require.Equal(t, first.Fingerprints(), second.Fingerprints())
}

// Every name that anybody will ever see says INSECURE.
func TestNamesSayInsecure(t *testing.T) {
	k := ensure(t, t.TempDir())
	for _, s := range k.pairs() {
		require.Contains(t, s.to.Cert.Subject.CommonName, trust.InsecureMark)
		require.Contains(t, s.to.Cert.Issuer.CommonName, trust.InsecureMark)
		by := s.to.Cert
		if s.by != nil {
			by = s.by.Cert
		}
		require.NoError(t, by.CheckSignature(s.to.Cert.SignatureAlgorithm, s.to.Cert.RawTBSCertificate, s.to.Cert.Signature))
	}
	for _, s := range slices.Concat(k.Release, k.Service, []note.Signer{k.Store}) {
		require.Contains(t, s.Name(), trust.InsecureMark)
	}
	for _, n := range k.TUF.All() {
		require.Contains(t, n.Name, trust.InsecureMark)
	}
	require.Len(t, k.TUF.All(), 6)
	root, err := trust.Parse(k.Trust)
	require.NoError(t, err)
	require.True(t, root.Insecure())
	require.Contains(t, strings.SplitAfterN(string(k.Trust), "\n", 3)[1], trust.InsecureMark)
}

// What the kernel and the firmware demand of certificates.
func TestCertificates(t *testing.T) {
	k := ensure(t, t.TempDir())
	serials := map[string]bool{}
	for _, s := range k.pairs() {
		c := s.to.Cert
		require.Equal(t, 2048, s.to.Key.N.BitLen())
		require.Equal(t, s.ca, c.IsCA, s.name)
		require.NotZero(t, c.KeyUsage&x509.KeyUsageDigitalSignature)
		require.Equal(t, s.ca, c.KeyUsage&x509.KeyUsageCertSign != 0)
		require.False(t, serials[c.SerialNumber.String()], "the kernel tells keys apart by issuer and serial")
		serials[c.SerialNumber.String()] = true
	}
	require.False(t, k.Verity.Cert.IsCA)
	require.False(t, k.Kexec.Cert.IsCA)
}

// The keys work with the list that is made from them.
func TestKeysFitTheList(t *testing.T) {
	k := ensure(t, t.TempDir())
	root, err := trust.Parse(k.Trust)
	require.NoError(t, err)
	signed, err := note.Sign(&note.Note{Text: "x\n"}, k.Release[:Threshold]...)
	require.NoError(t, err)
	_, signers, err := root.OpenRelease(signed)
	require.NoError(t, err)
	require.Len(t, signers, Threshold)
	signed, err = note.Sign(&note.Note{Text: "x\n"}, k.Store)
	require.NoError(t, err)
	_, err = root.OpenStore(signed)
	require.NoError(t, err)
	signed, err = note.Sign(&note.Note{Text: "x\n"}, k.Service[:ServiceThreshold]...)
	require.NoError(t, err)
	_, signers, err = root.OpenTicket(signed)
	require.NoError(t, err)
	require.Len(t, signers, ServiceThreshold)
	require.Equal(t, k.Escrow.Recipient().String(), root.Escrow)
	_, err = age.ParseX25519Recipient(root.Escrow)
	require.NoError(t, err)
	require.Equal(t, trust.Sell, root.NoTPM, "a laptop without a TPM is a development register, too")
	require.Equal(t, trust.Sell, root.NoSecureBoot)
	pcr, err := x509.MarshalPKIXPublicKey(&k.PCR.PublicKey)
	require.NoError(t, err)
	require.Equal(t, pcr, root.PCR)
}

// The update server's certificate is good for both of its names, for twenty years.
func TestServerCertificate(t *testing.T) {
	k := ensure(t, t.TempDir())
	pool := x509.NewCertPool()
	pool.AddCert(k.CA.Cert)
	for _, name := range []string{ServerAddress, ServerName} {
		for _, year := range []int{2020, 2026, 2046} {
			_, err := k.TLS.Cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)})
			require.NoError(t, err)
		}
	}
	_, err := k.TLS.Cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: "10.0.2.101"})
	require.Error(t, err)
}

// A folder that an earlier version made lacks the newer keys: they are added, and
// the old ones stay as they are.
func TestOldFolderIsCompleted(t *testing.T) {
	dir := t.TempDir()
	ensure(t, dir)
	before := files(t, dir)
	for name := range before {
		for _, newer := range []string{"service", "root", "targets", "snapshot", "timestamp", "escrow", "ca.", "tls."} {
			if strings.HasPrefix(name, newer) {
				require.NoError(t, os.Remove(filepath.Join(dir, name)))
			}
		}
	}
	left := files(t, dir)
	require.Less(t, len(left), len(before))
	ensure(t, dir)
	after := files(t, dir)
	require.Len(t, after, len(before))
	for name, data := range left {
		require.Equal(t, data, after[name], name)
	}
}

// No private byte leaves through the public halves.
func TestPublicIsPublic(t *testing.T) {
	k := ensure(t, t.TempDir())
	require.Len(t, k.Public(), 8)
	for _, f := range k.Public() {
		require.NotContains(t, string(f.Data), "PRIVATE", f.Name)
	}
	require.NotContains(t, strings.Join(k.Fingerprints(), "\n"), "PRIVATE")
}

// Two makers at once end with the same keys.
func TestTwoMakers(t *testing.T) {
	dir := t.TempDir()
	var wait sync.WaitGroup
	got := make([][]byte, 3)
	for i := range got {
		wait.Go(func() {
			if k, err := Ensure(dir); err == nil {
				got[i] = k.Trust
			}
		})
	}
	wait.Wait()
	require.NotEmpty(t, got[0])
	require.True(t, bytes.Equal(got[0], got[1]) && bytes.Equal(got[1], got[2]))
}

// A damaged or swapped file is an error, never silently replaced.
func TestDamageIsAnError(t *testing.T) {
	dir := t.TempDir()
	ensure(t, dir)
	good := files(t, dir)
	for name := range good {
		if name == ".lock" {
			continue
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("damaged\n"), 0o600))
		_, err := Ensure(dir)
		require.Error(t, err, name)
		require.Equal(t, "damaged\n", files(t, dir)[name])
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(good[name]), 0o600))
	}
	for name, other := range map[string]string{"db.crt": "PK.crt", "release1.vkey": "release2.vkey", "release1.key": "release2.key", "pcr.key": "PK.key",
		"root1.key": "root2.key", "snapshot.key": "timestamp.key", "targets1.key": "release1.key", "escrow.key": "root1.key", "tls.crt": "ca.crt"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(good[other]), 0o600))
		_, err := Ensure(dir)
		require.Error(t, err, name)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(good[name]), 0o600))
	}
	ensure(t, dir)
}
