package firmware

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
)

// Header of an EFI_SIGNATURE_LIST: type, size of the list, of its own header
// (0), and of each signature; each signature starts with its owner's GUID.
const listHeader = 28

// certX509 is EFI_CERT_X509_GUID.
func certX509() GUID {
	return GUID{0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72}
}

// owner is ours on every certificate that we enrol: "choba" and zeros.
func owner() GUID { return GUID{'c', 'h', 'o', 'b', 'a'} }

// List is what PK, KEK and db hold: a signature list for each certificate
// (UEFI specification 2.10, section 32.4.1).
func List(certs ...*x509.Certificate) []byte {
	var b []byte
	id, who := certX509(), owner()
	for _, c := range certs {
		b = append(b, id[:]...)
		b = binary.LittleEndian.AppendUint32(b, uint32(listHeader+len(who)+len(c.Raw)))
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(who)+len(c.Raw)))
		b = append(append(b, who[:]...), c.Raw...)
	}
	return b
}

// Certificates reads signature lists back. Lists of hashes are refused: we
// write none.
func Certificates(lists []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for len(lists) > 0 {
		cert, n, err := firstCertificate(lists)
		if err != nil {
			return nil, fmt.Errorf("reading a signature list: %w", err)
		}
		out = append(out, cert)
		lists = lists[n:]
	}
	return out, nil
}

func firstCertificate(b []byte) (*x509.Certificate, int, error) {
	const start = listHeader + 16
	if len(b) < start {
		return nil, 0, errors.New("cut off")
	}
	if GUID(b[:16]) != certX509() {
		return nil, 0, errors.New("not a list of certificates")
	}
	le := binary.LittleEndian
	size, header, each := uint64(le.Uint32(b[16:])), le.Uint32(b[20:]), uint64(le.Uint32(b[24:]))
	if size < start || size > uint64(len(b)) || header != 0 || each+listHeader != size {
		return nil, 0, fmt.Errorf("list of %d bytes with signatures of %d", size, each)
	}
	cert, err := x509.ParseCertificate(b[start:size])
	if err != nil {
		return nil, 0, err
	}
	if !bytes.Equal(cert.Raw, b[start:size]) {
		return nil, 0, errors.New("bytes behind the certificate")
	}
	return cert, int(size), nil
}

// Enrol turns Secure Boot on with these certificates: a store with a platform
// key makes OVMF leave set-up mode at the next start.
func (s *Store) Enrol(pk, kek, db *x509.Certificate) {
	for _, v := range []struct {
		name  string
		space GUID
		cert  *x509.Certificate
	}{{"PK", Global(), pk}, {"KEK", Global(), kek}, {"db", ImageSecurity(), db}} {
		s.Set(Variable{Name: v.name, Space: v.space, Attributes: Kept | TimeAuthenticated, Data: List(v.cert)})
	}
}
