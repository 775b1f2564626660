package usbstick

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Sizes and signatures (Bulk-Only Transport 1.0, section 5).
const (
	cbwSize, cswSize = 31, 13
	cbwSignature     = 0x43425355 // "USBC"
	cswSignature     = 0x53425355 // "USBS"

	statusGood   = 0
	statusFailed = 1

	// chunk is one transfer. usbfs takes its memory in one piece, which a long-running machine may not have in
	// larger pieces; libusb has the same number for the same reason.
	chunk = 16 << 10
)

const (
	quick = 5 * time.Second  // for a command without data from the medium
	slow  = 15 * time.Second // for one with; a stick may tidy up in between
)

// transport sends one command at a time.
type transport struct {
	bus   Bus
	tag   uint32
	fixed bool // the size was read: another medium is another stick
}

// errBroken is an exchange that went wrong; the transport was reset, the command may be sent again.
type errBroken struct{ why error }

func (e errBroken) Error() string { return e.why.Error() }
func (e errBroken) Unwrap() error { return e.why }

// exchange sends a command with its data and gives how many bytes of the data count, and the stick's status: good or
// failed. Any other end is an errBroken after a reset, or ErrGone.
func (t *transport) exchange(cdb, data []byte, in bool, within time.Duration) (n int, status byte, err error) {
	t.tag++
	n, status, err = t.try(cdb, data, in, within)
	if err == nil || errors.Is(err, ErrGone) {
		return n, status, err
	}
	if reset := t.recover(); reset != nil {
		if errors.Is(reset, ErrGone) {
			return 0, 0, reset
		}
		err = errors.Join(err, reset)
	}
	return 0, 0, errBroken{err}
}

func (t *transport) try(cdb, data []byte, in bool, within time.Duration) (int, byte, error) {
	cbw := make([]byte, cbwSize)
	binary.LittleEndian.PutUint32(cbw, cbwSignature)
	binary.LittleEndian.PutUint32(cbw[4:], t.tag)
	binary.LittleEndian.PutUint32(cbw[8:], uint32(len(data)))
	if in && len(data) > 0 {
		cbw[12] = 0x80
	}
	cbw[14] = byte(len(cdb))
	copy(cbw[15:], cdb)
	if n, err := t.bus.Out(cbw, within); err != nil || n != cbwSize {
		return 0, 0, fmt.Errorf("sending a command: %d of %d bytes: %w", n, cbwSize, orShort(err))
	}
	moved, err := t.data(data, in, within)
	if err != nil {
		return 0, 0, fmt.Errorf("moving data: %w", err)
	}
	csw, err := t.status(within)
	if err != nil {
		return 0, 0, fmt.Errorf("reading the status: %w", err)
	}
	status, residue, err := parseStatus(csw, t.tag, uint32(len(data)))
	if err != nil {
		return 0, 0, err
	}
	return min(moved, len(data)-int(residue)), status, nil
}

// orShort gives a short transfer without an error one.
func orShort(err error) error {
	if err == nil {
		return ErrProtocol
	}
	return err
}

// data moves the data of a command. A stall ends it early: the status then says why.
func (t *transport) data(data []byte, in bool, within time.Duration) (moved int, err error) {
	for moved < len(data) {
		part := data[moved:min(len(data), moved+chunk)]
		move := t.bus.Out
		if in {
			move = t.bus.In
		}
		n, err := move(part, within)
		if n < 0 || n > len(part) {
			return moved, fmt.Errorf("%w: %d bytes of %d", ErrProtocol, n, len(part))
		}
		moved += n
		if errors.Is(err, ErrStall) {
			return moved, t.bus.Clear(in)
		}
		if err != nil {
			return moved, err
		}
		if n < len(part) {
			return moved, nil
		}
	}
	return moved, nil
}

// status reads the 13 bytes that end a command: again after one stall, and again after one empty packet, which some
// sticks put between data and status.
func (t *transport) status(within time.Duration) ([]byte, error) {
	stalled, empty := false, false
	for {
		buf := make([]byte, cswSize)
		n, err := t.bus.In(buf, within)
		switch {
		case errors.Is(err, ErrStall) && !stalled:
			stalled = true
			if err := t.bus.Clear(true); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		case n == 0 && !empty:
			empty = true
		case n != cswSize:
			return nil, fmt.Errorf("%w: %d bytes", ErrProtocol, n)
		default:
			return buf, nil
		}
	}
}

// parseStatus reads a status (section 6.3): it must be valid, be this command's, and mean something.
func parseStatus(b []byte, tag, length uint32) (status byte, residue uint32, err error) {
	if len(b) != cswSize || binary.LittleEndian.Uint32(b) != cswSignature {
		return 0, 0, fmt.Errorf("%w: no status", ErrProtocol)
	}
	if got := binary.LittleEndian.Uint32(b[4:]); got != tag {
		return 0, 0, fmt.Errorf("%w: the status is of command %d, want %d", ErrProtocol, got, tag)
	}
	status, residue = b[12], binary.LittleEndian.Uint32(b[8:])
	if status > statusFailed {
		return 0, 0, fmt.Errorf("%w: status %d", ErrProtocol, status) // 2 is a phase error
	}
	if residue > length {
		return 0, 0, fmt.Errorf("%w: %d of %d bytes are missing", ErrProtocol, residue, length)
	}
	return status, residue, nil
}

// recover brings both sides back to the beginning of a command (section 5.3.4); when the stick does not follow, the
// port is reset.
func (t *transport) recover() error {
	err := t.bus.ResetClass(quick)
	if err == nil {
		err = t.bus.Clear(true)
	}
	if err == nil {
		err = t.bus.Clear(false)
	}
	if err == nil || errors.Is(err, ErrGone) {
		return err
	}
	return t.bus.ResetPort()
}
