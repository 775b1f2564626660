// Package authenticode signs PE files the way UEFI firmware and the kernel's
// kexec read it, and checks such signatures.
//
// It is not a PE editor: of a file it understands only what the hash needs
// (headers, sections, certificate table), and it only ever appends.
//
// The rule that keeps it small: SHA-256, one signature a certificate entry, and
// a refusal of every file whose hash would leave bytes out. A file may be
// signed twice; the order matters, since the kernel looks at the first
// signature only and the firmware at all of them.
//
// Sources: "Windows Authenticode Portable Executable Signature Format" and the
// UEFI specification 2.10, section 32.5 (WIN_CERTIFICATE).
package authenticode

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/choba-os/choba/image/pkcs7"
)

// Of a WIN_CERTIFICATE: 4 bytes length, 2 revision, 2 type, then the message;
// each entry starts at a multiple of 8.
const (
	entryHeader   = 8
	entryRevision = 0x0200
	entryPKCS7    = 0x0002
	alignment     = 8
)

func oidIndirectData() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}
}

func oidPEImage() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15}
}

// Hash returns the Authenticode SHA-256 of a file: everything but the checksum
// and the certificate table. Signing a file does not change it. It is also what
// the firmware measures into PCR 4.
func Hash(pe []byte) ([sha256.Size]byte, error) {
	l, err := parse(pe)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("hashing a PE file: %w", err)
	}
	return l.hash(pe), nil
}

// Sign returns the file with one more signature at its end. A file whose length
// is no multiple of 8 is filled up with zeros first.
func Sign(pe []byte, key crypto.Signer, cert *x509.Certificate) ([]byte, error) {
	l, err := parse(pe)
	if err != nil {
		return nil, fmt.Errorf("signing a PE file: %w", err)
	}
	element, err := indirectData(l.hash(pe))
	if err != nil {
		return nil, fmt.Errorf("signing a PE file: %w", err)
	}
	message, err := pkcs7.SignTyped(oidIndirectData(), element, key, cert)
	if err != nil {
		return nil, fmt.Errorf("signing a PE file: %w", err)
	}
	out := bytes.Clone(pe)
	out = append(out, make([]byte, pad(len(out)))...)
	if l.tableSize == 0 {
		l.table = len(out)
	}
	out = append(out, entry(message)...)
	binary.LittleEndian.PutUint32(out[l.directory:], uint32(l.table))
	binary.LittleEndian.PutUint32(out[l.directory+4:], uint32(len(out)-l.table))
	return out, nil
}

// Signatures returns the PKCS#7 messages of a file in their order; none is not
// an error.
func Signatures(pe []byte) ([][]byte, error) {
	l, err := parse(pe)
	if err != nil {
		return nil, fmt.Errorf("reading signatures: %w", err)
	}
	return l.messages(pe)
}

// Verify looks for a valid signature by the certificate's key and returns its
// place (0 = the first, the only one that the kernel looks at).
func Verify(pe []byte, cert *x509.Certificate) (int, error) {
	messages, err := Signatures(pe)
	if err != nil {
		return 0, err
	}
	sum, err := Hash(pe)
	if err != nil {
		return 0, err
	}
	want, err := indirectData(sum)
	if err != nil {
		return 0, fmt.Errorf("verifying a PE file: %w", err)
	}
	for i, der := range messages {
		m, err := pkcs7.Parse(der)
		if err != nil || !m.Names(cert) {
			continue
		}
		if err := m.Verify(nil, cert); err != nil {
			return 0, fmt.Errorf("verifying a PE file: %w", err)
		}
		if !m.Kind.Equal(oidIndirectData()) || !sameDigest(m.Content, want) {
			return 0, fmt.Errorf("verifying a PE file: %w: the file was altered", pkcs7.ErrSignature)
		}
		return i, nil
	}
	return 0, fmt.Errorf("verifying a PE file: %w: none of %d signatures is by %q",
		pkcs7.ErrSignature, len(messages), cert.Subject)
}

// sameDigest compares the second halves, algorithm and digest: the first
// describes the file in words that writers choose freely.
func sameDigest(a, b []byte) bool {
	x, y := digestPart(a), digestPart(b)
	return x != nil && bytes.Equal(x, y)
}

func digestPart(element []byte) []byte {
	s := cryptobyte.String(element)
	var inner, digest cryptobyte.String
	if !s.ReadASN1(&inner, cbasn1.SEQUENCE) || !inner.SkipASN1(cbasn1.SEQUENCE) ||
		!inner.ReadASN1(&digest, cbasn1.SEQUENCE) || !inner.Empty() {
		return nil
	}
	return digest
}

// indirectData is SpcIndirectDataContent: "a PE image, no flags, no name" and
// the hash.
func indirectData(sum [sha256.Size]byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidPEImage())
			// SpcPeImageData: flags 0, then file [0] → [2] → [0] an empty string
			b.AddBytes([]byte{0x30, 0x09, 0x03, 0x01, 0x00, 0xa0, 0x04, 0xa2, 0x02, 0x80, 0x00})
		})
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}) // SHA-256
				b.AddASN1NULL()
			})
			b.AddASN1OctetString(sum[:])
		})
	})
	return b.Bytes()
}

func entry(message []byte) []byte {
	out := make([]byte, entryHeader, entryHeader+len(message)+alignment)
	binary.LittleEndian.PutUint32(out, uint32(entryHeader+len(message)))
	binary.LittleEndian.PutUint16(out[4:], entryRevision)
	binary.LittleEndian.PutUint16(out[6:], entryPKCS7)
	out = append(out, message...)
	return append(out, make([]byte, pad(len(out)))...)
}

func pad(n int) int { return (alignment - n%alignment) % alignment }

func (l layout) messages(pe []byte) ([][]byte, error) {
	var out [][]byte
	rest := pe[l.table : l.table+l.tableSize]
	for len(rest) > 0 {
		if len(rest) < entryHeader {
			return nil, errors.New("reading signatures: entry is cut off")
		}
		n := int(binary.LittleEndian.Uint32(rest))
		if n < entryHeader || n > len(rest) {
			return nil, fmt.Errorf("reading signatures: entry of %d bytes in %d", n, len(rest))
		}
		if binary.LittleEndian.Uint16(rest[6:]) != entryPKCS7 {
			return nil, errors.New("reading signatures: entry is not PKCS#7")
		}
		out = append(out, unpad(rest[entryHeader:n]))
		rest = rest[min(n+pad(n), len(rest)):]
	}
	return out, nil
}

// unpad drops zeros behind the message: sbsign counts the filling bytes in the
// entry's length, the specification does not.
func unpad(message []byte) []byte {
	s := cryptobyte.String(message)
	var whole cryptobyte.String
	if s.ReadASN1Element(&whole, cbasn1.SEQUENCE) && len(s) < alignment && len(bytes.Trim(s, "\x00")) == 0 {
		return whole
	}
	return message
}
