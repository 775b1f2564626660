package dev

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// pairSpec says how one RSA pair is made. Serial and dates are fixed, so that a
// certificate is a function of its keys: a lost .crt comes back byte for byte.
type pairSpec struct {
	name   string
	to     *Pair
	serial int64
	ca     bool  // the firmware's lists hold authorities; the kernel's ring wants plain signers
	by     *Pair // who certifies it; nil = it itself
}

// Where the development update server answers: QEMU's guest network, and a name.
const (
	ServerAddress = "10.0.2.100"
	ServerName    = "updates.choba.test"
)

func (k *Keys) pairs() []pairSpec {
	return []pairSpec{
		{"PK", &k.PK, 1, true, nil},
		{"KEK", &k.KEK, 2, true, nil},
		{"db", &k.DB, 3, true, nil},
		{"verity", &k.Verity, 4, false, nil},
		{"kexec", &k.Kexec, 5, false, nil},
		{"ca", &k.CA, 6, true, nil},
		{"tls", &k.TLS, 7, false, &k.CA},
	}
}

// ensurePair reads NAME.key and NAME.crt, making what is missing.
func ensurePair(dir string, s pairSpec) (Pair, error) {
	key, err := ensureRSA(filepath.Join(dir, s.name+".key"))
	if err != nil {
		return Pair{}, err
	}
	path := filepath.Join(dir, s.name+".crt")
	der, err := readPEM(path, "CERTIFICATE")
	if errors.Is(err, fs.ErrNotExist) {
		if der, err = certify(key, s); err == nil {
			err = writeOnce(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		}
	}
	if err != nil {
		return Pair{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Pair{}, fmt.Errorf("reading %s: %w", path, err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return Pair{}, fmt.Errorf("reading %s: it is for another key", path)
	}
	if s.by != nil {
		if err := cert.CheckSignatureFrom(s.by.Cert); err != nil {
			return Pair{}, fmt.Errorf("reading %s: %w", path, err)
		}
	}
	return Pair{Key: key, Cert: cert}, nil
}

func certify(key *rsa.PrivateKey, s pairSpec) ([]byte, error) {
	id := sha256.Sum256(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	name := pkix.Name{CommonName: "Choba INSECURE development " + s.name}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(s.serial),
		Subject:      name, Issuer: name,
		NotBefore:             time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  s.ca,
		SubjectKeyId:          id[:20],
		SignatureAlgorithm:    x509.SHA256WithRSA,
	}
	if s.ca {
		t.KeyUsage |= x509.KeyUsageCertSign
	}
	by := Pair{Key: key, Cert: t}
	if s.by != nil { // the update server's
		by = *s.by
		t.Issuer = by.Cert.Subject
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		t.IPAddresses, t.DNSNames = []net.IP{net.ParseIP(ServerAddress)}, []string{ServerName}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, by.Cert, &key.PublicKey, by.Key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate: %w", err)
	}
	return der, nil
}

func ensureRSA(path string) (*rsa.PrivateKey, error) {
	der, err := readPEM(path, "PRIVATE KEY")
	if errors.Is(err, fs.ErrNotExist) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("making an RSA key: %w", err)
		}
		return key, writePKCS8(path, key)
	}
	if err != nil {
		return nil, err
	}
	return parsePKCS8[*rsa.PrivateKey](path, der)
}

func ensureECDSA(dir, name string) (*ecdsa.PrivateKey, error) {
	path := filepath.Join(dir, name+".key")
	der, err := readPEM(path, "PRIVATE KEY")
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making a P-256 key: %w", err)
		}
		return key, writePKCS8(path, key)
	}
	if err != nil {
		return nil, err
	}
	return parsePKCS8[*ecdsa.PrivateKey](path, der)
}

// ensureNotes reads the note keys ROLE1 to ROLEn.
func ensureNotes(dir, role string, n int) (signers []note.Signer, vkeys []string, err error) {
	for i := 1; i <= n; i++ {
		signer, vkey, err := ensureNote(dir, fmt.Sprintf("%s%d", role, i))
		if err != nil {
			return nil, nil, err
		}
		signers, vkeys = append(signers, signer), append(vkeys, vkey)
	}
	return signers, vkeys, nil
}

// ensureNote reads NAME.key (the private half, as golang.org/x/mod/sumdb/note
// writes it) and NAME.vkey.
func ensureNote(dir, name string) (note.Signer, string, error) {
	skeyPath, vkeyPath := filepath.Join(dir, name+".key"), filepath.Join(dir, name+".vkey")
	if _, err := os.Stat(skeyPath); errors.Is(err, fs.ErrNotExist) {
		skey, vkey, err := note.GenerateKey(rand.Reader, "choba-INSECURE-"+name)
		if err != nil {
			return nil, "", fmt.Errorf("making note key %s: %w", name, err)
		}
		// The public half first: a private half never stands without it.
		if err := writeOnce(vkeyPath, []byte(vkey+"\n")); err != nil {
			return nil, "", err
		}
		if err := writeOnce(skeyPath, []byte(skey+"\n")); err != nil {
			return nil, "", err
		}
	}
	skey, err := os.ReadFile(skeyPath)
	if err != nil {
		return nil, "", fmt.Errorf("reading note key %s: %w", name, err)
	}
	vkey, err := os.ReadFile(vkeyPath)
	if err != nil {
		return nil, "", fmt.Errorf("reading note key %s: %w", name, err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(skey)))
	if err != nil {
		return nil, "", fmt.Errorf("reading %s: %w", skeyPath, err)
	}
	v, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return nil, "", fmt.Errorf("reading %s: %w", vkeyPath, err)
	}
	if v.Name() != signer.Name() || v.KeyHash() != signer.KeyHash() {
		return nil, "", fmt.Errorf("reading %s: it is for another key", vkeyPath)
	}
	return signer, strings.TrimSpace(string(vkey)), nil
}

func readPEM(path, kind string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != kind || len(rest) != 0 {
		return nil, fmt.Errorf("reading %s: want one PEM block %s and nothing else", path, kind)
	}
	return block.Bytes, nil
}

func writePKCS8(path string, key any) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding a key: %w", err)
	}
	return writeOnce(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func parsePKCS8[K any](path string, der []byte) (K, error) {
	var none K
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return none, fmt.Errorf("reading %s: %w", path, err)
	}
	k, ok := key.(K)
	if !ok {
		return none, fmt.Errorf("reading %s: it holds a %T", path, key)
	}
	return k, nil
}

// writeOnce writes a file whole or not at all, readable by its owner only.
func writeOnce(path string, data []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	return nil
}
