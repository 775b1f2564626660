// Package system is what init asks of the kernel at boot and at the end: mounts, loopback, host name, capabilities,
// power.
//
// It decides nothing about when; init's plan does. The rule that keeps it small: one function, one request, no state.
package system

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mount is one file system and where it goes.
type Mount struct {
	Source, Target, Type string
	Flags                uintptr
	Data                 string
}

// String is the mount as a person reads it.
func (m Mount) String() string {
	s := m.Type + " on " + m.Target
	if m.Data != "" {
		s += " (" + m.Data + ")"
	}
	return s
}

const (
	closed = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	// Where files can be written, IPE refuses to execute them and says so, which puts the attempt into the journal;
	// noexec would refuse first, and silently.
	writable = unix.MS_NOSUID | unix.MS_NODEV
)

// Mounts are the file systems that init adds to those that recovery hands over (/dev, /proc, /sys).
func Mounts() []Mount {
	return []Mount{
		// Nobody but root sees the others' processes.
		{"proc", "/proc", "proc", closed | unix.MS_REMOUNT, "hidepid=invisible"},
		{"run", "/run", "tmpfs", writable, "mode=755,size=4m"},
		{"tmp", "/tmp", "tmpfs", writable, "mode=1777,size=16m"},
		{"cgroup2", "/sys/fs/cgroup", "cgroup2", closed, ""},
	}
}

// Do makes the mount.
func (m Mount) Do() error {
	if err := unix.Mount(m.Source, m.Target, m.Type, m.Flags, m.Data); err != nil {
		return fmt.Errorf("mounting %s: %w", m, err)
	}
	return nil
}

// Cgroups lets the controllers that the table's limits need work below the root cgroup.
func Cgroups(root string) error {
	err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+memory +pids"), 0)
	if err != nil {
		return fmt.Errorf("switching on cgroup limits: %w", err)
	}
	return nil
}

// Loopback brings up the loopback interface of the calling network namespace.
func Loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bringing up loopback: %w", err)
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("bringing up loopback: %w", err)
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("bringing up loopback: %w", err)
	}
	return nil
}

// Hostname names the machine for itself; nothing depends on it.
func Hostname(name string) error {
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	return nil
}

// Kept are the capabilities that init needs after boot: to start and confine services, to give devices away, to
// unmount, to put an urgent service before the others, and to switch off. CAP_SYS_PTRACE takes nothing from the services
// that CAP_SYS_ADMIN and CAP_DAC_OVERRIDE would not; without it root could not even list what runs. The two for the
// network are init's only to hand on: a row of the table may have them (services/table, Rights), and confine can grant
// nothing that init has given up.
func Kept() []int {
	return []int{
		unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_KILL, unix.CAP_SETGID, unix.CAP_SETUID,
		unix.CAP_SETPCAP, unix.CAP_SYS_ADMIN, unix.CAP_SYS_BOOT, unix.CAP_SYS_RESOURCE, unix.CAP_SYS_PTRACE, unix.CAP_SYS_NICE,
		unix.CAP_NET_ADMIN, unix.CAP_NET_RAW,
	}
}

// GiveUp takes every other capability from all threads of init, and from all that it will ever start.
func GiveUp(kept []int) error {
	keep := map[int]bool{}
	for _, c := range kept {
		keep[c] = true
	}
	for c := 0; c <= unix.CAP_LAST_CAP; c++ {
		if keep[c] {
			continue
		}
		_, _, e := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(c), 0)
		if e != 0 && e != unix.EINVAL { // EINVAL: this kernel does not know it
			return fmt.Errorf("giving up capability %d: %w", c, e)
		}
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&head, &sets[0]); err != nil {
		return fmt.Errorf("reading capabilities: %w", err)
	}
	var mask [2]uint32
	for _, c := range kept {
		mask[c/32] |= 1 << (c % 32)
	}
	for i := range sets {
		sets[i].Effective &= mask[i]
		sets[i].Permitted &= mask[i]
		sets[i].Inheritable = 0
	}
	_, _, e := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&sets)), 0)
	if e != 0 {
		return fmt.Errorf("giving up capabilities: %w", e)
	}
	return nil
}

// SinceBoot is the time since the kernel started.
func SinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// KeysAsSignals lets ctrl-alt-del come as SIGINT instead of resetting the machine.
func KeysAsSignals() error {
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF); err != nil {
		return fmt.Errorf("taking over ctrl-alt-del: %w", err)
	}
	return nil
}

// End is how the machine goes down.
type End string

const (
	PowerOff End = "power off"
	Reboot   End = "reboot"
)

// Now ends it. It returns only with an error.
func (e End) Now() error {
	unix.Sync()
	cmd, known := map[End]int{PowerOff: unix.LINUX_REBOOT_CMD_POWER_OFF, Reboot: unix.LINUX_REBOOT_CMD_RESTART}[e]
	if !known {
		return errors.New("ending: neither power off nor reboot")
	}
	return unix.Reboot(cmd)
}
