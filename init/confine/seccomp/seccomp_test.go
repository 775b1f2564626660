package seccomp

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/table"
)

// judge runs the filter as the kernel would. The machine of x/net/bpf reads big-endian words, so the words are laid
// out that way; the kernel's own are host-endian.
func judge(t *testing.T, groups []string, nr uint32, args ...uint64) Verdict {
	t.Helper()
	rules, err := Rules(groups)
	require.NoError(t, err)
	return judgeArch(t, rules, archX86, nr, args...)
}

func judgeArch(t *testing.T, rules []Rule, arch, nr uint32, args ...uint64) Verdict {
	t.Helper()
	vm, err := bpf.NewVM(Program(rules))
	require.NoError(t, err)
	d := make([]byte, 64)
	binary.BigEndian.PutUint32(d[offNr:], nr)
	binary.BigEndian.PutUint32(d[offArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(d[offArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(d[offArgs+8*i+4:], uint32(a>>32))
	}
	v, err := vm.Run(d)
	require.NoError(t, err)
	return Verdict(uint32(v))
}

func TestVerdicts(t *testing.T) {
	const threads = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD
	for _, c := range []struct {
		why    string
		groups []string
		nr     uint32
		args   []uint64
		want   Verdict
	}{
		{"reading", nil, unix.SYS_READ, nil, Allow},
		{"a call nobody thought of", nil, unix.SYS_SYSFS, nil, Deny},
		{"a call of a later kernel", nil, 9999, nil, Deny},
		{"tracing", nil, unix.SYS_PTRACE, nil, Kill},
		{"mounting", nil, unix.SYS_MOUNT, nil, Kill},
		{"becoming another", nil, unix.SYS_SETUID, nil, Kill},
		{"a thread", nil, unix.SYS_CLONE, []uint64{threads}, Allow},
		{"a child", nil, unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, Deny},
		{"a vfork", nil, unix.SYS_CLONE, []uint64{unix.CLONE_VFORK | unix.CLONE_VM}, Deny},
		{"a thread in a new namespace", nil, unix.SYS_CLONE, []uint64{threads | unix.CLONE_NEWUSER}, Deny},
		{"clone3", nil, unix.SYS_CLONE3, nil, NoSys},
		{"a unix socket", nil, unix.SYS_SOCKET, []uint64{unix.AF_UNIX}, Allow},
		{"an internet socket", nil, unix.SYS_SOCKET, []uint64{unix.AF_INET}, Deny},
		{"a netlink socket", nil, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK}, Deny},
		{"a netlink socket for ports", []string{"netlink"}, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK}, Allow},
		{"a unix socket for ports", []string{"netlink"}, unix.SYS_SOCKET, []uint64{unix.AF_UNIX}, Allow},
		{"a packet socket for ports", []string{"netlink"}, unix.SYS_SOCKET, []uint64{unix.AF_PACKET}, Deny},
		{"an internet socket for update", []string{"inet"}, unix.SYS_SOCKET, []uint64{unix.AF_INET}, Allow},
		{"an IPv6 socket for update", []string{"inet"}, unix.SYS_SOCKET, []uint64{unix.AF_INET6}, Deny},
		{"listening for update", []string{"inet"}, unix.SYS_LISTEN, nil, Deny},
		{"frames for network", []string{"net"}, unix.SYS_SOCKET, []uint64{unix.AF_PACKET}, Allow},
		{"the internet for network", []string{"net"}, unix.SYS_SOCKET, []uint64{unix.AF_INET}, Deny},
		{"ioctl", nil, unix.SYS_IOCTL, []uint64{3, unix.TCGETS}, Deny},
		{"drawing", []string{"drm"}, unix.SYS_IOCTL, []uint64{3, 0xc04064a0}, Allow},
		{"grabbing with drm", []string{"drm"}, unix.SYS_IOCTL, []uint64{3, 0x40044590}, Deny},
		{"grabbing", []string{"drm", "input"}, unix.SYS_IOCTL, []uint64{3, 0x40044590}, Allow},
		{"line settings", []string{"input", "serial"}, unix.SYS_IOCTL, []uint64{3, unix.TCSETS2}, Allow},
		{"typing for another", []string{"input", "serial"}, unix.SYS_IOCTL, []uint64{3, unix.TIOCSTI}, Deny},
		{"line discipline", []string{"serial"}, unix.SYS_IOCTL, []uint64{3, unix.TIOCSETD}, Deny},
		{"naming memory", nil, unix.SYS_PRCTL, []uint64{unix.PR_SET_VMA}, Allow},
		{"getting dumpable", nil, unix.SYS_PRCTL, []uint64{unix.PR_SET_DUMPABLE, 1}, Deny},
		{"a child of the probe", []string{"exec"}, unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, Allow},
		{"a namespace of the probe", []string{"exec"}, unix.SYS_CLONE, []uint64{unix.CLONE_NEWNS}, Deny},
		{"a memory file", nil, unix.SYS_MEMFD_CREATE, nil, Deny},
	} {
		require.Equal(t, c.want, judge(t, c.groups, c.nr, c.args...), c.why)
	}
}

func TestOtherArchitecturesEnd(t *testing.T) {
	rules, err := Rules(nil)
	require.NoError(t, err)
	const archI386 = 0x40000003
	require.Equal(t, Kill, judgeArch(t, rules, archI386, unix.SYS_READ))
	require.Equal(t, Kill, judgeArch(t, rules, archX86, x32|unix.SYS_READ))
}

// Every group and all of them together give a list without doubles that the kernel's limit holds.
func TestGroups(t *testing.T) {
	for _, groups := range append([][]string{nil, table.Groups()}, singles()...) {
		rules, err := Rules(groups)
		require.NoError(t, err)
		require.True(t, slices.IsSortedFunc(rules, func(a, b Rule) int { return int(a.Nr) - int(b.Nr) }))
		raw, err := bpf.Assemble(Program(rules))
		require.NoError(t, err)
		require.Less(t, len(raw), 4096, "BPF_MAXINSNS")
	}
	_, err := Rules([]string{"everything"})
	require.Error(t, err)
	require.Len(t, groupRules(), len(table.Groups()), "the table knows each group")
}

func singles() (out [][]string) {
	for _, g := range table.Groups() {
		out = append(out, []string{g})
	}
	return out
}
