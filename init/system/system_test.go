package system

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Nothing that init mounts can hold devices or set-user files.
func TestMountsAreClosed(t *testing.T) {
	for _, m := range Mounts() {
		require.Equal(t, uintptr(writable), m.Flags&writable, m.String())
	}
	require.Equal(t, "proc on /proc (hidepid=invisible)", Mounts()[0].String())
	require.ErrorContains(t, Mount{"x", "/no/such", "tmpfs", 0, ""}.Do(), "mounting tmpfs on /no/such")
}

// What could undo the protection of execution, load code into the kernel, or reach around it is never kept.
func TestKept(t *testing.T) {
	for _, c := range []int{
		unix.CAP_MAC_ADMIN, unix.CAP_MAC_OVERRIDE, unix.CAP_SYS_MODULE, unix.CAP_SYS_RAWIO, unix.CAP_BPF, unix.CAP_PERFMON,
		unix.CAP_MKNOD, unix.CAP_SYSLOG, unix.CAP_AUDIT_CONTROL, unix.CAP_SYS_TIME,
		unix.CAP_DAC_READ_SEARCH, unix.CAP_SETFCAP, unix.CAP_LINUX_IMMUTABLE,
	} {
		require.NotContains(t, Kept(), c)
	}
}

func TestCgroups(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), nil, 0o600))
	require.NoError(t, Cgroups(dir))
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	require.NoError(t, err)
	require.Equal(t, "+memory +pids", strings.TrimSpace(string(text)))
	require.Error(t, Cgroups(dir+"/absent"))
}

func TestSinceBoot(t *testing.T) {
	a := SinceBoot()
	require.Positive(t, a)
	time.Sleep(2 * time.Millisecond)
	require.Greater(t, SinceBoot(), a)
}

func TestUnknownEndDoesNothing(t *testing.T) {
	require.ErrorContains(t, End("explode").Now(), "neither")
}
