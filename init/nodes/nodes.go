// Package nodes gives device nodes to the services whose rows name them, as they appear.
//
// The kernel makes a node as root's alone; a node that a row names becomes its user's alone (mode 0600), and the
// `authorized` files and own nodes of USB devices become those of the row with usbGuard. The row with idleSlot gets nodes
// of its own for the two slots. It is not a device policy: nothing is decided about devices here (the ports service does
// that), and nothing else is ever touched.
//
// The rule that keeps it small: a pure matching of paths with rows, and one loop that applies it.
package nodes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/table"
)

// Owner gives the user whose node this is: the first row with a pattern that matches.
func Owner(t table.T, node string) (uid uint32, ok bool) {
	for _, r := range t.Rows() {
		for _, p := range r.Devices {
			if m, err := path.Match(p, node); err == nil && m {
				return r.UID, true
			}
		}
	}
	return 0, false
}

// guard gives the user of the row with usbGuard.
func guard(t table.T) (uid uint32, ok bool) {
	for _, r := range t.Rows() {
		if r.USBGuard {
			return r.UID, true
		}
	}
	return 0, false
}

// Change is a node or a file whose owner changes.
type Change struct {
	Path string
	UID  uint32
	Mode os.FileMode
}

const (
	nodeMode       = 0o600
	readMode       = 0o440
	authorizedMode = 0o600

	// usbNodes holds the own nodes of USB devices, a folder for each bus. They are the guard's, who hands out a stick's.
	usbNodes = "/dev/bus/usb/"
)

// For gives the changes that an event asks for.
func For(t table.T, e Event) []Change {
	if e.Action != "add" && e.Action != "change" && e.Action != "bind" {
		return nil
	}
	var out []Change
	if uid, ok := guard(t); ok && e.Subsystem == "usb" && strings.HasPrefix("/dev/"+e.Name, usbNodes) {
		out = append(out, Change{"/dev/" + e.Name, uid, nodeMode})
	}
	if e.Name != "" {
		if uid, ok := Owner(t, "/dev/"+e.Name); ok {
			out = append(out, Change{"/dev/" + e.Name, uid, nodeMode})
		}
	}
	if uid, ok := guard(t); ok && e.Subsystem == "usb" {
		out = append(out, Change{"/sys" + e.Path + "/authorized", uid, authorizedMode})
	}
	return out
}

// Watcher follows the kernel's word about devices.
type Watcher struct {
	table table.T
	say   func(string)
	fd    int
}

// Watch begins to listen. What appears from now on waits to be read, so that Scan afterwards leaves no gap.
func Watch(t table.T, say func(string)) (*Watcher, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("listening for devices: %w", err)
	}
	const kernelGroup = 1
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}); err != nil {
		return nil, errors.Join(fmt.Errorf("listening for devices: %w", err), unix.Close(fd))
	}
	// Room for a hub full of devices at once. Without it (no right) the default holds.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<20)
	return &Watcher{table: t, say: say, fd: fd}, nil
}

// Folders makes the folders of the rows' patterns where the kernel has not made them yet: a service's rules name
// folders, and must do so before the first device is plugged in. The kernel leaves folders alone that are not its own.
func Folders(t table.T) error {
	for _, r := range t.Rows() {
		for _, p := range r.Devices {
			if err := os.MkdirAll(path.Dir(p), 0o755); err != nil {
				return fmt.Errorf("making device folders: %w", err)
			}
		}
	}
	return nil
}

// Idle makes node, in a folder of its own, for the partition that the kernel shows at device, and gives it to the row
// with idleSlot. The kernel's own node stays root's, so that whoever writes the idle slot needs no right to the folder
// in which all disks lie. Without such a row nothing is made.
func Idle(t table.T, device, node string) error {
	for _, r := range t.Rows() {
		if r.IdleSlot {
			return makeNode(device, node, r.UID)
		}
	}
	return nil
}

// Running makes node for the partition of the slot that runs, as Idle does for the other one, and lets the row with
// idleSlot read it. The node is root's, so that its reader cannot change its mode.
func Running(t table.T, device, node string) error {
	for _, r := range t.Rows() {
		if r.IdleSlot {
			if err := makeNode(device, node, 0); err != nil {
				return err
			}
			if err := errors.Join(os.Chown(node, 0, int(r.UID)), os.Chmod(node, readMode)); err != nil {
				return fmt.Errorf("letting the running slot be read: %w", err)
			}
		}
	}
	return nil
}

func makeNode(device, node string, uid uint32) error {
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err != nil {
		return fmt.Errorf("giving a slot away: %s: %w", device, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return fmt.Errorf("giving a slot away: %s is no block device", device)
	}
	if err := os.MkdirAll(path.Dir(node), 0o755); err != nil {
		return fmt.Errorf("giving a slot away: %w", err)
	}
	if err := unix.Mknod(node, unix.S_IFBLK|nodeMode, int(st.Rdev)); err != nil {
		return fmt.Errorf("giving a slot away: making %s: %w", node, err)
	}
	return give(Change{node, uid, nodeMode})
}

// Scan gives away what is there already.
func (w *Watcher) Scan() error {
	var changes []Change
	for _, r := range w.table.Rows() {
		for _, p := range r.Devices {
			found, err := filepath.Glob(p)
			if err != nil {
				return fmt.Errorf("looking for %s: %w", p, err)
			}
			for _, node := range found {
				changes = append(changes, Change{node, r.UID, nodeMode})
			}
		}
	}
	if uid, ok := guard(w.table); ok {
		found, err := filepath.Glob("/sys/bus/usb/devices/*/authorized")
		if err != nil {
			return fmt.Errorf("looking for USB devices: %w", err)
		}
		for _, f := range found {
			changes = append(changes, Change{f, uid, authorizedMode})
		}
		nodes, err := filepath.Glob(usbNodes + "*/*")
		if err != nil {
			return fmt.Errorf("looking for USB devices: %w", err)
		}
		for _, f := range nodes {
			changes = append(changes, Change{f, uid, nodeMode})
		}
	}
	w.apply(changes)
	return nil
}

func (w *Watcher) apply(changes []Change) {
	for _, c := range changes {
		if err := give(c); err != nil && !errors.Is(err, os.ErrNotExist) { // it may be gone again
			w.say(err.Error())
		}
	}
}

// give changes mode and then owner: in between, nobody but root has it.
func give(c Change) error {
	st, err := os.Lstat(c.Path)
	if err != nil {
		return fmt.Errorf("giving %s away: %w", c.Path, err)
	}
	if st.Mode()&os.ModeDevice == 0 && !(st.Mode().IsRegular() && strings.HasPrefix(c.Path, "/sys/")) {
		return fmt.Errorf("giving %s away: it is no device", c.Path)
	}
	if err := os.Chmod(c.Path, c.Mode); err != nil {
		return fmt.Errorf("giving %s away: %w", c.Path, err)
	}
	if err := os.Chown(c.Path, int(c.UID), int(c.UID)); err != nil {
		return fmt.Errorf("giving %s away: %w", c.Path, err)
	}
	return nil
}

// Run follows events until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { unix.Shutdown(w.fd, unix.SHUT_RDWR) })
	defer stop()
	defer unix.Close(w.fd)
	buf := make([]byte, 16<<10)
	for ctx.Err() == nil {
		if err := w.wait(); err != nil {
			return err
		}
		n, from, err := unix.Recvfrom(w.fd, buf, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
			continue
		case errors.Is(err, unix.ENOBUFS):
			if err := w.Scan(); err != nil { // some were lost: look for oneself
				return err
			}
			continue
		case err != nil:
			return fmt.Errorf("listening for devices: %w", err)
		}
		if k, ok := from.(*unix.SockaddrNetlink); !ok || k.Pid != 0 {
			continue // not the kernel
		}
		e, err := Parse(buf[:n])
		if err != nil {
			w.say(err.Error())
			continue
		}
		w.apply(For(w.table, e))
	}
	return nil
}

// wait returns when something can be read, and now and then to look whether the end has come: a shut-down netlink
// socket does not wake its reader on every kernel.
func (w *Watcher) wait() error {
	const second = 1000
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, second)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("listening for devices: %w", err)
	}
	return nil
}
