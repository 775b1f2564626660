// Package usbredir attaches emulated USB devices to a QEMU machine over the
// usbredir protocol: this side plays the usb-host that owns the device, QEMU's
// usb-redir plays the usb-guest that uses it. The guest's kernel sees ordinary
// hardware, with plugging, unplugging and any descriptor a test wants.
//
// It is not a USB stack: no isochronous transfers, no bulk streams, no hubs.
//
// The rule that keeps it small: the framing is strict and never fuzzed (a
// malformed stream aborts QEMU itself), everything inside descriptors, control
// answers and data is free, and what a device does lives in the model, not here.
//
// Source: usbredir protocol description, version 0.7.
package usbredir

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Packet types that this side sends or understands.
const (
	typeHello           = 0
	typeConnect         = 1
	typeReset           = 3
	typeInterfaceInfo   = 4
	typeEndpointInfo    = 5
	typeSetConfig       = 6
	typeGetConfig       = 7
	typeConfigStatus    = 8
	typeSetAlt          = 9
	typeGetAlt          = 10
	typeAltStatus       = 11
	typeStartIso        = 12
	typeStopIso         = 13
	typeIsoStatus       = 14
	typeStartInterrupt  = 15
	typeStopInterrupt   = 16
	typeInterruptStatus = 17
	typeCancel          = 21
	typeFilterReject    = 22
	typeControl         = 100
	typeBulk            = 101
	typeInterrupt       = 103
)

// Status is the outcome of a transfer as the guest will see it.
type Status byte

// The statuses of the protocol that models use.
const (
	OK        Status = 0
	Cancelled Status = 1
	Invalid   Status = 2
	Stall     Status = 4
)

// Capabilities announced: connect carries bcdDevice, filter, disconnect ack,
// packet sizes in ep_info, 64-bit ids, 32-bit bulk lengths. Streams and
// buffered bulk stay off, so that bulk-in is plain request and answer.
const capabilities = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<6

const (
	helloSize  = 68
	maxPacket  = 1 << 24 // far above what QEMU sends; a larger length is a lost stream
	shortIDs   = 12      // header of the hello: type, length, 32-bit id
	longIDs    = 16      // header of everything after it: 64-bit id
	endpointsN = 32
)

var le = binary.LittleEndian

type packet struct {
	kind uint32
	id   uint64
	body []byte
}

// encode is one packet in one buffer, so that it can be written by one call.
func (p packet) encode() []byte {
	n := longIDs
	if p.kind == typeHello {
		n = shortIDs
	}
	b := make([]byte, n, n+len(p.body))
	le.PutUint32(b, p.kind)
	le.PutUint32(b[4:], uint32(len(p.body)))
	le.PutUint32(b[8:], uint32(p.id))
	if n == longIDs {
		le.PutUint64(b[8:], p.id)
	}
	return append(b, p.body...)
}

// readPacket reads one packet; the hello has the short header.
func readPacket(r io.Reader, hello bool) (packet, error) {
	n := longIDs
	if hello {
		n = shortIDs
	}
	head := make([]byte, n)
	if _, err := io.ReadFull(r, head); err != nil {
		return packet{}, err
	}
	p := packet{kind: le.Uint32(head), id: uint64(le.Uint32(head[8:]))}
	if !hello {
		p.id = le.Uint64(head[8:])
	}
	size := le.Uint32(head[4:])
	if size > maxPacket {
		return packet{}, fmt.Errorf("reading usbredir packet: type %d claims %d bytes", p.kind, size)
	}
	if want := minBody[p.kind]; int(size) < want {
		return packet{}, fmt.Errorf("reading usbredir packet: type %d has %d bytes, want at least %d", p.kind, size, want)
	}
	p.body = make([]byte, size)
	_, err := io.ReadFull(r, p.body)
	return p, err
}

// minBody is the fixed part of each packet that QEMU may send.
var minBody = map[uint32]int{
	typeHello: helloSize, typeSetConfig: 1, typeSetAlt: 2, typeGetAlt: 1, typeStartIso: 3, typeStopIso: 1,
	typeStartInterrupt: 1, typeStopInterrupt: 1, typeControl: 10, typeBulk: 10, typeInterrupt: 4,
}
