package kernel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGate(t *testing.T) {
	wanted := "# a reason\nCONFIG_A=y\nCONFIG_TEXT=\"a b\"\nCONFIG_NUMBER=-1\nCONFIG_OFF=n\nCONFIG_ABSENT=n\n"
	good := "#\n# made by Kconfig\n#\nCONFIG_A=y\nCONFIG_TEXT=\"a b\"\nCONFIG_NUMBER=-1\n# CONFIG_OFF is not set\nCONFIG_EXTRA=y\n"
	require.NoError(t, Gate([]byte(wanted), []byte(good)))
	for name, c := range map[string]struct{ from, to, want string }{
		"dropped":    {"CONFIG_A=y\n", "", "CONFIG_A: want y, got n"},
		"turned off": {"CONFIG_A=y", "# CONFIG_A is not set", "CONFIG_A: want y, got n"},
		"module":     {"CONFIG_A=y", "CONFIG_A=m", "CONFIG_A: want y, got m"},
		"text":       {"a b", "a c", `CONFIG_TEXT: want "a b", got "a c"`},
		"number":     {"-1", "1", "CONFIG_NUMBER: want -1, got 1"},
		"turned on":  {"# CONFIG_OFF is not set", "CONFIG_OFF=y", "CONFIG_OFF: want n, got y"},
		"selected":   {"CONFIG_EXTRA", "CONFIG_ABSENT", "CONFIG_ABSENT: want n, got y"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Gate([]byte(wanted), []byte(strings.Replace(good, c.from, c.to, 1)))
			require.ErrorIs(t, err, ErrGate)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for _, text := range []string{"CONFIG_A", "A=y", "CONFIG_A=", " CONFIG_A=y", "CONFIG_A =y", "CONFIG_A=y\nCONFIG_A=n", "CONFIG_A=y\n# CONFIG_A is not set"} {
		_, err := parseConfig([]byte(text))
		require.Error(t, err, "%q", text)
	}
}

// What must never come on, whoever edits the fragments: each of these opened,
// or would open, a door that the trials found.
func TestFragmentsKeepDoorsShut(t *testing.T) {
	text, err := joined(nil)
	require.NoError(t, err)
	want, err := parseConfig(text)
	require.NoError(t, err)
	for _, symbol := range strings.Fields(`MODULES KEXEC BINFMT_SCRIPT BINFMT_MISC IO_URING BPF_SYSCALL USERFAULTFD USER_NS
		DEVMEM DEVPORT DEBUG_FS MAGIC_SYSRQ CRASH_DUMP PROC_KCORE VT FB DRM_FBDEV_EMULATION BOOT_CONFIG ACPI_TABLE_UPGRADE
		EFI_CUSTOM_SSDT_OVERLAYS EFI_HANDOVER_PROTOCOL SECONDARY_TRUSTED_KEYRING INTEGRITY_PLATFORM_KEYRING
		DM_VERITY_VERIFY_ROOTHASH_SIG_SECONDARY_KEYRING DM_VERITY_VERIFY_ROOTHASH_SIG_PLATFORM_KEYRING DM_INIT
		HIBERNATION IA32_EMULATION SLUB_TINY X86_MSR KPROBES FTRACE USB_UAS INPUT_UINPUT UHID`) {
		require.Equal(t, off, want["CONFIG_"+symbol], symbol)
	}
	for _, symbol := range strings.Fields(`KEXEC_SIG_FORCE CMDLINE_OVERRIDE LOCK_DOWN_KERNEL_FORCE_INTEGRITY SECURITY_IPE
		DM_VERITY_VERIFY_ROOTHASH_SIG WATCHDOG_NOWAYOUT STATIC_USERMODEHELPER PANIC_ON_OOPS`) {
		require.Equal(t, "y", want["CONFIG_"+symbol], symbol)
	}
	line := " " + strings.Trim(want["CONFIG_CMDLINE"], `"`) + " "
	for _, word := range strings.Fields(`noinitrd panic=-1 dm_verity.require_signatures=1 watchdog.stop_on_reboot=0
		watchdog.handle_boot_enabled=0 usbcore.authorized_default=0`) {
		require.Contains(t, line, " "+word+" ")
	}
	require.Equal(t, `"lockdown,yama,landlock,ipe"`, want["CONFIG_LSM"])
}

// Every group of options says why it is there.
func TestFragmentsGiveReasons(t *testing.T) {
	names, err := filepath.Glob("fragments/*.config")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for i, group := range strings.Split(string(text), "\n\n") {
			require.Contains(t, group, "#", "%s: group %d has no reason", name, i+1)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("# why\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"x=y\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseConfig(text)
		if err != nil {
			return
		}
		for symbol, value := range got {
			require.True(t, strings.HasPrefix(symbol, "CONFIG_"))
			require.NotEmpty(t, value)
		}
		require.NoError(t, Gate(text, text))
	})
}
