package bootimage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/u-root/mkuimage/cpio"

	"github.com/choba-os/choba/image/pkcs7"
	"github.com/choba-os/choba/image/pkcs7/pkcs7test"
	"github.com/choba-os/choba/init/offer/petest"
)

// testKeys are any two keys; they sign nothing that boots.
func testKeys(t *testing.T) map[string]Signer {
	t.Helper()
	out := map[string]Signer{}
	for use, name := range map[string]string{"verity": "one", "kexec": "two"} {
		key, cert := pkcs7test.Pair(t, "../..", name)
		out[use] = Signer{Key: key, Cert: cert}
	}
	return out
}

const program = "\x7fELF\x02\x01 program"

func TestInitramfs(t *testing.T) {
	a, err := Initramfs([]byte(program), []byte("trust"), []byte("policy"))
	require.NoError(t, err)
	b, err := Initramfs([]byte(program), []byte("trust"), []byte("policy"))
	require.NoError(t, err)
	require.Equal(t, a, b)
	sum := sha256.Sum256(a)
	require.Equal(t, "62965d4255722e31cf9cca488dc9b24598c4e33013d2d67854af75fd7e14a740", hex.EncodeToString(sum[:]))

	var names []string
	err = cpio.ForEachRecord(cpio.EOFReader{RecordReader: cpio.Newc.Reader(bytes.NewReader(a))}, func(r cpio.Record) error {
		require.Zero(t, r.UID|r.GID|r.MTime, r.Name)
		names = append(names, r.Name)
		if r.Mode&cpio.S_IFMT == cpio.S_IFREG {
			content, err := io.ReadAll(io.NewSectionReader(r, 0, int64(r.FileSize)))
			require.NoError(t, err)
			require.NotEmpty(t, content)
			require.Zero(t, r.Mode&0o222, "%s is writable", r.Name)
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, "dev etc etc/choba proc run slot sys tmp dev/console dev/null etc/choba/trust.txt etc/choba/run.p7b init",
		strings.Join(names, " "))
}

// Further files lie beside the trust list.
func TestInitramfsHoldsFurtherFiles(t *testing.T) {
	a, err := Initramfs([]byte(program), []byte("trust"), []byte("policy"), File{SourcePath, []byte("source")})
	require.NoError(t, err)
	found := ""
	require.NoError(t, cpio.ForEachRecord(cpio.EOFReader{RecordReader: cpio.Newc.Reader(bytes.NewReader(a))}, func(r cpio.Record) error {
		if "/"+r.Name == SourcePath {
			content, err := io.ReadAll(io.NewSectionReader(r, 0, int64(r.FileSize)))
			found = string(content)
			return err
		}
		return nil
	}))
	require.Equal(t, "source", found)
}

func TestInitramfsRefuses(t *testing.T) {
	_, err := Initramfs([]byte("#!/bin/sh"), []byte("trust"), []byte("policy"))
	require.ErrorContains(t, err, "not a 64-bit ELF")
	_, err = Initramfs([]byte(program), nil, []byte("policy"))
	require.ErrorContains(t, err, "missing")
	_, err = Initramfs([]byte(program), []byte("trust"), nil)
	require.ErrorContains(t, err, "missing")
	_, err = Build(t.Context(), Inputs{Recovery: []byte(program)})
	require.ErrorContains(t, err, "key is missing")
}

// TestID: the id names the kernel, recovery, trust, source and certificates, and is inside the image.
func TestID(t *testing.T) {
	k := testKeys(t)
	in := Inputs{DB: k["kexec"], Kexec: k["kexec"], Verity: k["verity"], Recovery: []byte(program), Trust: []byte("trust"), CacheDir: t.TempDir()}
	id, err := ID(t.Context(), in)
	require.NoError(t, err)
	require.Regexp(t, "^[0-9a-f]{64}\n$", string(id))
	for name, change := range map[string]func(*Inputs){
		"program": func(x *Inputs) { x.Recovery = []byte(program + "2") },
		"trust":   func(x *Inputs) { x.Trust = []byte("other") },
		"source":  func(x *Inputs) { x.Source = []byte("{}") },
		"keys":    func(x *Inputs) { x.Kexec = k["verity"] },
	} {
		other := in
		change(&other)
		got, err := ID(t.Context(), other)
		require.NoError(t, err, name)
		require.NotEqual(t, id, got, name)
	}
	other := in
	other.DB = k["verity"]
	got, err := ID(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, id, got, "a signature changes no kernel")

	with, err := in.kernel(id)
	require.NoError(t, err)
	require.Contains(t, string(with.Initramfs), string(id))
	require.Contains(t, string(with.Initramfs), IDPath[1:])
}

// The run-time policy is the stricter one and has the higher version: then the
// kernel refuses to go back.
func TestPolicies(t *testing.T) {
	boot, run := string(BootPolicy()), runPolicy
	require.True(t, strings.HasPrefix(boot, "policy_name=choba_boot policy_version=0.0.1\nDEFAULT action=DENY\n"))
	require.True(t, strings.HasPrefix(run, "policy_name=choba_run policy_version=0.0.2\nDEFAULT action=DENY\n"))
	require.NotContains(t, run, "boot_verified")
	require.NotContains(t, run, "KEXEC")
	require.NotContains(t, boot, "KEXEC_INITRAMFS")
	verity := testKeys(t)["verity"]
	signed, err := RunPolicy(verity)
	require.NoError(t, err)
	m, err := pkcs7.Parse(signed)
	require.NoError(t, err)
	require.NoError(t, m.Verify(nil, verity.Cert))
	require.Contains(t, string(m.Content), run)
}

func TestTrusted(t *testing.T) {
	keys := testKeys(t)
	text := string(Trusted(keys["verity"].Cert, keys["kexec"].Cert))
	require.Equal(t, 2, strings.Count(text, "BEGIN CERTIFICATE"))
}

// Firmware that refuses a PE file of many sections (particleos #64) must not find out on a shop's counter.
func TestFewSections(t *testing.T) {
	image := petest.Unsigned(1, 4096)
	require.NoError(t, fewSections(image))
	at := binary.LittleEndian.Uint32(image[0x3c:])
	binary.LittleEndian.PutUint16(image[at+6:], maxSections+1)
	require.ErrorContains(t, fewSections(image), "17 sections")
	binary.LittleEndian.PutUint32(image[0x3c:], 1<<32-1)
	require.Error(t, fewSections(image))
	require.Error(t, fewSections([]byte("MZ")))
}
