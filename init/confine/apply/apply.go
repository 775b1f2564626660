// Package apply puts a policy upon the calling process and then becomes the service.
//
// It runs in the child that init made, as root, in fresh mount, network and UTS namespaces. Everything is done on one
// locked thread, the one that calls execve: its credentials, filters and rules are what the service gets.
//
// It decides nothing: package policy does. The rule that keeps it small: one function for each line of the printed
// policy, each of which either worked or ends everything; there is no best effort.
package apply

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/init/confine/policy"
	"github.com/choba-os/choba/init/confine/seccomp"
)

// Exec confines the calling process and becomes the service. It returns only with an error, after which the process
// is fit for nothing but to end.
func Exec(p policy.Policy) error {
	runtime.LockOSThread()
	for _, step := range []struct {
		name string
		do   func(policy.Policy) error
	}{
		{"narrowing the mounts", mounts},
		{"setting limits", limits},
		{"setting the priority", priority},
		{"giving up privileges", privileges},
		{"restricting files", files},
		{"restricting system calls", calls},
	} {
		if err := step.do(p); err != nil {
			return fmt.Errorf("confining %s: %s: %w", p.Name, step.name, err)
		}
	}
	unix.Umask(0o077)
	err := syscall.Exec(p.Binary, append([]string{p.Binary}, p.Args...), p.Env)
	return fmt.Errorf("confining %s: starting %s: %w", p.Name, p.Binary, err)
}

func limits(p policy.Policy) error {
	number := map[string]int{"NOFILE": unix.RLIMIT_NOFILE, "NPROC": unix.RLIMIT_NPROC, "CORE": unix.RLIMIT_CORE, "MEMLOCK": unix.RLIMIT_MEMLOCK}
	for _, l := range p.Limits {
		n, known := number[l.Name]
		if !known {
			return fmt.Errorf("limit %s is not known", l.Name)
		}
		// The raw call: the syscall package's own would make execve put the old soft NOFILE limit back.
		lim := unix.Rlimit{Cur: l.Value, Max: l.Value}
		if _, _, e := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, uintptr(n), uintptr(unsafe.Pointer(&lim)), 0, 0, 0); e != 0 {
			return fmt.Errorf("%s to %d: %w", l.Name, l.Value, e)
		}
	}
	return nil
}

// priority holds for this thread and with it for the service that it becomes.
func priority(p policy.Policy) error {
	if p.Nice == 0 {
		return nil
	}
	return unix.Setpriority(unix.PRIO_PROCESS, 0, p.Nice)
}

// Securebits of capabilities(7): root is nobody special, for good.
const (
	secureNoroot      = 1<<0 | 1<<1
	secureNoFixup     = 1<<2 | 1<<3
	secureKeepCapsOff = 1 << 5
	secureNoAmbient   = 1<<6 | 1<<7
)

// privileges ends as the service's user with the row's capabilities, which is to say almost always none, and no way to
// another one. Raw calls: the syscall package's would change every thread of this process, which is about to be
// replaced anyway.
func privileges(p policy.Policy) error {
	keep, err := capabilities(p.Rights)
	if err != nil {
		return err
	}
	if err := bound(keep); err != nil {
		return err
	}
	if err := raise(keep); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, secureNoroot|secureNoFixup|secureKeepCapsOff|secureNoAmbient, 0, 0, 0); err != nil {
		return fmt.Errorf("locking securebits: %w", err)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); e != 0 {
		return fmt.Errorf("leaving all groups: %w", e)
	}
	id := uintptr(p.UID)
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, id, id, id); e != 0 {
		return fmt.Errorf("becoming group %d: %w", p.UID, e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, id, id, id); e != 0 {
		return fmt.Errorf("becoming user %d: %w", p.UID, e)
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	sets := capSets(keep, keep)
	if err := unix.Capset(&hdr, &sets[0]); err != nil {
		return fmt.Errorf("giving up capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("setting no_new_privs: %w", err)
	}
	return nil
}

// rights is what each right means to landlock.
func rights(r policy.Right) landlock.AccessFSSet {
	const read = ll.AccessFSReadFile | ll.AccessFSReadDir
	switch r {
	case policy.Execute:
		return ll.AccessFSExecute | ll.AccessFSReadFile
	case policy.Read:
		return read
	case policy.Own:
		return read | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSMakeReg | ll.AccessFSMakeDir |
			ll.AccessFSRemoveFile | ll.AccessFSRemoveDir | ll.AccessFSRefer
	case policy.Device:
		return read | ll.AccessFSWriteFile | ll.AccessFSIoctlDev
	case policy.Attr:
		return read | ll.AccessFSWriteFile
	}
	return 0
}

// files lets landlock refuse every file, TCP port, abstract socket and foreign process that the policy does not name.
func files(p policy.Policy) error {
	var rules []landlock.Rule
	for _, f := range p.Files {
		set := rights(f.Right)
		if set == 0 {
			return fmt.Errorf("right %q is not known", f.Right)
		}
		st, err := os.Stat(f.Path)
		if err != nil {
			return err
		}
		if !st.IsDir() {
			set &= ll.AccessFSExecute | ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSIoctlDev
		}
		rules = append(rules, landlock.PathAccess(set, f.Path))
	}
	if !p.TCP {
		return landlock.V6.Restrict(rules...)
	}
	// Which ports a service may connect to is the packet filter's matter; listening is refused here.
	c := landlock.V6
	c.HandledAccessNet = ll.AccessNetBindTCP
	return c.Restrict(rules...)
}

// calls sets the system call filter, the last thing before execve.
func calls(p policy.Policy) error {
	raw, err := bpf.Assemble(seccomp.Program(p.Calls))
	if err != nil {
		return err
	}
	f := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		f[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	const setModeFilter = 1 // SECCOMP_SET_MODE_FILTER
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, setModeFilter, 0, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(f)
	if e != 0 {
		return e
	}
	return nil
}

// Lacks says what this kernel misses for a whole confinement; nil when nothing.
func Lacks() error {
	abi, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, 1) // LANDLOCK_CREATE_RULESET_VERSION
	if e != 0 {
		return fmt.Errorf("landlock: %w", e)
	}
	if abi < 6 {
		return fmt.Errorf("landlock: the kernel has ABI %d, want 6", abi)
	}
	text, err := os.ReadFile(filepath.Join("/proc/sys/kernel/seccomp/actions_avail"))
	if err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	if !strings.Contains(string(text), "kill_process") {
		return errors.New("seccomp: the kernel cannot end a process")
	}
	return nil
}
