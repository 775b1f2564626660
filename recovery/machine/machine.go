// Package machine is the real world of recovery: the kernel's mounts, files,
// disk, TPM, watchdog and rights.
//
// It has no opinion on what to boot; recovery/boot asks for one thing at a time.
//
// The rule that keeps it small: one system call or driver behind each method.
package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"github.com/u-root/u-root/pkg/mount"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/drivers/watchdog"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/recovery/boot"
)

// diskWait is how long a disk may take to appear.
const diskWait = 10 * time.Second

// Machine implements boot.World.
type Machine struct {
	console io.Writer
	dog     *watchdog.Dog
}

// New is the machine that this program runs on, with its console.
func New(console io.Writer) *Machine { return &Machine{console: console} }

// Say prints one line.
func (m *Machine) Say(line string) { fmt.Fprintln(m.console, line) }

// Mount makes the target folder where it is missing, and mounts on it.
func (m *Machine) Mount(x boot.Mount) error {
	_, err := mount.Mount(x.Source, x.Target, x.Type, "", x.Flags, func() error { return os.MkdirAll(x.Target, 0o755) })
	return err
}

// Unmount takes a mount away.
func (m *Machine) Unmount(target string) error { return mount.Unmount(target, false, false) }

// ReadFile reads a small file.
func (m *Machine) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

// WriteFile writes to a file that exists: the kernel's own, in one write.
func (m *Machine) WriteFile(path string, data []byte) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, data); err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// FindDisk waits for the product's disk.
func (m *Machine) FindDisk(names ...string) (disk.Disk, error) {
	ctx, cancel := context.WithTimeout(context.Background(), diskWait)
	defer cancel()
	return disk.Wait(ctx, "/", names...)
}

// Open opens a raw partition.
func (m *Machine) Open(path string, write bool) (boot.Partition, error) {
	flags := os.O_RDONLY
	if write {
		flags = os.O_RDWR
	}
	return os.OpenFile(path, flags, 0)
}

// OpenVerity has the kernel check the root hash's signature and map the slot.
func (m *Machine) OpenVerity(v dm.Verity) (string, error) { return dm.OpenVerity(v) }

// CloseVerity takes the mapping away.
func (m *Machine) CloseVerity(name string) error { return dm.Remove(name) }

// Measure extends PCR 13.
func (m *Machine) Measure(e seal.Event) error {
	t, err := seal.Open(seal.Device)
	if err != nil {
		return err
	}
	return errors.Join(t.Measure(e), t.Close())
}

// ArmWatchdog starts the best watchdog there is.
func (m *Machine) ArmWatchdog(timeout time.Duration) (string, error) {
	dog, err := watchdog.Open("/", timeout)
	if err != nil {
		return "", err
	}
	m.dog = dog
	return dog.Identity, nil
}

// FeedWatchdog feeds it once, after something that took long.
func (m *Machine) FeedWatchdog() error {
	if m.dog == nil {
		return nil
	}
	return m.dog.Feed()
}

// Choice reads PCR 13.
func (m *Machine) Choice() (seal.Digest, error) {
	t, err := seal.Open(seal.Device)
	if err != nil {
		return seal.Digest{}, err
	}
	d, err := t.Choice()
	return d, errors.Join(err, t.Close())
}

// Floor reads the version floor out of the TPM.
func (m *Machine) Floor() (uint64, error) {
	t, err := seal.Open(seal.Device)
	if err != nil {
		return 0, err
	}
	floor, err := t.Floor()
	return floor, errors.Join(err, t.Close())
}

// WatchdogFired asks who caused the last reset.
func (m *Machine) WatchdogFired() (string, error) { return watchdog.Fired("/") }

// Now is the wall clock.
func (m *Machine) Now() time.Time { return time.Now() }

// GiveUpMACAdmin takes CAP_MAC_ADMIN from every thread of this program and from
// all that it will ever execute: with it, root could switch IPE off.
func (m *Machine) GiveUpMACAdmin() error {
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_MAC_ADMIN, 0); errno != 0 {
		return fmt.Errorf("dropping CAP_MAC_ADMIN from the bounding set: %w", errno)
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&head, &sets[0]); err != nil {
		return fmt.Errorf("reading capabilities: %w", err)
	}
	const word, bit = unix.CAP_MAC_ADMIN / 32, uint32(1) << (unix.CAP_MAC_ADMIN % 32)
	sets[word].Effective &^= bit
	sets[word].Permitted &^= bit
	sets[word].Inheritable &^= bit
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&sets)), 0)
	if errno != 0 {
		return fmt.Errorf("dropping CAP_MAC_ADMIN: %w", errno)
	}
	return nil
}

// SwitchRoot makes dir the root. The boot image's own files are deleted first:
// they take memory, and nothing needs them any more.
func (m *Machine) SwitchRoot(dir string, keep ...string) error {
	for _, k := range keep {
		if err := mount.MoveMount(k, filepath.Join(dir, k)); err != nil {
			return fmt.Errorf("moving mount %s: %w", k, err)
		}
	}
	if err := errors.Join(os.Remove("/init"), os.RemoveAll("/etc")); err != nil {
		return err
	}
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("entering %s: %w", dir, err)
	}
	if err := mount.MoveMount(".", "/"); err != nil {
		return fmt.Errorf("moving mount %s: %w", dir, err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("changing root: %w", err)
	}
	return unix.Chdir("/")
}

// Exec replaces this program.
func (m *Machine) Exec(path string, env []string) error {
	return fmt.Errorf("executing %s: %w", path, unix.Exec(path, []string{path}, env))
}
