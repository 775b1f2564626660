// Package eventlog reads the firmware's log of measurements, as the kernel shows it in
// securityfs, and gives the SHA-256 digests of one PCR in their order. From those of
// PCR 4 the value after a change of the boot image can be foretold.
//
// The form is that of the TCG PC Client Platform Firmware Profile 1.06, section 10.2: a
// first event in the old form (TCG_PCClientPCREvent) that carries the sizes of the
// digests (TCG_EfiSpecIdEvent), then events in the new one (TCG_PCR_EVENT2). All numbers
// are little endian.
//
// It proves nothing and knows no meaning of an event: only a replay that gives the
// TPM's own value shows that the log is true. The rule that keeps it small: it reads
// sizes and digests and steps over the rest.
package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Digest is the SHA-256 value that an event extended a PCR with.
type Digest = [32]byte

// Limits; what goes beyond them is no log that firmware writes.
const (
	MaxLog     = 1 << 20 // bytes
	maxDigests = 16      // banks in one event
)

// ErrForm means that the bytes are not such a log.
var ErrForm = errors.New("not a log of measurements")

// Numbers of the profile.
const (
	noAction = 3   // EV_NO_ACTION: extends nothing
	sha1Size = 20  // of the digest in an event of the old form
	sha256ID = 0xb // TPM_ALG_SHA256
)

const signature = "Spec ID Event03\x00"

// Digests returns the digests of a PCR's events. Errors wrap ErrForm.
func Digests(log []byte, pcr uint32) ([]Digest, error) {
	if len(log) > MaxLog {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrForm, len(log), MaxLog)
	}
	c := &cursor{rest: log}
	sizes := header(c)
	var out []Digest
	for c.err == nil && len(c.rest) > 0 {
		d, index, kind, ok := event(c, sizes)
		if c.err == nil && index == pcr && kind != noAction {
			if !ok {
				c.fail("an event without a SHA-256 digest")
				break
			}
			out = append(out, d)
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	return out, nil
}

// header reads the first event: the size of each bank's digests, by its algorithm.
func header(c *cursor) map[uint16]int {
	c.number(4) // PCR index
	if c.number(4) != noAction {
		c.fail("the first event is not a header")
	}
	c.bytes(sha1Size)
	body := &cursor{rest: c.bytes(int(c.number(4)))}
	if string(body.bytes(len(signature))) != signature {
		c.fail("not in the form of TPM 2.0")
	}
	body.bytes(8) // platform class, version, sizes of numbers
	n := int(body.number(4))
	if n < 1 || n > maxDigests {
		c.fail("a number of banks out of range")
		return nil
	}
	sizes := map[uint16]int{}
	for range n {
		id := uint16(body.number(2))
		sizes[id] = int(body.number(2))
	}
	body.bytes(int(body.number(1))) // vendor's information
	if body.err != nil || len(body.rest) != 0 {
		c.fail("a header of the wrong size")
	}
	if size, ok := sizes[sha256ID]; ok && size != len(Digest{}) {
		c.fail("SHA-256 digests of the wrong size")
	}
	return sizes
}

// event reads one event; ok says whether it has a SHA-256 digest.
func event(c *cursor, sizes map[uint16]int) (d Digest, pcr, kind uint32, ok bool) {
	pcr, kind = uint32(c.number(4)), uint32(c.number(4))
	n := int(c.number(4))
	if n > maxDigests {
		c.fail("an event with too many digests")
		return d, pcr, kind, false
	}
	for range n {
		id := uint16(c.number(2))
		size, known := sizes[id]
		if !known {
			c.fail("a digest of an algorithm that the header does not name")
			return d, pcr, kind, false
		}
		if b := c.bytes(size); id == sha256ID && len(b) == len(d) {
			d, ok = Digest(b), true
		}
	}
	c.bytes(int(c.number(4)))
	return d, pcr, kind, ok
}

// cursor takes bytes from the front until they run out.
type cursor struct {
	rest []byte
	err  error
}

func (c *cursor) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s", ErrForm, what)
	}
}

func (c *cursor) bytes(n int) []byte {
	if c.err != nil || n < 0 || n > len(c.rest) {
		c.fail("it ends too early")
		return nil
	}
	var b []byte
	b, c.rest = c.rest[:n], c.rest[n:]
	return b
}

func (c *cursor) number(size int) uint64 {
	var b [8]byte
	copy(b[:], c.bytes(size))
	return binary.LittleEndian.Uint64(b[:])
}
