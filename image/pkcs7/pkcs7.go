// Package pkcs7 writes and checks the signed messages that the kernel and the
// firmware take: RFC 2315 signed-data in DER with one RSA or ECDSA signer and
// SHA-256.
//
// It is not a general CMS library: no chains, no time stamps, no encryption.
//
// The rule that keeps it small: only the three shapes that Linux and UEFI read
// (detached, with content, and with a typed content and attributes).
package pkcs7

import (
	"crypto"
	"crypto/x509"
	"errors"
)

// Sign makes a detached signature without attributes and certificates: what
// dm-verity takes for a root hash (content = its lower-case hex text).
func Sign(content []byte, key crypto.Signer, cert *x509.Certificate) ([]byte, error) {
	return nil, errors.New("signing: not written yet")
}

// Embed is Sign with the content inside: what IPE takes as a policy.
func Embed(content []byte, key crypto.Signer, cert *x509.Certificate) ([]byte, error) {
	return nil, errors.New("signing: not written yet")
}
