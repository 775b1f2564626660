package usbredir

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// Setup is the eight bytes that begin a control transfer (USB 2.0, 9.3).
type Setup struct {
	Type, Request        byte
	Value, Index, Length uint16
}

// Model says what a device is and does. Descriptors are bytes as on the wire,
// so that a test can make them as wrong as it likes.
type Model struct {
	Speed   byte           // 0 low, 1 full, 2 high, 3 super
	Device  []byte         // device descriptor, 18 bytes
	Config  []byte         // the one configuration with all that belongs to it
	Strings []string       // string descriptors from index 1
	Reports map[int][]byte // HID report descriptors by interface
	Class   func(s Setup, data []byte) ([]byte, Status)
	BulkOut func(endpoint byte, data []byte)
}

// Device is a model that can be plugged into a machine, pulled out, and plugged
// in again. It is safe for use by several goroutines.
type Device struct {
	model Model

	mu         sync.Mutex // guards all below
	conn       net.Conn
	done       chan struct{}
	configured chan struct{}
	config     byte
	alt        [endpointsN]byte
	in         map[byte]*endpoint
	rejected   bool
}

type endpoint struct {
	started bool // interrupt receiving was asked for
	nextID  uint64
	waiting []request
	data    [][]byte
}

type request struct {
	id     uint64
	length int
	stream uint32
}

// New is an unplugged device.
func New(m Model) *Device { return &Device{model: m} }

// Plug attaches the device to the machine's usb-redir socket at path. It
// returns when the connection stands; Configured tells when the guest's driver
// has chosen a configuration.
func (d *Device) Plug(path string) error {
	c, err := net.Dial("unix", path)
	if err != nil {
		return fmt.Errorf("plugging in usb device: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil {
		c.Close()
		return fmt.Errorf("plugging in usb device: already plugged in")
	}
	d.conn, d.done, d.configured = c, make(chan struct{}), make(chan struct{})
	d.in, d.config, d.rejected = map[byte]*endpoint{}, 0, false
	hello := make([]byte, helloSize)
	copy(hello, "choba bench 1")
	le.PutUint32(hello[64:], capabilities)
	d.send(typeHello, 0, hello)
	go d.serve(c, d.done)
	return nil
}

// Unplug pulls the device out: QEMU turns the closed socket into a detach.
func (d *Device) Unplug() {
	d.mu.Lock()
	c, done := d.conn, d.done
	d.conn = nil
	d.mu.Unlock()
	if c != nil {
		c.Close()
		<-done
	}
}

// Configured is closed when the guest has configured the device, which it does
// only for a device that it has authorised.
func (d *Device) Configured() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.configured
}

// Interrupt queues one report on an interrupt-in endpoint. Reports wait until
// the guest's driver listens, as a real device's first report would.
func (d *Device) Interrupt(ep byte, report []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.endpoint(ep)
	e.data = append(e.data, report)
	d.pumpInterrupt(ep)
}

// Bulk queues data on a bulk-in endpoint.
func (d *Device) Bulk(ep byte, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.endpoint(ep)
	e.data = append(e.data, data)
	d.pumpBulk(ep)
}

// Waiting is the number of reports and chunks that the guest has not taken yet.
func (d *Device) Waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, e := range d.in {
		n += len(e.data)
	}
	return n
}

// send writes one packet; the caller holds mu, so packets never interleave.
func (d *Device) send(kind uint32, id uint64, body []byte) {
	if d.conn == nil {
		return
	}
	d.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := d.conn.Write(packet{kind, id, body}.encode()); err != nil {
		d.conn.Close() // the reader notices and ends
	}
}

func (d *Device) serve(c net.Conn, done chan struct{}) {
	defer close(done)
	defer func() {
		d.mu.Lock()
		if d.conn == c {
			d.conn = nil
		}
		d.mu.Unlock()
		c.Close()
	}()
	for hello := true; ; hello = false {
		p, err := readPacket(c, hello)
		if err != nil {
			return
		}
		if hello && (p.kind != typeHello || le.Uint32(p.body[64:])&capabilities != capabilities) {
			return // a QEMU without the capabilities would lay the packets out otherwise
		}
		d.handle(p)
	}
}

func (d *Device) endpoint(ep byte) *endpoint {
	if d.in == nil {
		d.in = map[byte]*endpoint{}
	}
	e := d.in[ep]
	if e == nil {
		e = &endpoint{}
		d.in[ep] = e
	}
	return e
}

func (d *Device) pumpInterrupt(ep byte) {
	e := d.endpoint(ep)
	for e.started && len(e.data) > 0 {
		x := e.data[0]
		e.data = e.data[1:]
		d.send(typeInterrupt, e.nextID, append([]byte{ep, byte(OK), byte(len(x)), byte(len(x) >> 8)}, x...))
		e.nextID++
	}
}

func (d *Device) pumpBulk(ep byte) {
	e := d.endpoint(ep)
	for len(e.waiting) > 0 && len(e.data) > 0 {
		r, x := e.waiting[0], e.data[0]
		e.waiting = e.waiting[1:]
		if len(x) > r.length {
			e.data[0], x = x[r.length:], x[:r.length]
		} else {
			e.data = e.data[1:]
		}
		d.answerBulk(ep, OK, len(x), r, x)
	}
}

func (d *Device) answerBulk(ep byte, st Status, length int, r request, data []byte) {
	h := make([]byte, 10, 10+len(data))
	h[0], h[1] = ep, byte(st)
	le.PutUint16(h[2:], uint16(length))
	le.PutUint32(h[4:], r.stream)
	le.PutUint16(h[8:], uint16(length>>16))
	d.send(typeBulk, r.id, append(h, data...))
}
