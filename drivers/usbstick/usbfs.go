package usbstick

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of usbfs (linux/usbdevice_fs.h) on a 64-bit machine.
const (
	usbfsControl = 0xc0185500
	usbfsBulk    = 0xc0185502
	usbfsClaim   = 0x8004550f
	usbfsRelease = 0x80045510
	usbfsReset   = 0x5514
	usbfsClear   = 0x80045515
)

// bulkTransfer is struct usbdevfs_bulktransfer.
type bulkTransfer struct {
	endpoint, length, timeout uint32
	data                      *byte
}

// controlTransfer is struct usbdevfs_ctrltransfer.
type controlTransfer struct {
	requestType, request byte
	value, index, length uint16
	timeout              uint32
	data                 *byte
}

// device is an open usbfs node with the storage interface claimed.
type device struct {
	f *os.File
	i Interface
}

// OpenFD starts the stick behind an open usbfs node, which it owns from then on, also when it returns an error.
func OpenFD(f *os.File, o Options) (*Stick, error) {
	d, err := claim(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening a USB stick: %w", err), f.Close())
	}
	return New(d, o)
}

// claim reads the descriptors from the node and claims the storage interface.
func claim(f *os.File) (*device, error) {
	raw := make([]byte, maxDescriptors)
	n, err := f.ReadAt(raw, 0)
	if n == 0 && err != nil {
		return nil, gone(err)
	}
	i, err := ParseInterface(raw[:n])
	if err != nil {
		return nil, err
	}
	d := &device{f, i}
	return d, d.number(usbfsClaim, uint32(i.Number))
}

// ioctl makes a request; it may block for as long as the request says.
func (d *device) ioctl(request uint, arg unsafe.Pointer) (n int, err error) {
	raw, err := d.f.SyscallConn()
	if err != nil {
		return 0, ErrGone
	}
	var errno unix.Errno
	if err := raw.Control(func(fd uintptr) {
		var r uintptr
		r, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, uintptr(request), uintptr(arg))
		n = int(r)
	}); err != nil {
		return 0, ErrGone
	}
	if errno != 0 {
		return 0, gone(errno)
	}
	return n, nil
}

// gone puts the kernel's words into the package's.
func gone(err error) error {
	switch {
	case errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESHUTDOWN) || errors.Is(err, unix.ENOENT) || errors.Is(err, os.ErrClosed):
		return fmt.Errorf("%w: %w", ErrGone, err)
	case errors.Is(err, unix.EPIPE):
		return ErrStall
	case errors.Is(err, unix.ETIMEDOUT):
		return ErrTimeout
	}
	return err
}

func (d *device) number(request uint, n uint32) error {
	_, err := d.ioctl(request, unsafe.Pointer(&n))
	return err
}

func (d *device) bulk(endpoint byte, data []byte, within time.Duration) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	t := bulkTransfer{uint32(endpoint), uint32(len(data)), uint32(within.Milliseconds()), &data[0]}
	n, err := d.ioctl(usbfsBulk, unsafe.Pointer(&t))
	runtime.KeepAlive(data)
	return n, err
}

// Out is Bus's.
func (d *device) Out(data []byte, within time.Duration) (int, error) {
	return d.bulk(d.i.Out, data, within)
}

// In is Bus's.
func (d *device) In(buf []byte, within time.Duration) (int, error) {
	return d.bulk(d.i.In, buf, within)
}

// Clear is Bus's.
func (d *device) Clear(in bool) error {
	endpoint := d.i.Out
	if in {
		endpoint = d.i.In
	}
	return d.number(usbfsClear, uint32(endpoint))
}

// ResetClass is Bus's: a class request to the interface.
func (d *device) ResetClass(within time.Duration) error {
	const classToInterface, massStorageReset = 0x21, 0xff
	t := controlTransfer{requestType: classToInterface, request: massStorageReset, index: uint16(d.i.Number), timeout: uint32(within.Milliseconds())}
	_, err := d.ioctl(usbfsControl, unsafe.Pointer(&t))
	return err
}

// ResetPort is Bus's. The kernel forgets the claim over it.
func (d *device) ResetPort() error {
	if _, err := d.ioctl(usbfsReset, nil); err != nil {
		return err
	}
	err := d.number(usbfsClaim, uint32(d.i.Number))
	if errors.Is(err, unix.EBUSY) {
		return nil // it did not
	}
	return err
}

// Close gives the interface back, if the stick is still there, and closes the node.
func (d *device) Close() error {
	_ = d.number(usbfsRelease, uint32(d.i.Number))
	return d.f.Close()
}
