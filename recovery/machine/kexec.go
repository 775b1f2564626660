package machine

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// LoadKernel has the kernel check and load a boot image. It reads the file itself, so
// that its execution policy sees from which volume it comes, and takes no initrd: the
// policy would refuse one.
func (m *Machine) LoadKernel(path, commandLine string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.KexecFileLoad(int(f.Fd()), -1, commandLine, unix.KEXEC_FILE_NO_INITRAMFS); err != nil {
		return fmt.Errorf("loading kernel %s: %w", path, err)
	}
	return nil
}

// UnloadKernel forgets a loaded kernel.
func (m *Machine) UnloadKernel() error {
	if err := unix.KexecFileLoad(-1, -1, "", unix.KEXEC_FILE_UNLOAD); err != nil {
		return fmt.Errorf("unloading the kernel: %w", err)
	}
	return nil
}

// KernelLog is all that the kernel still has of its log.
func (m *Machine) KernelLog() ([]byte, error) {
	size, err := unix.Klogctl(unix.SYSLOG_ACTION_SIZE_BUFFER, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for the size of the kernel's log: %w", err)
	}
	log := make([]byte, size)
	n, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, log)
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's log: %w", err)
	}
	return log[:n], nil
}

// Jump starts the loaded kernel.
func (m *Machine) Jump() error {
	unix.Sync()
	return fmt.Errorf("jumping: %w", unix.Reboot(unix.LINUX_REBOOT_CMD_KEXEC))
}

// Restart starts the machine anew, through its firmware.
func (m *Machine) Restart() error {
	unix.Sync()
	return fmt.Errorf("restarting: %w", unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART))
}
