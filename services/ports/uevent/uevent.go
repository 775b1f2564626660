// Package uevent hears the kernel say that a device came or went.
//
// What it hears is a hint to look, never a fact: the facts are in sysfs. It
// starts nothing and names no device. The rule that keeps it small: one message
// in, action and path out; messages that did not come from the kernel are
// dropped.
package uevent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Event is one message.
type Event struct {
	// Action is "add", "remove", "bind", …
	Action string
	// Path is the device's place below /sys.
	Path string
	// Subsystem is "usb", "input", "tty", …
	Subsystem string
}

// maxMessage is what the kernel sends at most (UEVENT_BUFFER_SIZE and the head).
const maxMessage = 8 << 10

var errMessage = errors.New("not a message of the kernel")

// Parse reads a message: "action@path", then "KEY=value" fields, each ended by
// a zero byte.
func Parse(b []byte) (Event, error) {
	if len(b) == 0 || len(b) > maxMessage || b[len(b)-1] != 0 {
		return Event{}, fmt.Errorf("reading a device event: %w", errMessage)
	}
	fields := bytes.Split(b[:len(b)-1], []byte{0})
	action, path, ok := strings.Cut(string(fields[0]), "@")
	if !ok || action == "" || !strings.HasPrefix(path, "/") {
		return Event{}, fmt.Errorf("reading a device event: %w", errMessage)
	}
	e := Event{Action: action, Path: path}
	for _, f := range fields[1:] {
		key, value, ok := strings.Cut(string(f), "=")
		if !ok || key == "" {
			return Event{}, fmt.Errorf("reading a device event: field %q: %w", f, errMessage)
		}
		switch key {
		case "SUBSYSTEM":
			e.Subsystem = value
		case "ACTION":
			if value != action {
				return Event{}, fmt.Errorf("reading a device event: two actions: %w", errMessage)
			}
		case "DEVPATH":
			if value != path {
				return Event{}, fmt.Errorf("reading a device event: two paths: %w", errMessage)
			}
		}
	}
	return e, nil
}

// Watch calls fn for every event, until ctx ends or the socket fails. fn gets
// the zero Event when messages were lost: look at everything then.
func Watch(ctx context.Context, fn func(Event)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return fmt.Errorf("opening the device event socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "uevent")
	defer func() { _ = f.Close() }()
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		return fmt.Errorf("joining the kernel's device events: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = f.Close() })
	defer stop()
	raw, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("reading device events: %w", err)
	}
	buf := make([]byte, maxMessage)
	for {
		n, from, err := receive(raw, buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			fn(Event{})
			continue
		case err != nil:
			return fmt.Errorf("reading device events: %w", err)
		}
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue
		}
		if e, err := Parse(buf[:n]); err == nil {
			fn(e)
		}
	}
}

func receive(raw interface {
	Read(func(fd uintptr) bool) error
}, buf []byte) (n int, from unix.Sockaddr, err error) {
	waited := raw.Read(func(fd uintptr) bool {
		n, from, err = unix.Recvfrom(int(fd), buf, 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if waited != nil {
		return 0, nil, waited
	}
	return n, from, err
}
