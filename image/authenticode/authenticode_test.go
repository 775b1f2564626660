package authenticode_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/authenticode"
	"github.com/choba-os/choba/image/pkcs7"
	"github.com/choba-os/choba/image/pkcs7/pkcs7test"
)

const keys = "../pkcs7/testdata"

func pair(t testing.TB, name string) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	return pkcs7test.Pair(t, "../..", name)
}

// Offsets in the file that smallPE makes.
const (
	atPE        = 0x40
	atOpt       = atPE + 24
	atChecksum  = atOpt + 64
	atDirectory = atOpt + 144
	atSections  = atOpt + 240
	headers     = 0x200
)

// smallPE is the smallest file that sbsign takes: two sections, and some bytes
// behind them.
func smallPE(trailing int) []byte {
	le := binary.LittleEndian
	pe := make([]byte, headers+0x300+trailing)
	copy(pe, "MZ")
	le.PutUint32(pe[0x3c:], atPE)
	copy(pe[atPE:], "PE\x00\x00")
	le.PutUint16(pe[atPE+4:], 0x8664)
	le.PutUint16(pe[atPE+6:], 2)
	le.PutUint16(pe[atPE+20:], 240)
	le.PutUint16(pe[atOpt:], 0x20b)
	le.PutUint32(pe[atOpt+32:], 0x1000) // section alignment
	le.PutUint32(pe[atOpt+36:], 0x100)  // file alignment
	le.PutUint32(pe[atOpt+60:], headers)
	le.PutUint16(pe[atOpt+68:], 10) // EFI application
	le.PutUint32(pe[atOpt+108:], 16)
	for i, s := range [][2]uint32{{headers, 0x100}, {headers + 0x100, 0x200}} {
		e := pe[atSections+40*i:]
		copy(e, ".text")
		le.PutUint32(e[8:], s[1])
		le.PutUint32(e[12:], uint32(0x1000*(i+1)))
		le.PutUint32(e[16:], s[1])
		le.PutUint32(e[20:], s[0])
	}
	for i := headers; i < len(pe); i++ {
		pe[i] = byte(i * 7)
	}
	return pe
}

func put32(pe []byte, at int, v uint32) []byte {
	out := bytes.Clone(pe)
	binary.LittleEndian.PutUint32(out[at:], v)
	return out
}

func TestHash(t *testing.T) {
	pe := smallPE(0)
	want := sha256.New()
	want.Write(pe[:atChecksum])
	want.Write(pe[atChecksum+4 : atDirectory])
	want.Write(pe[atDirectory+8:])
	sum, err := authenticode.Hash(pe)
	require.NoError(t, err)
	require.Equal(t, want.Sum(nil), sum[:])
	require.Equal(t, "9509adf8e0fb62d1dfd23e3c74cf71a23e721e47be0dd5958179113180ae6777", hex.EncodeToString(sum[:]))
	again, err := authenticode.Hash(put32(pe, atChecksum, 77))
	require.NoError(t, err)
	require.Equal(t, sum, again, "the checksum is not hashed")
	for i := range pe {
		bad := bytes.Clone(pe)
		bad[i] ^= 1
		again, err := authenticode.Hash(bad)
		covered := (i < atChecksum || i >= atChecksum+4) && (i < atDirectory || i >= atDirectory+8)
		if err == nil && covered {
			require.NotEqual(t, sum, again, "byte %d", i)
		}
	}
}

func TestSignTwice(t *testing.T) {
	kexecKey, kexec := pair(t, "one")
	dbKey, db := pair(t, "two")
	for _, trailing := range []int{0, 5, 8} {
		pe := smallPE(trailing)
		_, err := authenticode.Verify(pe, db)
		require.ErrorIs(t, err, pkcs7.ErrSignature)
		first, err := authenticode.Sign(pe, kexecKey, kexec)
		require.NoError(t, err)
		both, err := authenticode.Sign(first, dbKey, db)
		require.NoError(t, err)
		place, err := authenticode.Verify(both, kexec)
		require.NoError(t, err)
		require.Equal(t, 0, place)
		place, err = authenticode.Verify(both, db)
		require.NoError(t, err)
		require.Equal(t, 1, place)
		before, err := authenticode.Hash(pe)
		require.NoError(t, err)
		after, err := authenticode.Hash(both)
		require.NoError(t, err)
		require.Equal(t, before, after, "signing does not change the hash")
		require.Zero(t, len(both)%8)
		again, err := authenticode.Sign(first, dbKey, db)
		require.NoError(t, err)
		require.Equal(t, both, again, "the same input gives the same bytes")
	}
}

// Every altered byte outside the signatures is refused; so is the right
// signature on another file.
func TestAlteredFileIsRefused(t *testing.T) {
	key, cert := pair(t, "one")
	pe := smallPE(0)
	signed, err := authenticode.Sign(pe, key, cert)
	require.NoError(t, err)
	for i := range pe {
		if i >= atChecksum && i < atChecksum+4 {
			continue
		}
		bad := bytes.Clone(signed)
		bad[i] ^= 0x10
		_, err := authenticode.Verify(bad, cert)
		require.Error(t, err, "byte %d", i)
	}
	other, err := authenticode.Sign(smallPE(8), key, cert)
	require.NoError(t, err)
	moved := bytes.Clone(other)
	copy(moved[len(pe)+8:], signed[len(pe):])
	_, err = authenticode.Verify(moved, cert)
	require.ErrorContains(t, err, "the file was altered")
}

func TestRefuses(t *testing.T) {
	pe := smallPE(0)
	for name, c := range map[string]struct {
		pe   []byte
		want string
	}{
		"empty":              {nil, "no DOS header"},
		"text":               {bytes.Repeat([]byte("x"), 999), "no DOS header"},
		"PE outside":         {put32(pe, 0x3c, 1<<30), "no PE header"},
		"no PE":              {put32(pe, atPE, 0), "no PE header"},
		"32 bits":            {put32(pe, atOpt, 0x10b), "not a 64-bit"},
		"few directories":    {put32(pe, atOpt+108, 4), "no room"},
		"headers too small":  {put32(pe, atOpt+60, 0x100), "headers are larger"},
		"headers too large":  {put32(pe, atOpt+60, 1<<20), "headers are larger"},
		"gap":                {put32(pe, atSections+20, headers+0x80), "but the part before it ends"},
		"overlap":            {put32(pe, atSections+16, 0x180), "but the part before it ends"},
		"section too long":   {put32(pe, atSections+40+16, 0x1000), "behind the file's contents"},
		"table in middle":    {put32(put32(pe, atDirectory, headers), atDirectory+4, 16), "not the end"},
		"table over file":    {put32(put32(pe, atDirectory, headers), atDirectory+4, 1<<31), "not the end"},
		"table over section": {put32(put32(pe, atDirectory, headers+0x2f0), atDirectory+4, 16), "behind the file's contents"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := authenticode.Hash(c.pe)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// sbsign and sbverify are the other party: both directions, on a file of our
// own and on a program that Debian ships.
func TestSbsigntool(t *testing.T) {
	if _, err := exec.LookPath("sbverify"); err != nil {
		t.Skip("sbsigntool is not installed")
	}
	key, cert := pair(t, "one")
	key2, cert2 := pair(t, "two")
	samples := map[string][]byte{"small": smallPE(0), "trailing": smallPE(5)}
	if b, err := os.ReadFile("/usr/lib/efitools/x86_64-linux-gnu/HelloWorld.efi"); err == nil {
		samples["efitools"] = b
	}
	for name, pe := range samples {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, theirs := filepath.Join(dir, "a.efi"), filepath.Join(dir, "b.efi")
			signed, err := authenticode.Sign(pe, key, cert)
			require.NoError(t, err)
			signed, err = authenticode.Sign(signed, key2, cert2)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, signed, 0o600))
			for _, k := range []string{"one", "two"} {
				out, err := exec.Command("sbverify", "--cert", filepath.Join(keys, k+".crt"), path).CombinedOutput()
				require.NoError(t, err, "%s", out)
			}
			require.NoError(t, os.WriteFile(path, pe, 0o600))
			out, err := exec.Command("sbsign", "--key", filepath.Join(keys, "one.key"),
				"--cert", filepath.Join(keys, "one.crt"), "--output", theirs, path).CombinedOutput()
			require.NoError(t, err, "%s", out)
			b, err := os.ReadFile(theirs)
			require.NoError(t, err)
			_, err = authenticode.Verify(b, cert)
			require.NoError(t, err)
		})
	}
}

// Files that are read without complaint have every byte in their hash, and
// signatures that stay inside the file. (Signing itself is too slow to fuzz.)
func FuzzRead(f *testing.F) {
	key, cert := pair(f, "one")
	f.Add(smallPE(0), 600)
	f.Add(smallPE(5), 1284)
	signed, err := authenticode.Sign(smallPE(0), key, cert)
	require.NoError(f, err)
	f.Add(signed, 1300)
	f.Fuzz(func(t *testing.T, pe []byte, at int) {
		before, err := authenticode.Hash(pe)
		if err != nil {
			return
		}
		messages, _ := authenticode.Signatures(pe)
		for _, m := range messages {
			require.LessOrEqual(t, len(m), len(pe))
		}
		_, _ = authenticode.Verify(pe, cert)
		if at < 0 || at >= len(pe) {
			return
		}
		bad := bytes.Clone(pe)
		bad[at] ^= 0x40
		after, err := authenticode.Hash(bad)
		if err == nil && before == after {
			require.True(t, ignored(pe, at), "byte %d is not covered", at)
		}
	})
}

// ignored tells whether a byte is in the checksum, the certificate directory
// or the certificate table.
func ignored(pe []byte, at int) bool {
	le := binary.LittleEndian
	opt := int(le.Uint32(pe[0x3c:])) + 24
	table := int(le.Uint32(pe[opt+144:]))
	return at >= opt+64 && at < opt+68 || at >= opt+144 && at < opt+152 || table != 0 && at >= table
}
