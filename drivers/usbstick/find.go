package usbstick

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Descriptor types, sizes and numbers (USB 2.0, section 9.6; mass storage with bulk-only transport).
const (
	descDevice, descConfiguration, descInterface, descEndpoint = 1, 2, 4, 5
	sizeDevice, sizeConfiguration, sizeInterface, sizeEndpoint = 18, 9, 9, 7

	class, scsiTransparent, bulkOnly = 0x08, 0x06, 0x50
	bulkEndpoint                     = 2
	endpointIn                       = 0x80

	maxDescriptors = 64 << 10
)

// Interface is the storage interface of a device.
type Interface struct {
	Number  byte
	In, Out byte // endpoint addresses
}

// ParseInterface finds the storage interface in a device's descriptors: the device's own, then its configurations.
// Only the first configuration counts, and of an interface only the setting that is on after power-on. A device that
// has anything beside storage is refused.
func ParseInterface(b []byte) (Interface, error) {
	if len(b) < sizeDevice+sizeConfiguration || b[0] != sizeDevice || b[1] != descDevice {
		return Interface{}, fmt.Errorf("%w: no device descriptor", ErrKind)
	}
	b = b[sizeDevice:]
	total := int(b[2]) | int(b[3])<<8
	if b[1] != descConfiguration || total < sizeConfiguration || total > len(b) {
		return Interface{}, fmt.Errorf("%w: a configuration of %d bytes", ErrKind, total)
	}
	return parseConfiguration(b[:total])
}

func parseConfiguration(b []byte) (Interface, error) {
	var i Interface
	found, here := false, false
	for len(b) > 0 {
		n := int(b[0])
		if n < 2 || n > len(b) {
			return Interface{}, fmt.Errorf("%w: a descriptor of %d bytes", ErrKind, n)
		}
		switch {
		case b[1] == descInterface && n >= sizeInterface:
			if b[5] != class {
				return Interface{}, fmt.Errorf("%w: it is more than storage: interface %d of class %#02x", ErrKind, b[2], b[5])
			}
			here = !found && b[3] == 0 && b[6] == scsiTransparent && b[7] == bulkOnly
			if here {
				found, i = true, Interface{Number: b[2]}
			}
		case b[1] == descEndpoint && n >= sizeEndpoint && here && b[3]&3 == bulkEndpoint:
			if b[2]&endpointIn != 0 && i.In == 0 {
				i.In = b[2]
			} else if b[2]&endpointIn == 0 && i.Out == 0 {
				i.Out = b[2]
			}
		}
		b = b[n:]
	}
	if !found || i.In == 0 || i.Out == 0 {
		return Interface{}, fmt.Errorf("%w: no storage interface with an endpoint each way", ErrKind)
	}
	return i, nil
}

// Found is a stick that is plugged in.
type Found struct {
	Place string // on the bus: "1-3"
	node  string
	on    string // the file that switches it on
}

// List gives the sticks below root, "/" on the machine: devices that are storage and nothing else, whether they are
// switched on or not. It is for recovery, where nobody guards the ports; a stick behind a hub that is off is not seen.
func List(root string) ([]Found, error) {
	dir := filepath.Join(root, "sys/bus/usb/devices")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for USB sticks: %w", err)
	}
	var out []Found
	for _, e := range entries {
		at := filepath.Join(dir, e.Name())
		raw, err := read(filepath.Join(at, "descriptors"))
		if err != nil {
			continue // an interface, or gone again
		}
		if _, err := ParseInterface(raw); err != nil {
			continue
		}
		bus, busErr := number(filepath.Join(at, "busnum"))
		dev, devErr := number(filepath.Join(at, "devnum"))
		if busErr != nil || devErr != nil {
			continue // gone again
		}
		node := filepath.Join(root, fmt.Sprintf("dev/bus/usb/%03d/%03d", bus, dev))
		out = append(out, Found{Place: e.Name(), node: node, on: filepath.Join(at, "authorized")})
	}
	return out, nil
}

func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxDescriptors))
}

func number(name string) (int, error) {
	b, err := read(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// Open switches the stick on, if it is not, and starts it.
func (f Found) Open(o Options) (*Stick, error) {
	on, err := number(f.on)
	if err == nil && on == 0 {
		err = os.WriteFile(f.on, []byte("1"), 0)
	}
	if err != nil {
		return nil, fmt.Errorf("switching USB stick %s on: %w", f.Place, err)
	}
	file, err := os.OpenFile(f.node, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("opening USB stick %s: %w", f.Place, err)
	}
	return OpenFD(file, o)
}
