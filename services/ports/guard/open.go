package guard

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/input"
	"github.com/choba-os/choba/drivers/port"
	"github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/ports/policy"
	"github.com/choba-os/choba/services/ports/usb"
)

// Files is the Opener for real nodes.
type Files struct {
	Dev string // "/dev"
}

// Open opens the device's first node.
func (f Files) Open(row policy.Row, nodes []usb.Node) (Opened, error) {
	if len(nodes) == 0 {
		return Opened{}, fmt.Errorf("opening a %s: it has no node", row.Role)
	}
	name := filepath.Join(f.Dev, nodes[0].Name)
	if err := same(name, nodes[0]); err != nil {
		return Opened{}, err
	}
	switch row.Kind {
	case api.KindEvdev:
		return evdev(name)
	case api.KindUSBFS:
		return usbfs(name)
	}
	pipe, err := line(name, row.Line)
	if err != nil {
		return Opened{}, err
	}
	return Pump(pipe)
}

// same checks that the node is the device's that was found in the tree: a name
// alone may have passed to another device meanwhile.
func same(name string, n usb.Node) error {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || unix.Major(st.Rdev) != n.Major || unix.Minor(st.Rdev) != n.Minor {
		return fmt.Errorf("opening %s: it is not device %d:%d", name, n.Major, n.Minor)
	}
	return nil
}

func line(name string, l *port.Line) (port.Pipe, error) {
	if l != nil {
		return port.Open(name, *l)
	}
	return os.OpenFile(name, os.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}

// eviocrevoke takes an input device away from everybody who has this open file.
const eviocrevoke = 0x40044591

// evdev opens an input device for one reader alone.
func evdev(name string) (Opened, error) {
	d, err := input.Open(name)
	if err != nil {
		return Opened{}, err
	}
	if err := errors.Join(d.Grab(), d.Quiet()); err != nil {
		return Opened{}, errors.Join(err, d.Close())
	}
	return Opened{File: d.File(), Close: func() { revoke(d.File()); _ = d.Close() }}, nil
}

func revoke(f *os.File) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	// The device may be gone already: there is nothing to take away then.
	_ = raw.Control(func(fd uintptr) { _ = unix.IoctlSetInt(int(fd), eviocrevoke, 0) })
}

// dropPrivileges is USBDEVFS_DROP_PRIVILEGES: from then on this open file can
// claim no interface but those in a mask, change no configuration and detach no
// driver.
const dropPrivileges = 0x4004551e

// usbfs opens a device's own node for a claimant that speaks to its first
// interface.
func usbfs(name string) (Opened, error) {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return Opened{}, err
	}
	raw, err := f.SyscallConn()
	if err == nil {
		var ioctl error
		err = raw.Control(func(fd uintptr) { ioctl = unix.IoctlSetPointerInt(int(fd), dropPrivileges, 1<<0) })
		err = errors.Join(err, ioctl)
	}
	if err != nil {
		return Opened{}, errors.Join(fmt.Errorf("reducing %s: %w", name, err), f.Close())
	}
	return Opened{File: f, Close: func() { _ = f.Close() }}, nil
}

// Pump puts a socket pair in front of a line, so that a claimant gets bytes and
// no ioctls, and so that the line can be taken away from it.
func Pump(pipe port.Pipe) (Opened, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return Opened{}, errors.Join(fmt.Errorf("making a socket pair: %w", err), pipe.Close())
	}
	theirs, ours := os.NewFile(uintptr(fds[0]), "line"), os.NewFile(uintptr(fds[1]), "pump")
	failed := make(chan struct{})
	var once sync.Once
	end := func() {
		once.Do(func() {
			close(failed)
			_ = ours.Close()
			go func() { _ = pipe.Close() }() // may have to wait for the line to let go
		})
	}
	carry := func(to io.Writer, from io.Reader) {
		buf := make([]byte, 4096)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				if _, werr := to.Write(buf[:n]); werr != nil {
					err = werr
				}
			}
			if err != nil {
				end()
				return
			}
		}
	}
	go carry(ours, pipe)
	go carry(pipe, ours)
	return Opened{File: theirs, Close: func() { end(); _ = theirs.Close() }, Failed: failed}, nil
}
