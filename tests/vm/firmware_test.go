package vm

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/u-root/mkuimage/cpio"

	"github.com/choba-os/choba/image/authenticode"
	"github.com/choba-os/choba/image/firmware"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/tests/bench"
)

func bootImage(t *testing.T) []byte {
	b, err := os.ReadFile(filepath.Join(out, "boot.efi"))
	require.NoError(t, err)
	return b
}

// unsigned is the boot image as it was before it was signed.
func unsigned(t *testing.T) []byte {
	b := bytes.Clone(bootImage(t))
	pe := int(le32(b[0x3c:]))
	table := pe + 24 + 112 + 4*8 // PE32+: certificate table in the data directory
	at := le32(b[table:])
	require.NotZero(t, at, "the boot image is signed")
	b = b[:at]
	copy(b[table:table+8], make([]byte, 8))
	return b
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// stranger is a key that no register knows.
func stranger(t *testing.T) (*rsa.PrivateKey, *x509.Certificate) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stranger"}, NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return key, cert
}

// The firmware starts nothing but the boot image that the vendor signed (A22).
func TestFirmwareRefusesOtherBootImages(t *testing.T) {
	altered := bytes.Clone(bootImage(t))
	altered[len(altered)/2] ^= 1
	key, cert := stranger(t)
	foreign, err := authenticode.Sign(unsigned(t), key, cert)
	require.NoError(t, err)
	kexec := keys(t).Kexec
	half, err := authenticode.Sign(unsigned(t), kexec.Key, kexec.Cert)
	require.NoError(t, err)
	for _, c := range []struct {
		name  string
		image []byte
	}{{"unsigned", unsigned(t)}, {"altered", altered}, {"signed by a stranger", foreign}, {"signed for kexec only", half}} {
		t.Run(c.name, func(t *testing.T) {
			img := esp(t, map[string][]byte{layout.BootFile: c.image})
			r := register(t, func(cfg *bench.Config) { cfg.Disk, cfg.NoTPM = img, true })
			got := on(t, r, `BdsDxe: failed to load Boot.*: Access Denied`, "choba-recovery", "Linux version")
			require.Contains(t, got, "Access Denied")
		})
	}
}

// stub compiles the program that says what a first program sees.
func stub(t *testing.T) []byte {
	t.Setenv("CGO_ENABLED", "0")
	path := filepath.Join(t.TempDir(), "stub")
	tool(t, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", path, "./stub")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

// evilOptions are what an attacker would like the kernel to obey.
const evilOptions = `initrd=\evil.cpio ipe.enforce=0 lockdown=none init=/evil rdinit=/evil console=ttyS0`

// attack owns all that Secure Boot does not cover: the firmware's boot options
// and the other files of the boot partition. Its initramfs is a whole one: a
// kernel that took it would start program instead of what it carries.
func attack(t *testing.T, boot, program []byte) func(*bench.Config) {
	var evil bytes.Buffer
	w := cpio.Newc.Writer(&evil)
	for _, name := range []string{"evil", "init"} {
		require.NoError(t, w.WriteRecord(cpio.StaticFile(name, string(program), 0o555)))
	}
	require.NoError(t, cpio.WriteTrailer(w))
	img := esp(t, map[string][]byte{
		layout.BootFile:                        boot,
		"evil.cpio":                            evil.Bytes(),
		"initrd":                               evil.Bytes(),
		"EFI/BOOT/initrd.cpio":                 evil.Bytes(),
		layout.BootFile + ".extra.d/evil.cred": []byte("evil"),
		layout.BootFile + ".extra.d/evil.addon.efi": []byte("evil"),
		"loader/credentials/evil.cred":              []byte("evil"),
		"loader/entries/evil.conf":                  []byte("options init=/evil\n"),
		"EFI/BOOT/cmdline.txt":                      []byte("ipe.enforce=0"),
		"kernel/x86/microcode/GenuineIntel.bin":     []byte("evil"),
		"startup.nsh":                               []byte("evil"),
	})
	b, err := os.ReadFile(filepath.Join(out, "vars.fd"))
	require.NoError(t, err)
	store, err := firmware.Parse(b)
	require.NoError(t, err)
	store.AddBootOptions(firmware.BootOption{Number: 0, Description: "evil", PCIDevice: 0x11,
		Path: `\EFI\BOOT\BOOTX64.EFI`, Options: evilOptions})
	b, err = store.Bytes()
	require.NoError(t, err)
	vars := filepath.Join(short(t), "vars.fd")
	require.NoError(t, os.WriteFile(vars, b, 0o644))
	return func(cfg *bench.Config) { cfg.ESP, cfg.Vars = img, vars }
}

// A boot option cannot smuggle an initramfs into the signed kernel, and what
// lies loose beside the boot image is not looked at: the register comes up as
// always (A22, A43).
func TestNothingLooseReachesTheBootImage(t *testing.T) {
	r := register(t, attack(t, bootImage(t), stub(t)))
	require.Regexp(t, ready, on(t, r, ready, stop, "stub: .*"))
	text := r.Text()
	require.Contains(t, text, `"evil"`, "the firmware took the smuggled boot option")
	require.NotContains(t, text, "stub:")
	require.Contains(t, text, "choba-recovery: start")
}
