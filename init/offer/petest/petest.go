// Package petest makes small signed PE files that stand in for boot images in tests.
//
// It is for tests only and is not a linker: the files cannot run. The rule that keeps it small: just enough of PE for
// image/authenticode to hash and sign.
package petest

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/authenticode"
	"github.com/choba-os/choba/image/pkcs7/pkcs7test"
)

const (
	headers = 0x200
	atPE    = 0x40
	atOpt   = atPE + 24
)

// Unsigned is a file whose content depends on seed, of about so many bytes.
func Unsigned(seed byte, size int) []byte {
	le := binary.LittleEndian
	size = (size+0xff)&^0xff + headers
	pe := make([]byte, size)
	copy(pe, "MZ")
	le.PutUint32(pe[0x3c:], atPE)
	copy(pe[atPE:], "PE\x00\x00")
	le.PutUint16(pe[atPE+4:], 0x8664)
	le.PutUint16(pe[atPE+6:], 1)
	le.PutUint16(pe[atPE+20:], 240)
	le.PutUint16(pe[atOpt:], 0x20b)
	le.PutUint32(pe[atOpt+60:], headers)
	le.PutUint32(pe[atOpt+108:], 16)
	section := pe[atOpt+240:]
	le.PutUint32(section[16:], uint32(size-headers))
	le.PutUint32(section[20:], headers)
	for i := headers; i < len(pe); i++ {
		pe[i] = byte(i*7) + seed
	}
	return pe
}

// Signed is a file signed by the named test keys of image/pkcs7, in their order.
func Signed(t testing.TB, repository string, seed byte, size int, keys ...string) []byte {
	t.Helper()
	pe := Unsigned(seed, size)
	for _, name := range keys {
		key, cert := pkcs7test.Pair(t, repository, name)
		var err error
		pe, err = authenticode.Sign(pe, key, cert)
		require.NoError(t, err)
	}
	return pe
}
