package input

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Info is what a device says about itself. Nothing in it is to be trusted: any device may claim any of it.
type Info struct {
	Name, Phys, Unique            string
	Bus, Vendor, Product, Version uint16
	// Keyboard: it has the keys a scanner that types needs (letters, digits and Enter).
	Keyboard bool
	// Touch: it gives absolute positions and a press.
	Touch bool
	// Multi: it speaks multi-touch protocol B (slots).
	Multi bool
	X, Y  Range
}

// Range is the span of an absolute axis, both ends included.
type Range struct{ Min, Max int32 }

// Device is an open event node.
type Device struct {
	f    *os.File
	info Info
	buf  [64 * EventSize]byte
}

// Open opens an event node (/dev/input/eventN) and asks it what it is. It does not grab it.
func Open(path string) (*Device, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening input device: %w", err)
	}
	d, err := FromFile(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return d, nil
}

// FromFile takes over an event node that is open already, as services/ports hands it out. Closing the device closes f.
func FromFile(f *os.File) (*Device, error) {
	d := &Device{f: f}
	if err := d.query(); err != nil {
		return nil, fmt.Errorf("asking %s what it is: %w", f.Name(), err)
	}
	return d, nil
}

// Info returns what the device said when it was opened.
func (d *Device) Info() Info { return d.info }

// File returns the open node, for handing it to another process. It stays the device's.
func (d *Device) File() *os.File { return d.f }

// Close gives the node back; a grab ends with it when no other process holds the same open file.
func (d *Device) Close() error { return d.f.Close() }

// Grab makes this open file the only one that gets events (EVIOCGRAB): what is typed reaches nobody else.
func (d *Device) Grab() error {
	if err := d.ioctl(ior(iocWrite, 0x90, 4), 1); err != nil {
		return fmt.Errorf("grabbing %s: %w", d.f.Name(), err)
	}
	return nil
}

// Quiet has the kernel leave out the scan codes that come beside every key (EVIOCSMASK): nobody reads them, and they
// fill a third of the 64 events that it keeps for a reader who is late.
func (d *Device) Quiet() error {
	const misc = 4 // EV_MSC
	none := new([8]byte)
	mask := &struct {
		kind, size uint32
		codes      uint64
	}{misc, uint32(len(none)), uint64(uintptr(unsafe.Pointer(none)))}
	var pin runtime.Pinner
	pin.Pin(none)
	pin.Pin(mask)
	defer pin.Unpin()
	if err := d.ioctl(ior(iocWrite, 0x93, unsafe.Sizeof(*mask)), uintptr(unsafe.Pointer(mask))); err != nil {
		return fmt.Errorf("quieting %s: %w", d.f.Name(), err)
	}
	return nil
}

// Read waits for events and appends them to out. At the device's removal it returns an error (ENODEV).
func (d *Device) Read(out []Event) ([]Event, error) {
	n, err := d.f.Read(d.buf[:])
	if err != nil {
		return out, fmt.Errorf("reading %s: %w", d.f.Name(), err)
	}
	return Decode(out, d.buf[:n])
}

const (
	iocWrite = 1
	iocRead  = 2
)

func ior(dir, nr, size uintptr) uintptr { return dir<<30 | size<<16 | 'E'<<8 | nr }

func (d *Device) ioctl(req, arg uintptr) error {
	c, err := d.f.SyscallConn()
	if err != nil {
		return err
	}
	var errno unix.Errno
	if err := c.Control(func(fd uintptr) { _, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, req, arg) }); err != nil {
		return err
	}
	if errno != 0 {
		return errno
	}
	return nil
}

// get fills b by a reading ioctl.
func (d *Device) get(nr uintptr, b []byte) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&b[0])
	return d.ioctl(ior(iocRead, nr, uintptr(len(b))), uintptr(unsafe.Pointer(&b[0])))
}

func (d *Device) query() error {
	id := make([]byte, 8)
	if err := d.get(0x02, id); err != nil {
		return err
	}
	le := func(i int) uint16 { return uint16(id[i]) | uint16(id[i+1])<<8 }
	d.info = Info{
		Name: d.text(0x06), Phys: d.text(0x07), Unique: d.text(0x08),
		Bus: le(0), Vendor: le(2), Product: le(4), Version: le(6),
	}
	keys, abs := make([]byte, 96), make([]byte, 8)
	if err := d.get(0x20+uintptr(Key), keys); err != nil {
		return err
	}
	if err := d.get(0x20+uintptr(Abs), abs); err != nil {
		return err
	}
	has := func(set []byte, n int) bool { return set[n/8]>>(n%8)&1 == 1 }
	d.info.Keyboard = has(keys, keyA) && has(keys, key1) && has(keys, keyEnter)
	ax, ay := -1, -1
	switch {
	case has(abs, absMTX) && has(abs, absMTY) && has(abs, absSlot):
		d.info.Multi, ax, ay = true, absMTX, absMTY
	case has(abs, absX) && has(abs, absY) && (has(keys, btnTouch) || has(keys, btnLeft)):
		ax, ay = absX, absY
	}
	if ax >= 0 {
		d.info.Touch = true
		if err := errors.Join(d.axis(ax, &d.info.X), d.axis(ay, &d.info.Y)); err != nil {
			return err
		}
	}
	return d.monotonic()
}

func (d *Device) axis(code int, r *Range) error {
	b := make([]byte, 24)
	if err := d.get(0x40+uintptr(code), b); err != nil {
		return err
	}
	i32 := func(i int) int32 {
		return int32(uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16 | uint32(b[i+3])<<24)
	}
	r.Min, r.Max = i32(4), i32(8)
	return nil
}

// text asks for a string; a device without one answers ENOENT, which is an empty string here.
func (d *Device) text(nr uintptr) string {
	b := make([]byte, 256)
	if d.get(nr, b) != nil {
		return ""
	}
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// monotonic asks for time stamps of CLOCK_MONOTONIC, so that a clock being set does not confuse latencies and gaps.
func (d *Device) monotonic() error {
	clock := []byte{unix.CLOCK_MONOTONIC, 0, 0, 0}
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&clock[0])
	return d.ioctl(ior(iocWrite, 0xa0, 4), uintptr(unsafe.Pointer(&clock[0])))
}
