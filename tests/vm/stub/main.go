// Command stub stands in for recovery in tests of the boot image: as the first
// program it says on the console what the kernel let it see, and switches the
// machine off. Every line starts with "stub: ", the last one is "stub: end".
//
// It is in no product image and opens no slot. It is also what the tests'
// attacker would like to have started.
//
// The rule that keeps it small: it says what is there, and leaves to the test
// what should be.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	mounts := [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"},
		{"securityfs", "/sys/kernel/security"}, {"efivarfs", "/sys/firmware/efi/efivars"}}
	for _, m := range mounts {
		if err := unix.Mount(m[0], m[1], m[0], 0, ""); err != nil {
			say("mount %s", err, m[1])
		}
	}
	report()
	fmt.Println("stub: end")
	time.Sleep(200 * time.Millisecond) // the serial line's
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func say(format string, value any, args ...any) {
	fmt.Printf("stub: %s = %v\n", fmt.Sprintf(format, args...), value)
}

func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b))
}

func report() {
	say("uptime", read("/proc/uptime"))
	say("cmdline", read("/proc/cmdline"))
	say("release", read("/proc/sys/kernel/osrelease"))
	say("hostname", read("/proc/sys/kernel/hostname"))
	say("lockdown", read("/sys/kernel/security/lockdown"))
	say("lsm", read("/sys/kernel/security/lsm"))
	say("ipe enforce", read("/sys/kernel/security/ipe/enforce"))
	say("ipe policies", list("/sys/kernel/security/ipe/policies/*"))
	secure, _ := os.ReadFile("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")
	say("secure boot", fmt.Sprintf("%x", secure))
	say("pcr4", strings.ToLower(read("/sys/class/tpm/tpm0/pcr-sha256/4")))
	say("drm", list("/dev/dri/*"))
	say("fb", list("/dev/fb*"))
	say("consoles", list("/dev/tty[0-9]*"))
	say("modules", read("/proc/modules"))
	say("root files", list("/*"))
	say("usb default", read("/sys/module/usbcore/parameters/authorized_default"))
	say("verity signatures", read("/sys/module/dm_verity/parameters/require_signatures"))
	say("watchdogs", contents("/sys/class/watchdog/*/identity"))
	say("usb authorized", authorized())
	say("exec from tmpfs", execFromTmpfs())
	say("ipe run policy", loadRunPolicy())
	say("evil", exists("/evil"))
	for _, line := range strings.Split(kernelLog(), "\n") {
		if strings.Contains(line, "Command line:") || strings.Contains(line, "X.509 cert '") ||
			strings.Contains(line, "W+X") || strings.Contains(line, "initrd") {
			say("kernel", line)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func list(pattern string) []string {
	names, _ := filepath.Glob(pattern)
	for i, n := range names {
		names[i] = filepath.Base(n)
	}
	return names
}

// contents reads all files that fit.
func contents(pattern string) (out []string) {
	names, _ := filepath.Glob(pattern)
	for _, n := range names {
		out = append(out, read(n))
	}
	return out
}

// authorized lists USB devices that are not hubs' roots with their state.
func authorized() (out []string) {
	names, _ := filepath.Glob("/sys/bus/usb/devices/*/authorized")
	for _, n := range names {
		out = append(out, filepath.Base(filepath.Dir(n))+":"+read(n))
	}
	return out
}

// execFromTmpfs tries to run a copy of this program that nobody signed.
func execFromTmpfs() error {
	self, err := os.ReadFile("/init")
	if err != nil {
		return err
	}
	const unsigned = "/tmp/copy"
	if err := os.WriteFile(unsigned, self, 0o755); err != nil {
		return err
	}
	err = exec.Command(unsigned).Run()
	if errors.Is(err, unix.EACCES) {
		return unix.EACCES
	}
	return err
}

// loadRunPolicy does what recovery does: new policy in, active, old one out.
// The kernel is the judge of our PKCS#7 there.
func loadRunPolicy() error {
	const ipe = "/sys/kernel/security/ipe/"
	policy, err := os.ReadFile("/etc/choba/run.p7b")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(ipe+"new_policy", policy, 0),
		os.WriteFile(ipe+"policies/choba_run/active", []byte("1"), 0),
		os.WriteFile(ipe+"policies/choba_boot/delete", []byte("1"), 0))
}

func kernelLog() string {
	b := make([]byte, 1<<20)
	n, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, b)
	if err != nil {
		return err.Error()
	}
	return string(b[:n])
}
