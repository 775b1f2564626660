package bootimage

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/u-root/mkuimage/cpio"

	"github.com/choba-os/choba/image/authenticode"
	"github.com/choba-os/choba/image/firmware"
)

const started = "stub: end"

// testKeys: verity and kexec are compiled into the kernel, db into the
// firmware; the firmware knows neither of the others.
func testKeys(t *testing.T) map[string]Signer {
	t.Helper()
	out := map[string]Signer{}
	for use, name := range map[string]string{"verity": "one", "kexec": "two", "db": "three"} {
		decode := func(ext string) []byte {
			b, err := os.ReadFile(filepath.Join("../pkcs7/testdata", name+ext))
			require.NoError(t, err)
			block, _ := pem.Decode(b)
			return block.Bytes
		}
		key, err := x509.ParsePKCS8PrivateKey(decode(".key"))
		require.NoError(t, err)
		cert, err := x509.ParseCertificate(decode(".crt"))
		require.NoError(t, err)
		out[use] = Signer{Key: key.(crypto.Signer), Cert: cert}
	}
	return out
}

// stub compiles the stand-in for recovery.
func stub(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stub")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", path, "./testdata/stub")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

// evilInitrd is what an attacker would like to have unpacked over ours.
func evilInitrd(t *testing.T, program []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := cpio.Newc.Writer(&out)
	for _, r := range []cpio.Record{cpio.StaticFile("evil", "evil", 0o444), cpio.StaticFile("init", string(program), 0o555)} {
		require.NoError(t, w.WriteRecord(r))
	}
	require.NoError(t, cpio.WriteTrailer(w))
	return out.Bytes()
}

// The chain from the firmware to the first program, in a virtual machine with
// Secure Boot on. Nothing here uses QEMU's -kernel: it would boot anything.
func TestBoot(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	keys, program := testKeys(t), stub(t)
	in := Inputs{DB: keys["db"], Kexec: keys["kexec"], Verity: keys["verity"],
		Recovery: program, Trust: []byte("choba trust 1\n"), Progress: os.Stderr}
	efi, err := Build(t.Context(), in)
	require.NoError(t, err)
	unsigned, err := in.link(t.Context())
	require.NoError(t, err)

	t.Run("signed", func(t *testing.T) { bootsSigned(t, keys, efi) })
	t.Run("attacked", func(t *testing.T) { bootsAttacked(t, keys, efi, program) })
	altered := bytes.Clone(efi)
	altered[len(efi)/2] ^= 1
	stranger, err := authenticode.Sign(unsigned, keys["verity"].Key, keys["verity"].Cert)
	require.NoError(t, err)
	kexecOnly, err := authenticode.Sign(unsigned, keys["kexec"].Key, keys["kexec"].Cert)
	require.NoError(t, err)
	for name, bad := range map[string][]byte{
		"unsigned": unsigned, "altered": altered, "stranger": stranger, "kexec key only": kexecOnly,
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, keys, map[string][]byte{bootFile: bad})
			console := m.run(t, "Access Denied", "Security Violation", "stub:")
			require.NotContains(t, console, "stub:")
		})
	}
}

func bootsSigned(t *testing.T, keys map[string]Signer, efi []byte) {
	m := newMachine(t, keys, map[string][]byte{bootFile: efi})
	console := m.run(t, started)
	says := facts(console)
	t.Log(console[strings.Index(console, "stub:"):])
	pcr4, err := PCR4(efi)
	require.NoError(t, err)
	for fact, want := range map[string]string{
		"pcr4":              hex.EncodeToString(pcr4[:]),
		"secure boot":       "0600000001",
		"ipe enforce":       "1",
		"ipe policies":      "[choba_boot]",
		"ipe run policy":    "<nil>",
		"exec from tmpfs":   "permission denied",
		"lsm":               "lockdown,capability,yama,landlock,ipe",
		"lockdown":          "none [integrity] confidentiality",
		"hostname":          "choba",
		"drm":               "[card0]",
		"fb":                "[]",
		"consoles":          "[]",
		"verity signatures": "Y",
		"usb default":       "0",
		"evil":              "false",
		"root files":        "[dev etc init proc run slot sys tmp]",
	} {
		require.Equal(t, want, says[fact], fact)
	}
	require.Contains(t, says["release"], "6.12.")
	require.Contains(t, says["release"], "-choba")
	require.Contains(t, says["cmdline"], "noinitrd ")
	require.Contains(t, says["modules"], "no such file")
	require.Contains(t, says["watchdogs"], "i6300ESB")
	require.Contains(t, says["usb authorized"], "1-1:0", "the keyboard is there and not used")
	require.Contains(t, console, "Checked W+X mappings: passed")
	for _, use := range []string{"verity", "kexec"} {
		require.Contains(t, console, "Loaded X.509 cert '"+keys[use].Cert.Subject.Organization[0]+": ")
	}
}

// bootsAttacked owns everything that Secure Boot does not cover: the firmware's
// boot variables and the other files of the boot partition.
func bootsAttacked(t *testing.T, keys map[string]Signer, efi, program []byte) {
	evil := evilInitrd(t, program)
	m := newMachine(t, keys, map[string][]byte{
		bootFile:                                efi,
		"evil.cpio":                             evil,
		"initrd":                                evil,
		"EFI/BOOT/initrd.cpio":                  evil,
		bootFile + ".extra.d/evil.cred":         []byte("evil"),
		"loader/credentials/evil.cred":          []byte("evil"),
		"loader/entries/evil.conf":              []byte("options init=/evil\n"),
		"EFI/BOOT/cmdline.txt":                  []byte("ipe.enforce=0"),
		"kernel/x86/microcode/GenuineIntel.bin": []byte("evil"),
	}, firmware.BootOption{Number: 0, Description: "evil", PCIDevice: diskSlot, Path: `\EFI\BOOT\BOOTX64.EFI`,
		Options: `initrd=\evil.cpio ipe.enforce=0 init=/evil console=ttyS0`})
	console := m.run(t, started)
	says := facts(console)
	require.Contains(t, console, `initrd=\evil.cpio`, "the attack did not reach the kernel: the test proves nothing")
	require.Equal(t, "false", says["evil"])
	require.Equal(t, "1", says["ipe enforce"])
	require.NotContains(t, says["cmdline"], "evil")
	require.Equal(t, "[dev etc init proc run slot sys tmp]", says["root files"])
}

// facts are the stub's lines "stub: name = value".
func facts(console string) map[string]string {
	out := map[string]string{}
	for _, line := range strings.Split(console, "\n") {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "stub: "); ok {
			if name, value, ok := strings.Cut(rest, " = "); ok {
				out[name] = value
			}
		}
	}
	return out
}
