// Package input reads the kernel's input events (evdev): touch panels, tablets, keyboards and scanners that type.
//
// It is not a device policy (services/ports decides what may be opened) and not a user interface: it turns bytes into events,
// events into characters (Typist) and events into touches (Pad), and keeps no goroutine. Rule that keeps it small: what a
// character or a touch means is somebody else's.
//
// Sources: Linux include/uapi/linux/input.h and input-event-codes.h, Documentation/input/event-codes.rst and
// multi-touch-protocol.rst. 64-bit kernels only: an event is 24 bytes.
package input

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// EventSize is the length of one event as a 64-bit kernel writes it.
const EventSize = 24

// Event is one input_event. At is the kernel's time stamp: monotonic once Device has chosen that clock, else wall time.
type Event struct {
	At    time.Duration
	Type  Type
	Code  uint16
	Value int32
}

// Type is an event's class (EV_…).
type Type uint16

// The classes this package understands.
const (
	Syn Type = 0
	Key Type = 1
	Rel Type = 2
	Abs Type = 3
)

// Codes of class Syn.
const (
	SynReport  = 0
	SynDropped = 3
)

// ErrShort means that the kernel's bytes ended inside an event; it never does, so the other end is no evdev node.
var ErrShort = errors.New("bytes end inside an event")

// Decode appends the events in b to out. b must hold whole events.
func Decode(out []Event, b []byte) ([]Event, error) {
	if len(b)%EventSize != 0 {
		return out, fmt.Errorf("decoding %d bytes of input: %w", len(b), ErrShort)
	}
	for ; len(b) > 0; b = b[EventSize:] {
		sec := int64(binary.LittleEndian.Uint64(b))
		usec := int64(binary.LittleEndian.Uint64(b[8:]))
		out = append(out, Event{
			At:    time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond,
			Type:  Type(binary.LittleEndian.Uint16(b[16:])),
			Code:  binary.LittleEndian.Uint16(b[18:]),
			Value: int32(binary.LittleEndian.Uint32(b[20:])),
		})
	}
	return out, nil
}

// Encode is the reverse of Decode, for tests and for virtual devices.
func Encode(b []byte, events ...Event) []byte {
	for _, e := range events {
		b = binary.LittleEndian.AppendUint64(b, uint64(e.At/time.Second))
		b = binary.LittleEndian.AppendUint64(b, uint64(e.At%time.Second/time.Microsecond))
		b = binary.LittleEndian.AppendUint16(b, uint16(e.Type))
		b = binary.LittleEndian.AppendUint16(b, e.Code)
		b = binary.LittleEndian.AppendUint32(b, uint32(e.Value))
	}
	return b
}
