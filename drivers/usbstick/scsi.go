package usbstick

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Commands (SPC-4, SBC-3).
const (
	testUnitReady    = 0x00
	requestSense     = 0x03
	inquiryCommand   = 0x12
	readCapacityTen  = 0x25
	readTen          = 0x28
	writeTen         = 0x2a
	synchronizeCache = 0x35
	readSixteen      = 0x88
	serviceIn        = 0x9e
	readCapacityLong = 0x10 // serviceIn's action
)

// Sense keys and codes (SPC-4, 4.5).
const (
	keyRecovered  = 1
	keyNotReady   = 2
	keyMedium     = 3
	keyHardware   = 4
	keyIllegal    = 5
	keyAttention  = 6
	keyProtected  = 7
	codeNoMedium  = 0x3a
	codeChanged   = 0x28
	senseSize     = 18
	inquirySize   = 36
	typeDisk      = 0
	attempts      = 3 // of a command whose exchange broke or which got an attention
	readyQuestion = 20
	readyPause    = 500 * time.Millisecond
)

var (
	errUnknownCommand = errors.New("the stick does not know the command")
	errNotReady       = errors.New("the stick is not ready")
	errAttention      = errors.New("the stick was reset or changed")
)

// do sends a command until it succeeds, whose data (if any) must come or go whole.
func (t *transport) do(cdb, data []byte, in bool, within time.Duration) error {
	n, err := t.some(cdb, data, in, within)
	if err == nil && n != len(data) {
		return fmt.Errorf("command %#02x: %w: %d of %d bytes", cdb[0], ErrProtocol, n, len(data))
	}
	return err
}

// some is do for an answer that may be shorter.
func (t *transport) some(cdb, data []byte, in bool, within time.Duration) (n int, err error) {
	for range attempts {
		var status byte
		n, status, err = t.exchange(cdb, data, in, within)
		if err == nil && status == statusFailed {
			err = t.sense()
		}
		var broken errBroken
		if err == nil || errors.Is(err, ErrGone) || !errors.As(err, &broken) && !errors.Is(err, errAttention) {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("command %#02x: %w", cdb[0], err)
	}
	return n, nil
}

// sense asks why the last command failed; nil when it did not really.
func (t *transport) sense() error {
	b := make([]byte, senseSize)
	n, status, err := t.exchange([]byte{requestSense, 0, 0, 0, senseSize, 0}, b, true, quick)
	if err != nil {
		return err
	}
	if status != statusGood {
		return fmt.Errorf("%w: it does not say what failed", ErrProtocol)
	}
	err = senseError(b[:n])
	if t.fixed && errors.Is(err, errAttention) && b[12] == codeChanged {
		return fmt.Errorf("%w: another medium is in it: %w", ErrGone, err)
	}
	return err
}

// senseError puts a sense answer of the fixed form into an error.
func senseError(b []byte) error {
	if len(b) < 14 || b[0]&0x7e != 0x70 {
		return fmt.Errorf("%w: a sense answer of %d bytes", ErrProtocol, len(b))
	}
	key, code := b[2]&0xf, b[12]
	says := fmt.Errorf("sense %x/%02x/%02x", key, code, b[13])
	switch {
	case key == keyRecovered:
		return nil
	case key == keyNotReady && code == codeNoMedium:
		return fmt.Errorf("%w: %w", ErrEmpty, says)
	case key == keyNotReady:
		return fmt.Errorf("%w: %w", errNotReady, says)
	case key == keyMedium || key == keyHardware:
		return fmt.Errorf("%w: %w", ErrMedium, says)
	case key == keyIllegal:
		return fmt.Errorf("%w: %w", errUnknownCommand, says)
	case key == keyAttention:
		return fmt.Errorf("%w: %w", errAttention, says)
	case key == keyProtected:
		return fmt.Errorf("%w: %w", ErrReadOnly, says)
	}
	return fmt.Errorf("%w: %w", ErrProtocol, says)
}

// inquiry asks what the stick is and gives its name.
func (t *transport) inquiry() (string, error) {
	b := make([]byte, inquirySize)
	n, err := t.some([]byte{inquiryCommand, 0, 0, 0, inquirySize, 0}, b, true, quick)
	if err != nil {
		return "", err
	}
	if n < 5 || b[0] != typeDisk {
		return "", fmt.Errorf("%w: kind %#02x in an answer of %d bytes", ErrKind, b[0], n)
	}
	if n < inquirySize {
		return "", nil
	}
	return strings.TrimSpace(printable(b[8:16]) + " " + printable(b[16:32])), nil
}

func printable(b []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, strings.TrimRight(string(b), "\x00")))
}

// ready waits until the medium can be read.
func (t *transport) ready(wait func(time.Duration)) (err error) {
	for i := range readyQuestion {
		if i > 0 {
			wait(readyPause)
		}
		err = t.do([]byte{testUnitReady, 0, 0, 0, 0, 0}, nil, true, quick)
		if err == nil || !errors.Is(err, errNotReady) && !errors.Is(err, errAttention) {
			return err
		}
	}
	return err
}

// capacity asks for the number of blocks and their size.
func (t *transport) capacity() (blocks uint64, block uint32, err error) {
	b := make([]byte, 8)
	if err := t.do([]byte{readCapacityTen, 0, 0, 0, 0, 0, 0, 0, 0, 0}, b, true, quick); err != nil {
		return 0, 0, err
	}
	last, block := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if last != 0xffffffff {
		return uint64(last) + 1, block, nil
	}
	long := make([]byte, 32)
	cdb := []byte{serviceIn, readCapacityLong, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(long)), 0, 0}
	if err := t.do(cdb, long, true, quick); err != nil {
		return 0, 0, err
	}
	return binary.BigEndian.Uint64(long) + 1, binary.BigEndian.Uint32(long[8:]), nil // 2^64-1 gives 0, which is refused
}
