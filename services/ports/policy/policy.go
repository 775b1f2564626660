// Package policy says which devices a register may have, and what each is for.
//
// It is not the guard: it opens and reads nothing. The policy is one file in the verified image
// (/etc/choba/ports.json), so its signature is the image's; a device that is on
// no row stays off. The rule that keeps it small: a row can only allow, it
// allows one thing, and all that it names must match.
package policy

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/choba-os/choba/drivers/port"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/ports/api"
)

// Format is the first field of the file.
const Format = "choba ports 1"

// BusUSB is the only bus so far.
const BusUSB = "usb"

// Any stands for every vendor and every product. Only a stick may have it: what
// it can do to the register does not depend on who made it.
const Any = "any"

// What a stick's interfaces are: all of them storage, one of them SCSI in the
// bulk-only transport.
const (
	storageClass = "08/"
	bulkOnly     = "08/06/50"
)

// Policy is a whole file.
type Policy struct {
	Format  string `json:"format"`
	Devices []Row  `json:"devices"`
}

// Row allows one kind of device.
type Row struct {
	Role string `json:"role"`
	Bus  string `json:"bus"`
	// Vendor and Product are four lower-case hexadecimal digits, or both Any for
	// a stick.
	Vendor  string `json:"vendor"`
	Product string `json:"product"`
	// Interfaces are "class/subclass/protocol", two hexadecimal digits each: all
	// that the device may have, and all that it must have.
	Interfaces []string `json:"interfaces"`
	// Serial, Maker, Name and Hash narrow the row when they are not empty. Hash
	// is the SHA-256 of the device's descriptors, in hexadecimal.
	Serial string `json:"serial,omitempty"`
	Maker  string `json:"maker,omitempty"`
	Name   string `json:"name,omitempty"`
	Hash   string `json:"hash,omitempty"`
	// Kind is api.KindEvdev, api.KindBytes or, for a stick and nothing else,
	// api.KindUSBFS; empty for a hub.
	Kind string `json:"kind,omitempty"`
	// Line is how a serial line is set; only with api.KindBytes.
	Line *port.Line `json:"line,omitempty"`
}

// Device is what a device says it is.
type Device struct {
	Vendor, Product     string
	Serial, Maker, Name string
	Interfaces          []string
	Hash                string
}

// Verdict is the policy's word on a device.
type Verdict struct {
	Allowed bool
	Row     Row
	// Reason says why not, for a person.
	Reason string
}

const maxRows = 100

// Parse reads and checks a policy. Unknown fields are errors.
func Parse(text []byte) (Policy, error) {
	var p Policy
	if err := link.Decode(text, &p); err != nil {
		return Policy{}, fmt.Errorf("reading the port policy: %w", err)
	}
	if p.Format != Format {
		return Policy{}, fmt.Errorf("reading the port policy: format %q, want %q", p.Format, Format)
	}
	if len(p.Devices) > maxRows {
		return Policy{}, fmt.Errorf("reading the port policy: %d rows, at most %d", len(p.Devices), maxRows)
	}
	for i := range p.Devices {
		if err := p.Devices[i].check(); err != nil {
			return Policy{}, fmt.Errorf("reading the port policy: row %d: %w", i+1, err)
		}
	}
	return p, nil
}

func (r Row) check() error {
	switch {
	case r.Bus != BusUSB:
		return fmt.Errorf("bus %q is not known", r.Bus)
	case r.any() && r.Role != api.RoleStick:
		return fmt.Errorf("any vendor and product: that is for a %s only", api.RoleStick)
	case !r.any() && (!digits(r.Vendor, 4) || !digits(r.Product, 4)):
		return fmt.Errorf("%q:%q are not two numbers of four lower-case hexadecimal digits", r.Vendor, r.Product)
	case r.Hash != "" && !digits(r.Hash, 64):
		return fmt.Errorf("hash %q is not 64 lower-case hexadecimal digits", r.Hash)
	case len(r.Interfaces) == 0 || len(r.Interfaces) > 32:
		return fmt.Errorf("%d interfaces, want 1 to 32", len(r.Interfaces))
	case !slices.IsSorted(r.Interfaces) || len(slices.Compact(slices.Clone(r.Interfaces))) != len(r.Interfaces):
		return fmt.Errorf("interfaces are not sorted, or one is named twice")
	}
	for _, f := range r.Interfaces {
		if !digits(strings.ReplaceAll(f, "/", ""), 6) || len(f) != 8 || f[2] != '/' || f[5] != '/' {
			return fmt.Errorf("interface %q is not class/subclass/protocol", f)
		}
	}
	return r.checkUse()
}

// any tells whether the row is for devices of every vendor and product.
func (r Row) any() bool { return r.Vendor == Any && r.Product == Any }

// checkStick looks at a stick's row.
func (r Row) checkStick() error {
	for _, f := range r.Interfaces {
		if !strings.HasPrefix(f, storageClass) {
			return fmt.Errorf("a stick with an interface %s is more than a stick", f)
		}
	}
	if !slices.Contains(r.Interfaces, bulkOnly) || r.Kind != api.KindUSBFS || r.Line != nil {
		return fmt.Errorf("a stick has an interface %s, kind %s and no line", bulkOnly, api.KindUSBFS)
	}
	return nil
}

// checkUse looks at what the device is for.
func (r Row) checkUse() error {
	hub := r.Interfaces[0][:2] == "09"
	switch r.Role {
	case api.RoleHub:
		if !hub || r.Kind != "" || r.Line != nil {
			return fmt.Errorf("a hub has hub interfaces, no kind and no line")
		}
		return nil
	case api.RoleStick:
		return r.checkStick()
	case api.RoleScanner, api.RolePrinter, api.RoleTouch, api.RoleKeyboard:
	default:
		return fmt.Errorf("role %q is not known", r.Role)
	}
	if hub {
		return fmt.Errorf("a hub cannot be a %s", r.Role)
	}
	switch {
	case r.Kind == api.KindEvdev && r.Line == nil:
	case r.Kind == api.KindBytes && r.Line != nil:
		return r.Line.Check()
	case r.Kind == api.KindBytes:
	default:
		return fmt.Errorf("kind %q with line %v is not known", r.Kind, r.Line)
	}
	return nil
}

// digits tells whether s is n lower-case hexadecimal digits.
func digits(s string, n int) bool {
	if len(s) != n || strings.ToLower(s) != s {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}

// Decide judges a device. Of several rows for the same numbers, the first that
// allows it counts; if none does, the reason is that of the nearest.
func (p Policy) Decide(d Device) Verdict {
	nearest, reason := -1, "this kind of device is not on the list"
	for _, r := range p.Devices {
		near, why := r.judge(d)
		if why == "" {
			return Verdict{Allowed: true, Row: r}
		}
		if near > nearest {
			nearest, reason = near, why
		}
	}
	return Verdict{Reason: reason}
}

// judge tells why the row does not allow the device, and how much did match; an
// empty reason allows it.
func (r Row) judge(d Device) (near int, why string) {
	storage := slices.ContainsFunc(d.Interfaces, func(f string) bool { return strings.HasPrefix(f, storageClass) })
	if r.any() && !storage || !r.any() && (d.Vendor != r.Vendor || d.Product != r.Product) {
		return -1, "this kind of device is not on the list"
	}
	for i, c := range []struct{ what, want, got string }{
		{"name", r.Name, d.Name},
		{"maker", r.Maker, d.Maker},
	} {
		if c.want != "" && c.got != c.want {
			return i, fmt.Sprintf("its %s is %q, the list has %q", c.what, c.got, c.want)
		}
	}
	if !slices.Equal(d.Interfaces, r.Interfaces) {
		return 2, fmt.Sprintf("it is %s, the list has %s",
			strings.Join(d.Interfaces, " "), strings.Join(r.Interfaces, " "))
	}
	if r.Serial != "" && d.Serial != r.Serial {
		return 3, fmt.Sprintf("it is another unit: serial number %q, the list has %q", d.Serial, r.Serial)
	}
	if r.Hash != "" && d.Hash != r.Hash {
		return 4, "its descriptors are not those on the list: it was changed"
	}
	return 5, ""
}
