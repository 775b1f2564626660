package seccomp

import "golang.org/x/sys/unix"

const all = 0xffffffff

func allow(calls map[string]uint32) []Rule {
	var out []Rule
	for name, nr := range calls {
		out = append(out, Rule{Name: name, Nr: nr, Verdict: Allow})
	}
	return out
}

// base is what every service may call.
func base() []Rule {
	rules := allow(map[string]uint32{
		// bytes in and out of open files
		"read": unix.SYS_READ, "write": unix.SYS_WRITE, "readv": unix.SYS_READV, "writev": unix.SYS_WRITEV,
		"pread64": unix.SYS_PREAD64, "pwrite64": unix.SYS_PWRITE64, "preadv": unix.SYS_PREADV, "pwritev": unix.SYS_PWRITEV,
		"lseek": unix.SYS_LSEEK, "close": unix.SYS_CLOSE, "dup": unix.SYS_DUP, "dup3": unix.SYS_DUP3,
		"fcntl": unix.SYS_FCNTL, "pipe2": unix.SYS_PIPE2, "sendfile": unix.SYS_SENDFILE, "splice": unix.SYS_SPLICE,
		"copy_file_range": unix.SYS_COPY_FILE_RANGE,
		// files by name; landlock says which
		"openat": unix.SYS_OPENAT, "newfstatat": unix.SYS_NEWFSTATAT, "fstat": unix.SYS_FSTAT, "stat": unix.SYS_STAT,
		"lstat": unix.SYS_LSTAT, "statx": unix.SYS_STATX, "fstatfs": unix.SYS_FSTATFS, "statfs": unix.SYS_STATFS,
		"getdents64": unix.SYS_GETDENTS64, "readlinkat": unix.SYS_READLINKAT, "faccessat": unix.SYS_FACCESSAT,
		"faccessat2": unix.SYS_FACCESSAT2, "getcwd": unix.SYS_GETCWD, "mkdirat": unix.SYS_MKDIRAT,
		"unlinkat": unix.SYS_UNLINKAT, "renameat": unix.SYS_RENAMEAT, "renameat2": unix.SYS_RENAMEAT2,
		"fchmod": unix.SYS_FCHMOD, "fchmodat": unix.SYS_FCHMODAT, "umask": unix.SYS_UMASK, "utimensat": unix.SYS_UTIMENSAT,
		"inotify_init1": unix.SYS_INOTIFY_INIT1, "inotify_add_watch": unix.SYS_INOTIFY_ADD_WATCH,
		"inotify_rm_watch": unix.SYS_INOTIFY_RM_WATCH,
		// durable writing (journal, SQLite)
		"fsync": unix.SYS_FSYNC, "fdatasync": unix.SYS_FDATASYNC, "ftruncate": unix.SYS_FTRUNCATE,
		"fallocate": unix.SYS_FALLOCATE, "flock": unix.SYS_FLOCK, "fadvise64": unix.SYS_FADVISE64,
		// memory; IPE refuses executable memory that is no file of a signed volume
		"mmap": unix.SYS_MMAP, "munmap": unix.SYS_MUNMAP, "mremap": unix.SYS_MREMAP, "mprotect": unix.SYS_MPROTECT,
		"madvise": unix.SYS_MADVISE, "mincore": unix.SYS_MINCORE, "msync": unix.SYS_MSYNC, "brk": unix.SYS_BRK,
		"mlock": unix.SYS_MLOCK, "munlock": unix.SYS_MUNLOCK,
		// threads, signals, scheduling
		"futex": unix.SYS_FUTEX, "sched_yield": unix.SYS_SCHED_YIELD, "sched_getaffinity": unix.SYS_SCHED_GETAFFINITY,
		"gettid": unix.SYS_GETTID, "tgkill": unix.SYS_TGKILL, "rt_sigaction": unix.SYS_RT_SIGACTION,
		"rt_sigprocmask": unix.SYS_RT_SIGPROCMASK, "rt_sigreturn": unix.SYS_RT_SIGRETURN,
		"sigaltstack": unix.SYS_SIGALTSTACK, "set_robust_list": unix.SYS_SET_ROBUST_LIST,
		"restart_syscall": unix.SYS_RESTART_SYSCALL, "setitimer": unix.SYS_SETITIMER, "timer_create": unix.SYS_TIMER_CREATE,
		"timer_settime": unix.SYS_TIMER_SETTIME, "timer_delete": unix.SYS_TIMER_DELETE, "membarrier": unix.SYS_MEMBARRIER,
		"exit": unix.SYS_EXIT, "exit_group": unix.SYS_EXIT_GROUP, "arch_prctl": unix.SYS_ARCH_PRCTL,
		// confine's own last step; landlock leaves the service's binary to execute and nothing else
		"execve": unix.SYS_EXECVE,
		// who and where am I, what time is it
		"getpid": unix.SYS_GETPID, "getppid": unix.SYS_GETPPID, "getuid": unix.SYS_GETUID, "geteuid": unix.SYS_GETEUID,
		"getgid": unix.SYS_GETGID, "getegid": unix.SYS_GETEGID, "uname": unix.SYS_UNAME, "sysinfo": unix.SYS_SYSINFO,
		"getrusage": unix.SYS_GETRUSAGE, "getrlimit": unix.SYS_GETRLIMIT, "prlimit64": unix.SYS_PRLIMIT64,
		"getrandom": unix.SYS_GETRANDOM, "clock_gettime": unix.SYS_CLOCK_GETTIME, "clock_getres": unix.SYS_CLOCK_GETRES,
		"gettimeofday": unix.SYS_GETTIMEOFDAY, "time": unix.SYS_TIME, "nanosleep": unix.SYS_NANOSLEEP,
		"clock_nanosleep": unix.SYS_CLOCK_NANOSLEEP,
		// waiting for files
		"epoll_create1": unix.SYS_EPOLL_CREATE1, "epoll_ctl": unix.SYS_EPOLL_CTL, "epoll_wait": unix.SYS_EPOLL_WAIT,
		"epoll_pwait": unix.SYS_EPOLL_PWAIT, "epoll_pwait2": unix.SYS_EPOLL_PWAIT2, "eventfd2": unix.SYS_EVENTFD2,
		"poll": unix.SYS_POLL, "ppoll": unix.SYS_PPOLL, "select": unix.SYS_SELECT, "pselect6": unix.SYS_PSELECT6,
		"timerfd_create": unix.SYS_TIMERFD_CREATE, "timerfd_settime": unix.SYS_TIMERFD_SETTIME,
		"timerfd_gettime": unix.SYS_TIMERFD_GETTIME,
		// sockets that are open already, or of the families below
		"connect": unix.SYS_CONNECT, "accept4": unix.SYS_ACCEPT4, "getsockname": unix.SYS_GETSOCKNAME,
		"getpeername": unix.SYS_GETPEERNAME, "getsockopt": unix.SYS_GETSOCKOPT, "setsockopt": unix.SYS_SETSOCKOPT,
		"sendto": unix.SYS_SENDTO, "recvfrom": unix.SYS_RECVFROM, "sendmsg": unix.SYS_SENDMSG,
		"recvmsg": unix.SYS_RECVMSG, "shutdown": unix.SYS_SHUTDOWN,
	})
	return append(rules,
		Rule{Name: "socket", Nr: unix.SYS_SOCKET, Verdict: Allow, When: []Case{{all, unix.AF_UNIX, "AF_UNIX"}}},
		Rule{Name: "socketpair", Nr: unix.SYS_SOCKETPAIR, Verdict: Allow, When: []Case{{all, unix.AF_UNIX, "AF_UNIX"}}},
		// A new thread shares the process; a new process does not, and may not be made.
		Rule{Name: "clone", Nr: unix.SYS_CLONE, Verdict: Allow, When: []Case{{unix.CLONE_THREAD | newNamespaces, unix.CLONE_THREAD, "threads"}}},
		// Its flags lie in memory where a filter cannot see them; the Go run-time uses clone.
		Rule{Name: "clone3", Nr: unix.SYS_CLONE3, Verdict: NoSys},
		// The Go run-time names its memory; nothing else of prctl is needed after confine.
		Rule{Name: "prctl", Nr: unix.SYS_PRCTL, Verdict: Allow, When: []Case{{all, unix.PR_SET_VMA, "PR_SET_VMA"}}},
	)
}

const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// hostile are calls that only somebody makes who has taken over a service.
func hostile() []Rule {
	var out []Rule
	for name, nr := range map[string]uint32{
		"ptrace": unix.SYS_PTRACE, "process_vm_readv": unix.SYS_PROCESS_VM_READV, "process_vm_writev": unix.SYS_PROCESS_VM_WRITEV,
		"mount": unix.SYS_MOUNT, "umount2": unix.SYS_UMOUNT2, "move_mount": unix.SYS_MOVE_MOUNT, "fsopen": unix.SYS_FSOPEN,
		"open_tree": unix.SYS_OPEN_TREE, "mount_setattr": unix.SYS_MOUNT_SETATTR,
		"pivot_root": unix.SYS_PIVOT_ROOT, "chroot": unix.SYS_CHROOT, "unshare": unix.SYS_UNSHARE, "setns": unix.SYS_SETNS,
		"bpf": unix.SYS_BPF, "perf_event_open": unix.SYS_PERF_EVENT_OPEN, "userfaultfd": unix.SYS_USERFAULTFD,
		"io_uring_setup": unix.SYS_IO_URING_SETUP, "init_module": unix.SYS_INIT_MODULE, "finit_module": unix.SYS_FINIT_MODULE,
		"kexec_load": unix.SYS_KEXEC_LOAD, "kexec_file_load": unix.SYS_KEXEC_FILE_LOAD, "reboot": unix.SYS_REBOOT,
		"add_key": unix.SYS_ADD_KEY, "request_key": unix.SYS_REQUEST_KEY, "keyctl": unix.SYS_KEYCTL,
		"setuid": unix.SYS_SETUID, "setgid": unix.SYS_SETGID, "setreuid": unix.SYS_SETREUID, "setregid": unix.SYS_SETREGID,
		"setresuid": unix.SYS_SETRESUID, "setresgid": unix.SYS_SETRESGID, "setgroups": unix.SYS_SETGROUPS,
		"capset": unix.SYS_CAPSET, "personality": unix.SYS_PERSONALITY, "iopl": unix.SYS_IOPL, "ioperm": unix.SYS_IOPERM,
		"modify_ldt": unix.SYS_MODIFY_LDT, "swapon": unix.SYS_SWAPON, "mknodat": unix.SYS_MKNODAT,
		"clock_settime": unix.SYS_CLOCK_SETTIME, "settimeofday": unix.SYS_SETTIMEOFDAY, "execveat": unix.SYS_EXECVEAT,
	} {
		out = append(out, Rule{Name: name, Nr: nr, Verdict: Kill})
	}
	return out
}

// ioctls are requests by their type byte; the kernel's drivers check the rest.
func ioctls(cases ...Case) Rule {
	return Rule{Name: "ioctl", Nr: unix.SYS_IOCTL, Verdict: Allow, Arg: 1, When: cases}
}

// groupRules is what a row of the service table may ask for beyond base, by name.
func groupRules() map[string][]Rule {
	const typeByte = 0xff00
	return map[string][]Rule{
		// A display's card.
		"drm": {ioctls(Case{typeByte, 'd' << 8, "DRM"})},
		// Event and raw HID nodes.
		"input": {ioctls(Case{typeByte, 'E' << 8, "evdev"}, Case{typeByte, 'H' << 8, "hidraw"})},
		// The kernel's word about devices that come and go.
		"netlink": {
			{Name: "socket", Nr: unix.SYS_SOCKET, Verdict: Allow, When: []Case{{all, unix.AF_NETLINK, "AF_NETLINK"}}},
			{Name: "bind", Nr: unix.SYS_BIND, Verdict: Allow},
		},
		// The shop's network as a client: TCP and UDP over IPv4. Raw sockets take a right that such a row has not.
		"inet": {{Name: "socket", Nr: unix.SYS_SOCKET, Verdict: Allow, When: []Case{{all, unix.AF_INET, "AF_INET"}}}},
		// Interfaces, addresses, routes and the packet filter (netlink), and the address client's frames (packet).
		"net": {
			{Name: "socket", Nr: unix.SYS_SOCKET, Verdict: Allow, When: []Case{
				{all, unix.AF_NETLINK, "AF_NETLINK"}, {all, unix.AF_PACKET, "AF_PACKET"}}},
			{Name: "bind", Nr: unix.SYS_BIND, Verdict: Allow},
		},
		// A serial line: its settings, its modem lines, its queues. Not TIOCSTI (typing for another), not TIOCSETD
		// (another line discipline: much kernel code), not TIOCCONS.
		"serial": {ioctls(
			Case{all, unix.TCGETS, "TCGETS"}, Case{all, unix.TCSETS, "TCSETS"}, Case{all, unix.TCSETSW, "TCSETSW"},
			Case{all, unix.TCSETSF, "TCSETSF"}, Case{all, unix.TCGETS2, "TCGETS2"}, Case{all, unix.TCSETS2, "TCSETS2"},
			Case{all, unix.TCSETSW2, "TCSETSW2"}, Case{all, unix.TCSETSF2, "TCSETSF2"}, Case{all, unix.TCSBRK, "TCSBRK"},
			Case{all, unix.TCSBRKP, "TCSBRKP"}, Case{all, unix.TCFLSH, "TCFLSH"}, Case{all, unix.TCXONC, "TCXONC"},
			Case{all, unix.TIOCEXCL, "TIOCEXCL"}, Case{all, unix.TIOCNXCL, "TIOCNXCL"}, Case{all, unix.TIOCSBRK, "TIOCSBRK"},
			Case{all, unix.TIOCCBRK, "TIOCCBRK"}, Case{all, unix.TIOCMGET, "TIOCMGET"}, Case{all, unix.TIOCMSET, "TIOCMSET"},
			Case{all, unix.TIOCMBIS, "TIOCMBIS"}, Case{all, unix.TIOCMBIC, "TIOCMBIC"}, Case{all, unix.TIOCINQ, "FIONREAD"},
			Case{all, unix.TIOCOUTQ, "TIOCOUTQ"}, Case{all, unix.TIOCGICOUNT, "TIOCGICOUNT"},
			Case{all, 0x060b, "LPGETSTATUS"})}, // the state of a printer that is a usblp device
		// A USB device's own node: transfers, and the claim that a kernel driver would have. Not another configuration,
		// not the detaching of drivers, not URBs that outlive the call.
		"usbfs": {ioctls(
			Case{all, 0xc0185500, "USBDEVFS_CONTROL"}, Case{all, 0xc0185502, "USBDEVFS_BULK"},
			Case{all, 0x8004550f, "USBDEVFS_CLAIMINTERFACE"}, Case{all, 0x80045510, "USBDEVFS_RELEASEINTERFACE"},
			Case{all, 0x80045515, "USBDEVFS_CLEAR_HALT"}, Case{all, 0x5514, "USBDEVFS_RESET"})},
		// What such a node is reduced to before it is handed out.
		"usbguard": {ioctls(Case{all, 0x4004551e, "USBDEVFS_DROP_PRIVILEGES"})},
		// Child programs. No row of the product has it; a test image's may, to show that IPE still refuses.
		"exec": {
			{Name: "clone", Nr: unix.SYS_CLONE, Verdict: Allow, When: []Case{{newNamespaces, 0, "processes"}}},
			{Name: "wait4", Nr: unix.SYS_WAIT4, Verdict: Allow}, {Name: "waitid", Nr: unix.SYS_WAITID, Verdict: Allow},
			{Name: "pidfd_open", Nr: unix.SYS_PIDFD_OPEN, Verdict: Allow}, {Name: "kill", Nr: unix.SYS_KILL, Verdict: Allow},
			{Name: "pidfd_send_signal", Nr: unix.SYS_PIDFD_SEND_SIGNAL, Verdict: Allow},
			{Name: "memfd_create", Nr: unix.SYS_MEMFD_CREATE, Verdict: Allow},
			{Name: "execveat", Nr: unix.SYS_EXECVEAT, Verdict: Allow},
			{Name: "vfork", Nr: unix.SYS_VFORK, Verdict: Allow}, {Name: "setpgid", Nr: unix.SYS_SETPGID, Verdict: Allow},
		},
	}
}
