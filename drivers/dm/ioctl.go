package dm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ioctl's structures, from linux/dm-ioctl.h: struct dm_ioctl (312 bytes),
// then struct dm_target_spec (40 bytes) and the parameters, zero-terminated.
const (
	control    = "/dev/mapper/control"
	ioctlBase  = 0xC138FD00 // _IOWR(0xfd, n, struct dm_ioctl)
	headSize   = 312
	specSize   = 40
	offSize    = 12
	offStart   = 16
	offTargets = 20
	offFlags   = 28
	offDev     = 40
	offName    = 48
	nameSize   = 128

	cmdCreate = 3
	cmdRemove = 4
	cmdResume = 6 // DM_DEV_SUSPEND without the suspend flag
	cmdLoad   = 9

	flagReadOnly = 1 << 0
	flagSecure   = 1 << 15 // the kernel wipes its copy of the buffer
)

type target struct {
	kind    string
	sectors uint64
	params  string
	flags   uint32
}

// create makes a device with one target; on an error nothing stays behind.
func create(name string, t target) (string, error) {
	answer, err := call(cmdCreate, name, 0, nil)
	if err != nil {
		return "", fmt.Errorf("creating: %w", err)
	}
	if err := load(name, t); err != nil {
		return "", errors.Join(err, ignoreAbsent(Remove(name)))
	}
	dev := binary.NativeEndian.Uint64(answer[offDev:])
	return fmt.Sprintf("/dev/dm-%d", unix.Minor(dev)), nil
}

// load puts t into a device's inactive table and swaps it in.
func load(name string, t target) error {
	if _, err := call(cmdLoad, name, t.flags, &t); err != nil {
		return fmt.Errorf("loading table: %w", err)
	}
	if _, err := call(cmdResume, name, 0, nil); err != nil {
		return fmt.Errorf("activating table: %w", err)
	}
	return nil
}

func ignoreAbsent(err error) error {
	if errors.Is(err, unix.ENXIO) {
		return nil
	}
	return err
}

func call(cmd uintptr, name string, flags uint32, t *target) ([]byte, error) {
	buf, err := request(name, flags, t)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(control, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", control, err)
	}
	defer unix.Close(fd)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ioctlBase|cmd, uintptr(unsafe.Pointer(&buf[0])))
	runtime.KeepAlive(buf)
	if errno != 0 {
		return nil, errno
	}
	return buf, nil
}

// request lays the ioctl's buffer out; it is pure.
func request(name string, flags uint32, t *target) ([]byte, error) {
	if name == "" || len(name) >= nameSize {
		return nil, fmt.Errorf("device name of %d bytes: want 1 to %d", len(name), nameSize-1)
	}
	size := headSize + 256 // room for the kernel's answer
	if t != nil {
		size = headSize + specSize + (len(t.params)+1+7)&^7
	}
	buf := make([]byte, size)
	le := binary.NativeEndian
	le.PutUint32(buf, 4) // interface version 4.0.0
	le.PutUint32(buf[offSize:], uint32(size))
	le.PutUint32(buf[offStart:], headSize)
	le.PutUint32(buf[offFlags:], flags|flagSecure)
	copy(buf[offName:], name)
	if t != nil {
		le.PutUint32(buf[offTargets:], 1)
		spec := buf[headSize:]
		le.PutUint64(spec[8:], t.sectors)
		le.PutUint32(spec[20:], uint32(size-headSize))
		copy(spec[24:40], t.kind)
		copy(spec[specSize:], t.params)
	}
	return buf, nil
}
