package firmware_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/firmware"
)

const ovmf = "/usr/share/OVMF/OVMF_VARS_4M.fd"

// blank is an empty store of the given size in a volume like OVMF's.
func blank(size int) []byte {
	le := binary.LittleEndian
	b := bytes.Repeat([]byte{0xFF}, 72+size+64)
	copy(b[40:], "_FVH")
	le.PutUint16(b[48:], 72)
	copy(b[72:], []byte{0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92})
	le.PutUint32(b[72+16:], uint32(size))
	b[72+20], b[72+21] = 0x5A, 0xFE
	return b
}

func cert(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../pkcs7/testdata", name+".crt"))
	require.NoError(t, err)
	block, _ := pem.Decode(b)
	c, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return c
}

func enrolled(t testing.TB, image []byte) []byte {
	t.Helper()
	s, err := firmware.Parse(image)
	require.NoError(t, err)
	s.Enrol(cert(t, "one"), cert(t, "two"), cert(t, "one"))
	s.AddBootOptions(firmware.BootOption{Number: 0, Description: "evil", PCIDevice: 16,
		Path: `\EFI\BOOT\BOOTX64.EFI`, Options: `initrd=\evil.cpio`})
	out, err := s.Bytes()
	require.NoError(t, err)
	return out
}

func TestGolden(t *testing.T) {
	sum := sha256.Sum256(enrolled(t, blank(8192)))
	require.Equal(t, "d34cf52ade969bc640c7dfb093a61cde3834bf99e5cd9b627ba3840ef3451bf6", hex.EncodeToString(sum[:]))
}

func TestRoundTrip(t *testing.T) {
	images := map[string][]byte{"made": blank(8192)}
	if b, err := os.ReadFile(ovmf); err == nil {
		images["ovmf"] = b
	}
	for name, image := range images {
		t.Run(name, func(t *testing.T) {
			out := enrolled(t, image)
			require.Len(t, out, len(image))
			s, err := firmware.Parse(out)
			require.NoError(t, err)
			require.Len(t, s.Variables(), 5)
			lists, ok := s.Get(firmware.Global(), "KEK")
			require.True(t, ok)
			certs, err := firmware.Certificates(lists)
			require.NoError(t, err)
			require.Equal(t, []*x509.Certificate{cert(t, "two")}, certs)
			_, ok = s.Get(firmware.Global(), "db")
			require.False(t, ok, "db has a name space of its own")
			again, err := s.Bytes()
			require.NoError(t, err)
			require.Equal(t, out, again)
			s.Enrol(cert(t, "two"), cert(t, "two"), cert(t, "two"))
			require.Len(t, s.Variables(), 5, "replaced, not added")
		})
	}
}

// A deleted variable (state 0x3C) is not there any more.
func TestDeletedVariable(t *testing.T) {
	out := enrolled(t, blank(8192))
	out[72+28+2] = 0x3C
	s, err := firmware.Parse(out)
	require.NoError(t, err)
	_, ok := s.Get(firmware.Global(), "PK")
	require.False(t, ok)
	require.Len(t, s.Variables(), 4)
}

func TestRefuses(t *testing.T) {
	good := enrolled(t, blank(8192))
	change := func(at int, v ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], v)
		return b
	}
	const first = 72 + 28
	for name, c := range map[string]struct {
		image []byte
		want  string
	}{
		"empty":          {nil, "no firmware volume"},
		"other file":     {make([]byte, 4096), "no firmware volume"},
		"no store":       {change(48, 0xFF, 0xFF), "no variable store"},
		"plain store":    {change(72, 0), "not a store of authenticated variables"},
		"unformatted":    {change(72+20, 0xFF), "not a store of authenticated variables"},
		"store too long": {change(72+16, 0, 0, 1), "store of 65536 bytes"},
		"name too long":  {change(first+36, 0xFF, 0xFF), "do not fit"},
		"name odd":       {change(first+36, 5), "do not fit"},
		"data too long":  {change(first+40, 0, 0, 1), "do not fit"},
		"name no end":    {change(first+36, 4), "name has no end"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := firmware.Parse(c.image)
			require.ErrorContains(t, err, c.want)
		})
	}
	s, err := firmware.Parse(blank(1024))
	require.NoError(t, err)
	s.Enrol(cert(t, "one"), cert(t, "one"), cert(t, "one"))
	_, err = s.Bytes()
	require.ErrorContains(t, err, "no room for")
}

func TestCertificatesRefuses(t *testing.T) {
	good := firmware.List(cert(t, "one"))
	certs, err := firmware.Certificates(append(bytes.Clone(good), firmware.List(cert(t, "two"))...))
	require.NoError(t, err)
	require.Len(t, certs, 2)
	for i := range good {
		_, err := firmware.Certificates(good[:i])
		require.Equal(t, i == 0, err == nil, "cut at %d", i)
	}
	for i := range 28 {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		_, err := firmware.Certificates(bad)
		require.Error(t, err, "byte %d", i)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(blank(256))
	f.Add(enrolled(f, blank(8192)))
	f.Fuzz(func(t *testing.T, image []byte) {
		s, err := firmware.Parse(image)
		if err != nil {
			return
		}
		out, err := s.Bytes()
		if err != nil {
			return
		}
		again, err := firmware.Parse(out)
		require.NoError(t, err)
		require.Equal(t, s.Variables(), again.Variables())
	})
}

func FuzzCertificates(f *testing.F) {
	f.Add(firmware.List(cert(f, "one"), cert(f, "two")))
	f.Fuzz(func(t *testing.T, b []byte) {
		certs, err := firmware.Certificates(b)
		if err == nil {
			require.Len(t, firmware.List(certs...), len(b))
		}
	})
}
