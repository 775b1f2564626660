package pkcs7

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ErrSignature is wrapped when a message is well formed and its signature does
// not fit the content or the key.
var ErrSignature = errors.New("signature does not fit")

// Message is a parsed signed-data with one signer.
type Message struct {
	Kind    asn1.ObjectIdentifier
	Content []byte // DER element, nil = detached

	issuer     []byte // DER
	serial     *big.Int
	inside     []byte // DER of the certificates that travel inside, nil = none
	attributes []byte // what is inside the implicit tag, nil = none
	signature  []byte
}

// Parse reads what this package, sbsign or openssl writes. Several signers,
// another digest than SHA-256, and bytes after the end are refused.
func Parse(der []byte) (*Message, error) {
	m, err := parse(der)
	if err != nil {
		return nil, fmt.Errorf("reading a PKCS#7 message: %w", err)
	}
	return m, nil
}

func parse(der []byte) (*Message, error) {
	s := cryptobyte.String(der)
	var info, wrapped, data cryptobyte.String
	if !s.ReadASN1(&info, cbasn1.SEQUENCE) || !s.Empty() {
		return nil, errors.New("not one DER sequence")
	}
	if err := expectOID(&info, oidSignedData()); err != nil {
		return nil, err
	}
	if !info.ReadASN1(&wrapped, tagContext(0)) || !info.Empty() ||
		!wrapped.ReadASN1(&data, cbasn1.SEQUENCE) || !wrapped.Empty() {
		return nil, errors.New("signed-data is damaged")
	}
	return parseSignedData(data)
}

func parseSignedData(data cryptobyte.String) (*Message, error) {
	m := &Message{}
	var version int64
	var digests, signers cryptobyte.String
	if !data.ReadASN1Integer(&version) || version != 1 {
		return nil, errors.New("version is not 1")
	}
	if !data.ReadASN1(&digests, cbasn1.SET) {
		return nil, errors.New("digest algorithms are damaged")
	}
	if err := expectAlgorithm(&digests, oidSHA256()); err != nil || !digests.Empty() {
		return nil, errors.New("digest algorithms: want SHA-256 alone")
	}
	if err := m.parseContent(&data); err != nil {
		return nil, err
	}
	var certificates cryptobyte.String
	if !data.ReadOptionalASN1(&certificates, nil, tagContext(0)) || !data.SkipOptionalASN1(tagContext(1)) {
		return nil, errors.New("certificates are damaged")
	}
	m.inside = certificates
	if !data.ReadASN1(&signers, cbasn1.SET) || !data.Empty() {
		return nil, errors.New("signers are damaged")
	}
	return m, m.parseSigner(signers)
}

func (m *Message) parseContent(data *cryptobyte.String) error {
	var info, wrapped cryptobyte.String
	var present bool
	if !data.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&m.Kind) ||
		!info.ReadOptionalASN1(&wrapped, &present, tagContext(0)) || !info.Empty() {
		return errors.New("content is damaged")
	}
	if !present {
		return nil
	}
	// The digest leaves the element's tag out: it is checked here.
	tag := cbasn1.SEQUENCE
	if m.Kind.Equal(oidData()) {
		tag = cbasn1.OCTET_STRING
	}
	if _, err := unwrap(wrapped); err != nil || !wrapped.PeekASN1Tag(tag) {
		return errors.New("content is not the element that its type says")
	}
	m.Content = wrapped
	return nil
}

func (m *Message) parseSigner(signers cryptobyte.String) error {
	var signer, id, issuer cryptobyte.String
	var version int64
	m.serial = new(big.Int)
	if !signers.ReadASN1(&signer, cbasn1.SEQUENCE) || !signers.Empty() {
		return errors.New("want one signer")
	}
	if !signer.ReadASN1Integer(&version) || version != 1 {
		return errors.New("signer's version is not 1")
	}
	if !signer.ReadASN1(&id, cbasn1.SEQUENCE) || !id.ReadASN1Element(&issuer, cbasn1.SEQUENCE) ||
		!id.ReadASN1Integer(m.serial) || !id.Empty() {
		return errors.New("signer's name is damaged")
	}
	m.issuer = issuer
	if err := expectAlgorithm(&signer, oidSHA256()); err != nil {
		return err
	}
	var attributes, signature cryptobyte.String
	var present bool
	if !signer.ReadOptionalASN1(&attributes, &present, tagContext(0)) {
		return errors.New("attributes are damaged")
	}
	if present {
		m.attributes = attributes
	}
	if err := expectAlgorithm(&signer, oidRSA()); err != nil {
		return err
	}
	if !signer.ReadASN1(&signature, cbasn1.OCTET_STRING) || !signer.Empty() {
		return errors.New("signature is damaged")
	}
	m.signature = signature
	return nil
}

func expectOID(s *cryptobyte.String, want asn1.ObjectIdentifier) error {
	var got asn1.ObjectIdentifier
	if !s.ReadASN1ObjectIdentifier(&got) || !got.Equal(want) {
		return fmt.Errorf("object identifier: got %v, want %v", got, want)
	}
	return nil
}

// expectAlgorithm accepts absent parameters and NULL (RFC 4055, section 2.1).
func expectAlgorithm(s *cryptobyte.String, want asn1.ObjectIdentifier) error {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return errors.New("algorithm is damaged")
	}
	if err := expectOID(&seq, want); err != nil {
		return err
	}
	if !seq.SkipOptionalASN1(cbasn1.NULL) || !seq.Empty() {
		return errors.New("algorithm has parameters")
	}
	return nil
}

// Certificate is the signer's certificate that travels inside the message. It is
// nobody's promise: it tells who a message that is believed for other reasons was
// signed by.
func (m *Message) Certificate() (*x509.Certificate, error) {
	rest := cryptobyte.String(m.inside)
	for !rest.Empty() {
		var der cryptobyte.String
		if !rest.ReadASN1Element(&der, cbasn1.SEQUENCE) {
			return nil, errors.New("reading the certificate of a PKCS#7 message: damaged")
		}
		cert, err := x509.ParseCertificate(der)
		if err == nil && m.Names(cert) {
			return cert, nil
		}
	}
	return nil, errors.New("reading the certificate of a PKCS#7 message: the signer's is not inside")
}

// Names tells whether the message says that cert's key signed it.
func (m *Message) Names(cert *x509.Certificate) bool {
	return bytes.Equal(m.issuer, cert.RawIssuer) && m.serial.Cmp(cert.SerialNumber) == 0
}

// Verify checks the signature with the certificate's key. content is what a
// detached message was made for, and nil for the others.
func (m *Message) Verify(content []byte, cert *x509.Certificate) error {
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || !m.Names(cert) {
		return fmt.Errorf("verifying: %w: %q is not the signer", ErrSignature, cert.Subject)
	}
	if (m.Content == nil) != (content != nil) {
		return errors.New("verifying: content must come from exactly one side")
	}
	if m.Content != nil {
		var err error
		if content, err = unwrap(m.Content); err != nil {
			return fmt.Errorf("verifying: content: %w", err)
		}
	}
	digest := sha256.Sum256(content)
	if m.attributes == nil && !m.Kind.Equal(oidData()) {
		return errors.New("verifying: typed content without attributes: its type is unsigned")
	}
	if m.attributes != nil {
		var err error
		if digest, err = m.attributesDigest(digest); err != nil {
			return fmt.Errorf("verifying: attributes: %w", err)
		}
	}
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], m.signature); err != nil {
		return fmt.Errorf("verifying: %w", ErrSignature)
	}
	return nil
}

// attributesDigest checks that the attributes speak of this content, and
// returns the digest of what was signed: the attributes as a SET.
func (m *Message) attributesDigest(content [sha256.Size]byte) (sum [sha256.Size]byte, err error) {
	var kind asn1.ObjectIdentifier
	var digest []byte
	rest := cryptobyte.String(m.attributes)
	for !rest.Empty() {
		var attribute, values cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !rest.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&oid) ||
			!attribute.ReadASN1(&values, cbasn1.SET) || !attribute.Empty() {
			return sum, errors.New("damaged")
		}
		switch {
		case oid.Equal(oidContentType()):
			if kind != nil || !values.ReadASN1ObjectIdentifier(&kind) || !values.Empty() {
				return sum, errors.New("content type is damaged")
			}
		case oid.Equal(oidMessageDigest()):
			if digest != nil || !values.ReadASN1Bytes(&digest, cbasn1.OCTET_STRING) || !values.Empty() {
				return sum, errors.New("message digest is damaged")
			}
		}
	}
	if !kind.Equal(m.Kind) || !bytes.Equal(digest, content[:]) {
		return sum, fmt.Errorf("%w: they belong to another content", ErrSignature)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(m.attributes) })
	set, err := b.Bytes()
	if err != nil {
		return sum, err
	}
	return sha256.Sum256(set), nil
}
