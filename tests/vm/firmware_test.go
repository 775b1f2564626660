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
	for _, c := range []struct {
		name  string
		image []byte
	}{{"unsigned", unsigned(t)}, {"altered", altered}, {"signed by a stranger", foreign}} {
		t.Run(c.name, func(t *testing.T) {
			img := esp(t, map[string][]byte{layout.BootFile: c.image})
			r := register(t, func(cfg *bench.Config) { cfg.Disk, cfg.NoTPM = img, true })
			got := on(t, r, `BdsDxe: failed to load Boot.*: Access Denied`, "choba-recovery", "Linux version")
			require.Contains(t, got, "Access Denied")
		})
	}
}

// A boot option cannot smuggle an initramfs into the signed kernel, and what
// lies loose beside the boot image is not looked at (A22, A43).
func TestNothingLooseReachesTheBootImage(t *testing.T) {
	evil := []byte("070701") // what it holds does not matter: it must not be opened
	img := esp(t, map[string][]byte{
		layout.BootFile:                               bootImage(t),
		"evil.img":                                    evil,
		"EFI/BOOT/BOOTX64.EFI.extra.d/evil.cred":      evil,
		"loader/credentials/evil.cred":                evil,
		"EFI/BOOT/BOOTX64.EFI.extra.d/evil.addon.efi": evil,
		"startup.nsh":                                 []byte("evil"),
	})
	b, err := os.ReadFile(filepath.Join(out, "vars.fd"))
	require.NoError(t, err)
	store, err := firmware.Parse(b)
	require.NoError(t, err)
	store.AddBootOptions(firmware.BootOption{Number: 0, Description: "evil", PCIDevice: 0x11,
		Path: `\EFI\BOOT\BOOTX64.EFI`, Options: `initrd=\evil.img ipe.enforce=0 lockdown=none init=/evil`})
	b, err = store.Bytes()
	require.NoError(t, err)
	vars := filepath.Join(short(t), "vars.fd")
	require.NoError(t, os.WriteFile(vars, b, 0o644))
	r := register(t, func(cfg *bench.Config) { cfg.ESP, cfg.Vars = img, vars })
	on(t, r, ready, stop)
	text := r.Text()
	require.Contains(t, text, `"evil"`, "the firmware took the smuggled boot option")
	require.NotContains(t, text, "Loaded initrd")
	require.Contains(t, text, "choba-recovery: start")
	require.Regexp(t, ready, text)
}
