package vm

import (
	"bytes"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/authenticode"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/tests/bench"
)

// The data key opens only for the boot image, the Secure Boot state and the
// TPM that it was sealed to (B12, B13). Recovery's own measurement and forged
// policies are tried against a software TPM in keys/seal.
func TestDataKeyStaysShut(t *testing.T) {
	t.Parallel()
	k := keys(t)
	r := register(t, nil)
	on(t, r, ready)
	r.Cut()
	raw := pulled(t, r)

	// Our own key signs another boot image: same program, other measurement.
	other := unsigned(t)
	at := bytes.Index(other, []byte("This program cannot"))
	if at < 0 {
		at = 0x3c - 8 // the kernel's DOS stub has no text: its reserved words will do
	}
	other[at] ^= 1
	for _, p := range []dev.Pair{k.Kexec, k.DB} {
		var err error
		other, err = authenticode.Sign(other, p.Key, p.Cert)
		require.NoError(t, err)
	}
	img := esp(t, map[string][]byte{layout.BootFile: other})

	off := secureBootOff(t)

	for _, c := range []struct {
		name   string
		change func(*bench.Config)
	}{
		{"another boot image", func(cfg *bench.Config) { cfg.ESP = img }},
		{"secure boot off", func(cfg *bench.Config) { cfg.Vars = off }},
		{"another tpm", func(cfg *bench.Config) {}},
		{"no tpm", func(cfg *bench.Config) { cfg.NoTPM = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			next := register(t, func(cfg *bench.Config) {
				cfg.Disk = raw
				c.change(cfg)
			})
			if c.name != "another tpm" && c.name != "no tpm" {
				tool(t, "cp", "-r", filepath.Join(r.Dir(), "tpm"), next.Dir())
			}
			got := on(t, next, ready, stop)
			require.Regexp(t, stop, got)
			t.Log(got)
			require.Eventually(t, func() bool { return colours(keep(t, next, "stop-"+strings.ReplaceAll(c.name, " ", "-"))) > 8 }, 30*time.Second, time.Second, "the reason on the screen")
			next.Cut()
			data, before := partition(t, pulled(t, next)), partition(t, raw)
			require.Equal(t, before, data, "the data partition was touched")
		})
	}
}

// partition is a digest-sized sample of the data partition: its header and the
// first part of what is encrypted.
func partition(t *testing.T, path string) []byte {
	d := open(t, path)
	b := make([]byte, 4<<20)
	_, err := d.file.ReadAt(b, d.parts[layout.Data].Start)
	require.NoError(t, err)
	return b
}

// secureBootOff are firmware variables without any key.
func secureBootOff(t *testing.T) string {
	t.Helper()
	blank, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
	require.NoError(t, err)
	path := filepath.Join(short(t), "vars.fd")
	require.NoError(t, os.WriteFile(path, blank, 0o644))
	return path
}

// A register without a TPM and with Secure Boot off sells only because the development trust list lets it, from its
// first boot on, and says so at every boot, on the console and over everything on the screen.
func TestUnprotectedSellsAndSaysSo(t *testing.T) {
	t.Parallel()
	r := register(t, func(c *bench.Config) { c.NoTPM, c.Vars = true, secureBootOff(t) })
	for range 2 {
		on(t, r, committed, stop)
		wait(t, r, `screen: painted`)
		require.Regexp(t, `choba-recovery: note: INSECURE: .*TPM`, r.Text())
		require.Regexp(t, `choba-recovery: note: INSECURE: .*Secure Boot is off`, r.Text())
		m := newMirror(t)
		m.now.Insecure = &api.Pair{Text: "試験用：このレジは保護されていません（TPMなし・セキュアブート無効）",
			TextEn: "Test use only: this register is not protected (no TPM, Secure Boot off)"}
		m.shows(r, "unprotected", image.Rect(0, 0, width, 34))
		r.Cut()
	}
}
