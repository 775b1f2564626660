// Package wedge is a virtual keyboard-wedge barcode scanner and the strangers
// that somebody may plug in beside it: USB device models for package usbredir.
//
// It is not a keyboard: it types codes with the US layout, as scanners leave
// the factory.
//
// The rule that keeps it small: a device here is its descriptors and what it
// sends; how it travels is usbredir's business.
package wedge

import (
	"fmt"
	"strings"

	"github.com/choba-os/choba/tests/bench/usbredir"
)

// The identity of the bench's scanner, as the port policy for the virtual
// hardware names it.
const (
	Vendor  = 0x1209
	Product = 0xc0b1
	Serial  = "BENCH-SCANNER-1"
)

const interruptIn = 0x81

// bootReport is the HID boot keyboard's report descriptor (HID 1.11, B.1).
var bootReport = []byte{
	0x05, 1, 0x09, 6, 0xa1, 1,
	0x05, 7, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0, 0x25, 1, 0x75, 1, 0x95, 8, 0x81, 2, // modifiers
	0x95, 1, 0x75, 8, 0x81, 1, // reserved byte
	0x95, 6, 0x75, 8, 0x15, 0, 0x25, 0x65, 0x05, 7, 0x19, 0, 0x29, 0x65, 0x81, 0, // keys
	0xc0,
}

// Scanner is a keyboard wedge. The interval is one frame, so that ten scans a
// second go through it.
type Scanner struct{ *usbredir.Device }

// New is the bench's scanner, unplugged.
func New() *Scanner { return Unit(Serial) }

// Unit is another unit of the same make, with its own serial number.
func Unit(serial string) *Scanner {
	return &Scanner{keyboard(Vendor, Product, "Choba bench", "Barcode scanner", serial)}
}

// Keyboard is an ordinary keyboard that nobody has allowed.
func Keyboard() *usbredir.Device { return keyboard(0x1209, 0xbad1, "Stranger", "Keyboard", "K-666") }

// Stick is a memory stick with a keyboard inside, as attackers like it: a stick alone would be let in, to be read for
// an update. It answers nothing beyond its descriptors, since nobody should ever ask.
func Stick() *usbredir.Device {
	typist := iface(3, 1, 1, 1)
	typist[2] = 1 // the second interface
	config := configuration(iface(8, 6, 0x50, 2), endpoint(0x81, 2, 512, 0), endpoint(0x02, 2, 512, 0), typist, endpoint(0x83, 3, 8, 10))
	config[4] = 2
	return usbredir.New(usbredir.Model{Speed: 2, Device: descriptor(0x1209, 0xbad2), Config: config,
		Strings: []string{"Stranger", "USB stick", "S-666"}})
}

func keyboard(vendor, product uint16, maker, name, serial string) *usbredir.Device {
	hid := []byte{9, 0x21, 0x11, 1, 0, 1, 0x22, byte(len(bootReport)), 0}
	config := configuration(iface(3, 1, 1, 1), hid, endpoint(interruptIn, 3, 8, 1))
	return usbredir.New(usbredir.Model{Speed: 1, Device: descriptor(vendor, product), Config: config,
		Strings: []string{maker, name, serial}, Reports: map[int][]byte{0: bootReport},
		Class: func(s usbredir.Setup, _ []byte) ([]byte, usbredir.Status) {
			if s.Type&0x80 != 0 { // GET_REPORT and the like: nothing pressed
				return make([]byte, s.Length), usbredir.OK
			}
			return nil, usbredir.OK // SET_IDLE, SET_PROTOCOL, SET_REPORT
		}})
}

func descriptor(vendor, product uint16) []byte {
	return []byte{18, 1, 0, 2, 0, 0, 0, 64, byte(vendor), byte(vendor >> 8), byte(product), byte(product >> 8), 0, 1, 1, 2, 3, 1}
}

func iface(class, sub, protocol, endpoints byte) []byte {
	return []byte{9, 4, 0, 0, endpoints, class, sub, protocol, 0}
}

func endpoint(addr, kind byte, size uint16, interval byte) []byte {
	return []byte{7, 5, addr, kind, byte(size), byte(size >> 8), interval}
}

func configuration(parts ...[]byte) []byte {
	b := []byte{9, 2, 0, 0, 1, 1, 0, 0x80, 50}
	for _, p := range parts {
		b = append(b, p...)
	}
	b[2], b[3] = byte(len(b)), byte(len(b)>>8)
	return b
}

// Scan types the code and Enter.
func (s *Scanner) Scan(code string) error { return s.Type(code + "\n") }

// Type sends the key strokes of text; a rune that the layout lacks is an error
// before anything is sent.
func (s *Scanner) Type(text string) error {
	var reports [][]byte
	for _, r := range text {
		modifier, key, ok := stroke(r)
		if !ok {
			return fmt.Errorf("typing %q: no key for %q", text, r)
		}
		reports = append(reports, []byte{modifier, 0, key, 0, 0, 0, 0, 0}, make([]byte, 8))
	}
	for _, r := range reports {
		s.Interrupt(interruptIn, r)
	}
	return nil
}

const shift = 2 // left shift in the modifier byte

// stroke is a rune's modifier and usage (HID Usage Tables, page 7, US layout).
func stroke(r rune) (modifier, usage byte, ok bool) {
	const plain, shifted = "-=[]\\`;'`,./", "_+{}|~:\"~<>?"
	usages := []byte{0x2d, 0x2e, 0x2f, 0x30, 0x31, 0x35, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38}
	switch {
	case r >= 'a' && r <= 'z':
		return 0, byte(r-'a') + 0x04, true
	case r >= 'A' && r <= 'Z':
		return shift, byte(r-'A') + 0x04, true
	case r >= '1' && r <= '9':
		return 0, byte(r-'1') + 0x1e, true
	case r == '0':
		return 0, 0x27, true
	case r == '\n':
		return 0, 0x28, true
	case r == '\x1b':
		return 0, 0x29, true
	case r == '\b':
		return 0, 0x2a, true
	case r == '\t':
		return 0, 0x2b, true
	case r == ' ':
		return 0, 0x2c, true
	}
	if i := strings.IndexRune("!@#$%^&*()", r); i >= 0 {
		return shift, 0x1e + byte(i), true
	}
	if i := strings.IndexRune(plain, r); i >= 0 {
		return 0, usages[i], true
	}
	if i := strings.IndexRune(shifted, r); i >= 0 {
		return shift, usages[i], true
	}
	return 0, 0, false
}
