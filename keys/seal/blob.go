package seal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// Blob is a sealed key: useless without the TPM that made it. At and PolicyKey
// are copies for explaining a refusal; what counts is inside Public and Private.
type Blob struct {
	At        Boot
	PolicyKey Digest // name of the policy key without its algorithm
	Public    []byte // TPM2B_PUBLIC contents
	Private   []byte // TPM2B_PRIVATE contents
}

// The encoding, all big endian:
//
//	8  magic "CHOBAKEY"
//	2  version, 1
//	32 PCR 4   32 PCR 7   32 name of the policy key
//	2  length of the public part, and the part
//	2  length of the private part, and the part
const (
	blobMagic   = "CHOBAKEY"
	blobVersion = 1
	maxPart     = 1024
)

// Encode writes b down.
func (b Blob) Encode() []byte {
	out := binary.BigEndian.AppendUint16([]byte(blobMagic), blobVersion)
	for _, d := range []Digest{b.At.Image, b.At.SecureBoot, b.PolicyKey} {
		out = append(out, d[:]...)
	}
	for _, part := range [][]byte{b.Public, b.Private} {
		out = binary.BigEndian.AppendUint16(out, uint16(len(part)))
		out = append(out, part...)
	}
	return out
}

// ParseBlob reads what Encode wrote and nothing else.
func ParseBlob(data []byte) (Blob, error) {
	var b Blob
	head := len(blobMagic) + 2
	if len(data) < head+3*len(Digest{}) || string(data[:len(blobMagic)]) != blobMagic {
		return Blob{}, errors.New("reading sealed key: not a sealed key")
	}
	if v := binary.BigEndian.Uint16(data[len(blobMagic):]); v != blobVersion {
		return Blob{}, fmt.Errorf("reading sealed key: version: got %d, want %d", v, blobVersion)
	}
	data = data[head:]
	for _, d := range []*Digest{&b.At.Image, &b.At.SecureBoot, &b.PolicyKey} {
		data = data[copy(d[:], data):]
	}
	for _, part := range []*[]byte{&b.Public, &b.Private} {
		if len(data) < 2 {
			return Blob{}, errors.New("reading sealed key: it is cut off")
		}
		n := int(binary.BigEndian.Uint16(data))
		if n == 0 || n > maxPart || n > len(data)-2 {
			return Blob{}, fmt.Errorf("reading sealed key: a part of %d bytes does not fit", n)
		}
		*part, data = append([]byte{}, data[2:2+n]...), data[2+n:]
	}
	if len(data) != 0 {
		return Blob{}, fmt.Errorf("reading sealed key: %d bytes too many", len(data))
	}
	return b, nil
}

// keyDigest is a TPM name without its algorithm identifier.
func keyDigest(name tpm2.TPM2BName) (d Digest) {
	if len(name.Buffer) == len(d)+2 {
		copy(d[:], name.Buffer[2:])
	}
	return d
}
