package vm

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/bootimage"
	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/tests/bench"
)

// stubImage is a boot image like the product's, with the stub as its recovery.
// It costs one relinking of the kernel, which is kept.
func stubImage(t *testing.T, program []byte) []byte {
	k := keys(t)
	signer := func(p dev.Pair) bootimage.Signer { return bootimage.Signer{Key: p.Key, Cert: p.Cert} }
	efi, err := bootimage.Build(t.Context(), bootimage.Inputs{DB: signer(k.DB), Kexec: signer(k.Kexec), Verity: signer(k.Verity),
		Recovery: program, Trust: k.Trust, Progress: os.Stderr})
	require.NoError(t, err)
	return efi
}

// What the kernel gives its first program, and what it forbids it, with an
// attacker's boot option and loose files around: the command line, the files
// and the rules are the signed ones, and the TPM's register 4 is as foretold
// (A22, A25, A43, A80).
func TestBootImageObeysOnlyItself(t *testing.T) {
	program := stub(t)
	efi := stubImage(t, program)
	attacked := attack(t, efi, program)
	r := register(t, func(cfg *bench.Config) {
		attacked(cfg)
		cfg.Watchdog, cfg.TIS = true, true
	})
	on(t, r, "stub: end")
	console := r.Text()
	says := facts(console)
	require.Contains(t, console, evilOptions, "the attack did not reach the kernel: the test proves nothing")

	pcr4, err := bootimage.PCR4(efi)
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
	require.NotContains(t, says["cmdline"], "evil")
	require.Contains(t, says["modules"], "no such file")
	require.Contains(t, says["watchdogs"], "i6300ESB")
	require.Contains(t, says["usb authorized"], "1-1:0", "the touch panel is there and not used")
	require.Contains(t, console, "Checked W+X mappings: passed")
	for _, p := range []dev.Pair{keys(t).Verity, keys(t).Kexec} {
		require.Contains(t, console, "Loaded X.509 cert '"+p.Cert.Subject.CommonName+": ")
	}
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
