package usb

import (
	"errors"
	"fmt"
	"slices"
)

var errDescriptor = errors.New("broken descriptor")

// Descriptors are a device's own description, as far as a policy needs it.
type Descriptors struct {
	Vendor, Product uint16
	// Interfaces are "class/subclass/protocol" of every interface in every
	// configuration and alternative setting, sorted, each once.
	Interfaces []string
}

// Types and sizes of descriptors (USB 2.0, 9.6).
const (
	typeDevice        = 1
	typeConfiguration = 2
	typeInterface     = 4
	sizeDevice        = 18
	sizeConfiguration = 9
	sizeInterface     = 9
)

const maxDescriptors = 64 << 10

// ParseDescriptors reads the file "descriptors" of sysfs: the device descriptor
// and all configurations. What is broken is refused: a device that lies about
// lengths gets nothing.
func ParseDescriptors(b []byte) (Descriptors, error) {
	if len(b) > maxDescriptors {
		return Descriptors{}, fmt.Errorf("reading descriptors: %d bytes: %w", len(b), errDescriptor)
	}
	if len(b) < sizeDevice || b[0] != sizeDevice || b[1] != typeDevice {
		return Descriptors{}, fmt.Errorf("reading the device descriptor: %w", errDescriptor)
	}
	d := Descriptors{Vendor: le(b[8:]), Product: le(b[10:])}
	configurations, rest := int(b[17]), b[sizeDevice:]
	for i := range configurations {
		if len(rest) < sizeConfiguration || rest[0] < sizeConfiguration || rest[1] != typeConfiguration {
			return Descriptors{}, fmt.Errorf("reading configuration %d: %w", i+1, errDescriptor)
		}
		total := int(le(rest[2:]))
		if total < int(rest[0]) || total > len(rest) {
			return Descriptors{}, fmt.Errorf("reading configuration %d: %d bytes: %w", i+1, total, errDescriptor)
		}
		if err := d.configuration(rest[:total]); err != nil {
			return Descriptors{}, fmt.Errorf("reading configuration %d: %w", i+1, err)
		}
		rest = rest[total:]
	}
	if len(rest) != 0 || len(d.Interfaces) == 0 {
		return Descriptors{}, fmt.Errorf("reading descriptors: %d bytes left over, %d interfaces: %w",
			len(rest), len(d.Interfaces), errDescriptor)
	}
	slices.Sort(d.Interfaces)
	d.Interfaces = slices.Compact(d.Interfaces)
	return d, nil
}

// configuration collects the interfaces.
func (d *Descriptors) configuration(b []byte) error {
	announced, found := int(b[4]), map[byte]bool{}
	for len(b) > 0 {
		n := int(b[0])
		if n < 2 || n > len(b) {
			return fmt.Errorf("a part of %d bytes: %w", n, errDescriptor)
		}
		if b[1] == typeInterface {
			if n < sizeInterface {
				return fmt.Errorf("an interface of %d bytes: %w", n, errDescriptor)
			}
			found[b[2]] = true
			d.Interfaces = append(d.Interfaces, fmt.Sprintf("%02x/%02x/%02x", b[5], b[6], b[7]))
		}
		b = b[n:]
	}
	if len(found) != announced {
		return fmt.Errorf("%d interfaces, %d announced: %w", len(found), announced, errDescriptor)
	}
	return nil
}

func le(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }
