package firmware

import (
	"encoding/binary"
	"fmt"
)

// BootOption is a Boot#### variable for a file on a PCI disk. Choba never
// relies on one; the tests use it to play an attacker who owns the firmware's
// set-up page.
type BootOption struct {
	Number      uint16
	Description string
	PCIDevice   uint8  // the disk's device number on the first PCI bus
	Path        string // for example \EFI\BOOT\BOOTX64.EFI
	Options     string // load options: what the attacker smuggles
}

// AddBootOptions sets each option's variable and a BootOrder that tries them
// in the given order.
func (s *Store) AddBootOptions(options ...BootOption) {
	var order []byte
	for _, o := range options {
		s.Set(Variable{Name: fmt.Sprintf("Boot%04X", o.Number), Space: Global(), Attributes: Kept, Data: o.encode()})
		order = binary.LittleEndian.AppendUint16(order, o.Number)
	}
	s.Set(Variable{Name: "BootOrder", Space: Global(), Attributes: Kept, Data: order})
}

// encode writes an EFI_LOAD_OPTION (UEFI specification 2.10, section 3.1.3):
// active, device path ACPI root / PCI device / file path, then the options.
func (o BootOption) encode() []byte {
	le := binary.LittleEndian
	path := []byte{2, 1, 12, 0, 0xD0, 0x41, 0x03, 0x0A, 0, 0, 0, 0} // PNP0A03, uid 0
	path = append(path, 1, 1, 6, 0, 0, o.PCIDevice)
	file := utf16z(o.Path)
	path = append(path, 4, 4)
	path = le.AppendUint16(path, uint16(4+len(file)))
	path = append(append(path, file...), 0x7F, 0xFF, 4, 0)

	b := le.AppendUint32(nil, 1) // LOAD_OPTION_ACTIVE
	b = le.AppendUint16(b, uint16(len(path)))
	b = append(append(b, utf16z(o.Description)...), path...)
	return append(b, utf16z(o.Options)...)
}
