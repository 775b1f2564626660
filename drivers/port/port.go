// Package port is the byte pipe under a driver, and the opener of serial lines.
//
// It knows no protocol and no device. The rule that keeps it small: a pipe has
// bytes and an end, nothing else; modem lines and break are not part of it.
package port

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// Pipe carries bytes to a device and back. Close ends a Read that waits. Read
// fails when the device is gone.
type Pipe interface {
	io.Reader
	io.Writer
	io.Closer
}

// Parities of a line.
const (
	None = "none"
	Even = "even"
	Odd  = "odd"
)

// Line is how a serial line is set.
type Line struct {
	// Baud is the speed in bits a second.
	Baud int `json:"baud"`
	// Bits is 7 or 8.
	Bits int `json:"bits"`
	// Parity is None, Even or Odd.
	Parity string `json:"parity"`
	// Stop is 1 or 2.
	Stop int `json:"stop"`
}

var errSetting = errors.New("no such setting")

// Check refuses settings that no register hardware uses.
func (l Line) Check() error {
	_, err := l.mode()
	return err
}

func (l Line) mode() (*serial.Mode, error) {
	m := &serial.Mode{BaudRate: l.Baud, DataBits: l.Bits}
	switch l.Baud {
	case 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200:
	default:
		return nil, fmt.Errorf("setting %d baud: %w", l.Baud, errSetting)
	}
	if l.Bits != 7 && l.Bits != 8 {
		return nil, fmt.Errorf("setting %d bits: %w", l.Bits, errSetting)
	}
	switch l.Parity {
	case None:
		m.Parity = serial.NoParity
	case Even:
		m.Parity = serial.EvenParity
	case Odd:
		m.Parity = serial.OddParity
	default:
		return nil, fmt.Errorf("setting parity %q: %w", l.Parity, errSetting)
	}
	switch l.Stop {
	case 1:
		m.StopBits = serial.OneStopBit
	case 2:
		m.StopBits = serial.TwoStopBits
	default:
		return nil, fmt.Errorf("setting %d stop bits: %w", l.Stop, errSetting)
	}
	return m, nil
}

// Open opens a serial line for this process alone. The error is fs.ErrPermission
// or unix.EBUSY where it is one of them.
func Open(path string, l Line) (Pipe, error) {
	m, err := l.mode()
	if err != nil {
		return nil, err
	}
	p, err := serial.Open(path, m)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, plain(err))
	}
	return &pipe{p: p}, nil
}

// plain says in the system's words what the library says in its own.
func plain(err error) error {
	var p *serial.PortError
	if !errors.As(err, &p) {
		return err
	}
	switch p.Code() {
	case serial.PermissionDenied:
		return fs.ErrPermission
	case serial.PortBusy:
		return unix.EBUSY
	}
	return err
}

// pipe hides what a Pipe does not have, and never returns nothing without an
// error.
type pipe struct {
	p serial.Port
	// writing is held by a Write for each call of the library, whose Close does
	// not wait for them and frees the file's number under them.
	writing sync.Mutex
	closed  atomic.Bool
}

func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.p.Read(b)
	if n == 0 && err == nil && len(b) > 0 {
		return 0, io.EOF
	}
	return n, err
}

// Write writes all of b: the library below may stop early.
func (p *pipe) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		n, err := p.some(b[done:])
		done += n
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case err != nil:
			return done, err
		case n == 0:
			return done, io.ErrShortWrite
		}
	}
	return done, nil
}

func (p *pipe) some(b []byte) (int, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	if p.closed.Load() {
		return 0, io.ErrClosedPipe
	}
	return p.p.Write(b)
}

// Close throws away what the line has not taken yet: a printer that is switched
// off would keep it, and the caller, for half a minute. A Write that still
// waits after writerIn stays behind in the kernel until the device leaves; it
// keeps the old file, writes nothing more, and fails then.
func (p *pipe) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	for end := time.Now().Add(writerIn); time.Now().Before(end); time.Sleep(writerPoll) {
		_ = p.p.ResetOutputBuffer() // a line that is gone has none
		if p.writing.TryLock() {
			defer p.writing.Unlock()
			break
		}
	}
	return p.p.Close()
}

// How long Close looks, and how often, whether a Write that waits has ended.
const (
	writerIn   = 500 * time.Millisecond
	writerPoll = 5 * time.Millisecond
)
