package bootimage

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/firmware"
)

const (
	ovmfCode = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
	ovmfVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
	diskSlot = 0x10
	bootFile = "EFI/BOOT/BOOTX64.EFI"
)

// machine is a virtual PC with Secure Boot on, a TPM, and nothing on its disk
// but one FAT file system.
type machine struct {
	dir  string
	args []string
}

// newMachine puts the files on the boot partition and the options into the
// firmware.
func newMachine(t *testing.T, keys map[string]Signer, files map[string][]byte, options ...firmware.BootOption) *machine {
	t.Helper()
	m := &machine{dir: t.TempDir()}
	blank, err := os.ReadFile(ovmfVars)
	require.NoError(t, err)
	store, err := firmware.Parse(blank)
	require.NoError(t, err)
	store.Enrol(keys["db"].Cert, keys["db"].Cert, keys["db"].Cert)
	if len(options) > 0 {
		store.AddBootOptions(options...)
	}
	vars, err := store.Bytes()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(m.path("vars.fd"), vars, 0o600))
	m.makeESP(t, files)
	m.args = []string{"-machine", "q35,smm=on", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max", "-smp", "2",
		"-m", "512", "-nodefaults", "-display", "none", "-no-reboot",
		"-global", "driver=cfi.pflash01,property=secure,value=on",
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + ovmfCode,
		"-drive", "if=pflash,format=raw,unit=1,file=" + m.path("vars.fd"),
		"-drive", "if=none,id=esp,format=raw,file=" + m.path("esp.img"),
		"-device", fmt.Sprintf("virtio-blk-pci,drive=esp,bootindex=1,addr=0x%x", diskSlot),
		"-device", "bochs-display", "-device", "i6300esb", "-device", "qemu-xhci", "-device", "usb-kbd",
		"-serial", "file:" + m.path("console.log"),
		"-chardev", "socket,id=tpm,path=" + m.path("tpm.sock"), "-tpmdev", "emulator,id=tpm0,chardev=tpm",
		"-device", "tpm-tis,tpmdev=tpm0"}
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) makeESP(t *testing.T, files map[string][]byte) {
	t.Helper()
	img := m.path("esp.img")
	require.NoError(t, os.WriteFile(img, nil, 0o600))
	require.NoError(t, os.Truncate(img, 64<<20))
	m.tool(t, "mformat", "-F", "-i", img, "::")
	made := map[string]bool{}
	for name, content := range files {
		parts := strings.Split(name, "/")
		for i := 1; i < len(parts); i++ {
			dir := "::/" + strings.Join(parts[:i], "/")
			if !made[dir] {
				m.tool(t, "mmd", "-i", img, dir)
				made[dir] = true
			}
		}
		require.NoError(t, os.WriteFile(m.path("file"), content, 0o600))
		m.tool(t, "mcopy", "-i", img, m.path("file"), "::/"+name)
	}
}

func (m *machine) tool(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s: %s", name, out)
}

// run switches on and waits until the console shows one of the texts; it
// returns the console.
func (m *machine) run(t *testing.T, until ...string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(m.path("tpm"), 0o700))
	m.tool(t, "swtpm_setup", "--tpm2", "--tpmstate", m.path("tpm"), "--pcr-banks", "sha256", "--overwrite")
	tpm := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+m.path("tpm"),
		"--ctrl", "type=unixio,path="+m.path("tpm.sock"), "--flags", "startup-clear")
	require.NoError(t, tpm.Start())
	defer end(tpm)
	require.Eventually(t, func() bool { _, err := os.Stat(m.path("tpm.sock")); return err == nil },
		10*time.Second, 20*time.Millisecond)
	qemu := exec.Command("qemu-system-x86_64", m.args...)
	var said bytes.Buffer
	qemu.Stdout, qemu.Stderr = &said, &said
	start := time.Now()
	require.NoError(t, qemu.Start())
	defer end(qemu)
	for time.Since(start) < 3*time.Minute {
		console, _ := os.ReadFile(m.path("console.log"))
		for _, text := range until {
			if bytes.Contains(console, []byte(text)) {
				t.Logf("%q after %s", text, time.Since(start).Round(100*time.Millisecond))
				return string(console)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	console, _ := os.ReadFile(m.path("console.log"))
	t.Fatalf("none of %q on the console:\n%s\n%s", until, console, said.String())
	return ""
}

func end(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}
