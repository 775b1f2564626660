// Package pkcs7 writes and checks the signed messages that the kernel and the
// firmware take: RFC 2315 signed-data in DER with one RSA signer and SHA-256.
//
// It is not a general CMS library: no chains, no time stamps, no encryption,
// no other algorithms. A certificate here is a name for a key; whether to
// trust it is the caller's business.
//
// The rule that keeps it small: only the three shapes that Linux and UEFI read:
// detached (Sign), with content (Embed), and typed with attributes (SignTyped).
// The same input gives the same bytes, since nothing in them is a time or a
// random number.
package pkcs7

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers; the functions return new values so that nobody can
// change them.
func oidData() asn1.ObjectIdentifier        { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1} }
func oidSignedData() asn1.ObjectIdentifier  { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2} }
func oidContentType() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3} }
func oidMessageDigest() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
}
func oidSHA256() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1} }
func oidRSA() asn1.ObjectIdentifier    { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1} }

func tagContext(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

// Sign makes a detached signature without attributes and certificates: what
// dm-verity takes for a root hash (content = its lower-case hex text, no new
// line). Its bytes equal those of
//
//	openssl smime -sign -noattr -binary -nocerts -md sha256 -outform der
func Sign(content []byte, key crypto.Signer, cert *x509.Certificate) ([]byte, error) {
	m := message{kind: oidData(), digest: sha256.Sum256(content)}
	return m.sign(key, cert)
}

// Embed is Sign with the content inside (openssl's -nodetach): what IPE takes
// as a policy.
func Embed(content []byte, key crypto.Signer, cert *x509.Certificate) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1OctetString(content)
	octets, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("signing: encoding the content: %w", err)
	}
	m := message{kind: oidData(), content: octets, digest: sha256.Sum256(content)}
	return m.sign(key, cert)
}

// SignTyped signs one DER element of another type than data, with it, the
// content-type and message-digest attributes and the certificate inside: what
// Authenticode is. The digest covers the element without its tag and length
// (RFC 2315, section 9.3).
func SignTyped(kind asn1.ObjectIdentifier, element []byte, key crypto.Signer, cert *x509.Certificate) ([]byte, error) {
	inner, err := unwrap(element)
	if err != nil {
		return nil, fmt.Errorf("signing: content: %w", err)
	}
	m := message{kind: kind, content: element, digest: sha256.Sum256(inner), attributes: true, certificate: true}
	return m.sign(key, cert)
}

// unwrap returns what is inside the one element that der must be.
func unwrap(der []byte) ([]byte, error) {
	s := cryptobyte.String(der)
	var inner cryptobyte.String
	if !s.ReadAnyASN1(&inner, nil) || !s.Empty() {
		return nil, fmt.Errorf("not one DER element")
	}
	return inner, nil
}

// message is a signed-data about to be written.
type message struct {
	kind        asn1.ObjectIdentifier
	content     []byte // DER element, nil = detached
	digest      [sha256.Size]byte
	attributes  bool
	certificate bool
}

func (m message) sign(key crypto.Signer, cert *x509.Certificate) ([]byte, error) {
	if err := checkPair(key, cert); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	digest, attributes := m.digest, []byte(nil)
	if m.attributes {
		set, err := attributeSet(m.kind, m.digest)
		if err != nil {
			return nil, fmt.Errorf("signing: encoding attributes: %w", err)
		}
		digest = sha256.Sum256(set)
		if attributes, err = unwrap(set); err != nil {
			return nil, fmt.Errorf("signing: attributes: %w", err)
		}
	}
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	out, err := m.encode(cert, attributes, signature)
	if err != nil {
		return nil, fmt.Errorf("signing: encoding: %w", err)
	}
	return out, nil
}

// checkPair refuses a key that the certificate does not name: the kernel would
// only say so at boot.
func checkPair(key crypto.Signer, cert *x509.Certificate) error {
	if key == nil || cert == nil {
		return fmt.Errorf("key or certificate is missing")
	}
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("key is a %T, only RSA is supported", key.Public())
	}
	if !public.Equal(cert.PublicKey) {
		return fmt.Errorf("the certificate %q belongs to another key", cert.Subject)
	}
	return nil
}

// attributeSet is the SET OF attributes as it is signed: with its own tag, in
// DER order (content-type is the shorter one and comes first by its length).
func attributeSet(kind asn1.ObjectIdentifier, digest [sha256.Size]byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
		addAttribute(b, oidContentType(), func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(kind) })
		addAttribute(b, oidMessageDigest(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest[:]) })
	})
	return b.Bytes()
}

func addAttribute(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, value cryptobyte.BuilderContinuation) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(cbasn1.SET, value)
	})
}

func addAlgorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1NULL()
	})
}

// encode writes ContentInfo { signedData, [0] SignedData }.
func (m message) encode(cert *x509.Certificate, attributes, signature []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSignedData())
		b.AddASN1(tagContext(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { addAlgorithm(b, oidSHA256()) })
				m.addContent(b)
				if m.certificate {
					b.AddASN1(tagContext(0), func(b *cryptobyte.Builder) { b.AddBytes(cert.Raw) })
				}
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { addSigner(b, cert, attributes, signature) })
			})
		})
	})
	return b.Bytes()
}

func (m message) addContent(b *cryptobyte.Builder) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(m.kind)
		if m.content != nil {
			b.AddASN1(tagContext(0), func(b *cryptobyte.Builder) { b.AddBytes(m.content) })
		}
	})
}

func addSigner(b *cryptobyte.Builder, cert *x509.Certificate, attributes, signature []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(cert.RawIssuer)
			b.AddASN1BigInt(cert.SerialNumber)
		})
		addAlgorithm(b, oidSHA256())
		if attributes != nil {
			b.AddASN1(tagContext(0), func(b *cryptobyte.Builder) { b.AddBytes(attributes) })
		}
		addAlgorithm(b, oidRSA())
		b.AddASN1OctetString(signature)
	})
}
