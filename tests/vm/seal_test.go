package vm

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/authenticode"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/tests/bench"
)

// The data key opens only for the boot image, the Secure Boot state and the
// TPM that it was sealed to (B12, B13). Recovery's own measurement and forged
// policies are tried against a software TPM in keys/seal.
func TestDataKeyStaysShut(t *testing.T) {
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

	// Firmware variables without any key: Secure Boot off.
	blank, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
	require.NoError(t, err)
	off := filepath.Join(short(t), "vars.fd")
	require.NoError(t, os.WriteFile(off, blank, 0o644))

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
