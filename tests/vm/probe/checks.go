package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

var checks = []struct {
	name string
	try  func() error
}{
	{"exec from data", func() error { return execCopy("/data/probe-exec") }},
	{"exec from tmp", func() error { return execCopy("/tmp/probe-exec") }},
	{"exec from a fresh tmpfs", execFreshTmpfs},
	{"exec from memfd", execMemfd},
	{"exec script", execScript},
	{"map file executable", mapFile},
	{"map memory writable and executable", mapAnonymous},
	{"turn memory executable", protectAnonymous},
	{"switch ipe off", ipeOff},
	{"raise mac-admin", raiseMacAdmin},
	{"kexec_load", kexecLoad},
	{"kexec_file_load", kexecFileLoad},
	{"load a module", loadModule},
	{"write the running system", func() error { return os.WriteFile("/svc/probe-write", nil, 0o755) }},
	{"remount the system writable", func() error { return unix.Mount("", "/", "", unix.MS_REMOUNT, "") }},
	{"read memory", func() error { return openAny("/dev/mem", "/dev/kmem", "/proc/kcore") }},
	{"magic keys", func() error { return os.WriteFile("/proc/sysrq-trigger", []byte("t"), 0) }},
	{"debugfs", func() error { return mountAt("debugfs") }},
}

// self is a program that would run if it were allowed to.
const self = "/svc/journal"

func mountAt(kind string) error {
	dir := "/tmp/" + kind
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return unix.Mount(kind, dir, kind, 0, "")
}

func execCopy(path string) error {
	b, err := os.ReadFile(self)
	if err != nil {
		return nil // the check itself is broken: show it as open
	}
	if err := os.WriteFile(path, b, 0o755); err != nil {
		return nil
	}
	defer os.Remove(path)
	return started(path)
}

// started tells whether the program at path could be executed.
func started(path string) error {
	cmd := exec.Command(path)
	if err := cmd.Start(); err != nil {
		return err
	}
	cmd.Process.Kill()
	cmd.Wait()
	return nil
}

func execFreshTmpfs() error {
	if err := mountAt("tmpfs"); err != nil {
		return nil
	}
	return execCopy("/tmp/tmpfs/x")
}

func execMemfd() error {
	fd, err := unix.MemfdCreate("x", 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b, err := os.ReadFile(self)
	if err != nil {
		return nil
	}
	if _, err := unix.Write(fd, b); err != nil {
		return err
	}
	return started(fmt.Sprintf("/proc/self/fd/%d", fd))
}

func execScript() error {
	path := "/tmp/tmpfs/script"
	if err := os.WriteFile(path, []byte("#!/svc/journal\n"), 0o755); err != nil {
		return nil
	}
	return started(path)
}

func mapFile() error {
	f, err := os.OpenFile("/tmp/tmpfs/map", os.O_RDWR|os.O_CREATE, 0o700)
	if err != nil {
		return nil
	}
	defer f.Close()
	if err := f.Truncate(4096); err != nil {
		return nil
	}
	_, err = unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
	return err
}

func mapAnonymous() error {
	_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return err
}

func protectAnonymous() error {
	b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil
	}
	return unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
}

// ipeOff tries what root could do to IPE if securityfs can be had again.
func ipeOff() error {
	if err := mountAt("securityfs"); err != nil {
		return err
	}
	policies, _ := filepath.Glob("/tmp/securityfs/ipe/policies/*")
	var names []string
	for _, p := range policies {
		names = append(names, filepath.Base(p))
	}
	fmt.Println("probe: ipe policies: " + strings.Join(names, " "))
	err := os.WriteFile("/tmp/securityfs/ipe/enforce", []byte("0"), 0)
	if err == nil {
		return nil
	}
	for _, p := range policies {
		if os.WriteFile(p+"/delete", []byte("1"), 0) == nil {
			return nil
		}
	}
	return err
}

func raiseMacAdmin() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return err
	}
	const bit = 1 << (unix.CAP_MAC_ADMIN - 32)
	if data[1].Effective&bit != 0 {
		return nil
	}
	data[1].Effective |= bit
	data[1].Permitted |= bit
	return unix.Capset(&hdr, &data[0])
}

func errno(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

func kexecLoad() error {
	_, _, e := unix.Syscall6(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0, 0, 0)
	return errno(e)
}

func kexecFileLoad() error {
	f, err := os.Open("/boot/boot.efi")
	if err != nil {
		return nil
	}
	defer f.Close()
	return unix.KexecFileLoad(int(f.Fd()), -1, "", unix.KEXEC_FILE_NO_INITRAMFS)
}

func loadModule() error {
	_, _, e := unix.Syscall(unix.SYS_INIT_MODULE, 0, 0, 0)
	if e == unix.EFAULT {
		return nil
	}
	return errno(e)
}

func openAny(paths ...string) error {
	for _, p := range paths {
		f, err := os.Open(p)
		if err == nil {
			f.Close()
			return nil
		}
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			return err
		}
	}
	return errAbsent
}
