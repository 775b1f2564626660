// Package porttest makes serial lines out of the kernel's pseudo terminals, for the
// tests of what talks over a line.
//
// It is for tests only, and is not a device: what answers at the other end is the
// test's. The rule that keeps it small: one line, its two ends, no settings.
package porttest

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Line is a serial line.
type Line struct {
	Device *os.File // the device's end; closed with the test, or before to unplug it
	Node   string   // what the kernel would call /dev/ttyUSB0
	Number uint64   // of the node: unix.Major and unix.Minor
}

// Open makes a line that ends with the test.
func Open(t testing.TB) Line {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	device := os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { _ = device.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	l := Line{Device: device, Node: fmt.Sprintf("/dev/pts/%d", n)}
	var st unix.Stat_t
	require.NoError(t, unix.Stat(l.Node, &st))
	l.Number = st.Rdev
	return l
}
