// Package firmware reads and writes the variable store of OVMF, the UEFI
// firmware of virtual machines: PK, KEK and db for Secure Boot, and boot
// options.
//
// It is not for real machines: there the keys are enrolled through the
// firmware's own door (see docs/playbooks). It is the bench's and the tests'
// way to a machine with Secure Boot on and our keys in it, without a foreign
// tool and without booting once to enrol.
//
// The rule that keeps it small: one store format (authenticated variables, as
// edk2's MdeModulePkg/Include/Guid/VariableFormat.h has it), no time stamps
// that differ, no signature checks: who writes the file owns the machine.
//
// The file starts with a firmware volume header (length at 48), in it a
// variable store (28 bytes: GUID, size, format 0x5A, state 0xFE), in it
// variables of 60 bytes header, UTF-16 name and data, each at a multiple of 4,
// until bytes that are not 0x55AA.
package firmware

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

// GUID is an EFI GUID as it lies in memory (first three fields little-endian).
type GUID [16]byte

// Global is the name space of PK, KEK, Boot####, BootOrder.
func Global() GUID {
	return GUID{0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c}
}

// ImageSecurity is the name space of db and dbx.
func ImageSecurity() GUID {
	return GUID{0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f}
}

// Attributes of a variable (UEFI specification 2.10, section 8.2).
type Attributes uint32

// Boot options are Kept; keys are Kept and TimeAuthenticated.
const (
	Kept              Attributes = 0x07 // non-volatile, boot service and run-time access
	TimeAuthenticated Attributes = 0x20
)

// Variable is one firmware variable.
type Variable struct {
	Name       string
	Space      GUID
	Attributes Attributes
	Data       []byte
}

const (
	volumeSignature = 40 // "_FVH"
	volumeLength    = 48 // 2 bytes: length of the volume header
	storeHeader     = 28
	storeSize       = 16 // in the store header, 4 bytes
	storeFormat     = 20
	storeState      = 21
	formatted       = 0x5A
	healthy         = 0xFE

	variableHeader = 60
	variableStart  = 0x55AA
	stateAdded     = 0x3F
	maxName        = 1024
	erased         = 0xFF
)

// authenticatedStore is gEfiAuthenticatedVariableGuid.
func authenticatedStore() GUID {
	return GUID{0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92}
}

// Store is a variable store in memory. Its zero value is not usable; Parse
// makes one.
type Store struct {
	image     []byte
	from, end int // of the variables, in image
	variables []Variable
}

// Parse reads a store, such as the empty one that comes with OVMF
// (OVMF_VARS_4M.fd) or one that a machine wrote to. Deleted variables are
// left out.
func Parse(image []byte) (*Store, error) {
	s := &Store{image: bytes.Clone(image)}
	if err := s.parse(); err != nil {
		return nil, fmt.Errorf("reading the firmware's variables: %w", err)
	}
	return s, nil
}

func (s *Store) parse() error {
	le := binary.LittleEndian
	if len(s.image) < volumeLength+2 || string(s.image[volumeSignature:volumeSignature+4]) != "_FVH" {
		return errors.New("no firmware volume")
	}
	at := int(le.Uint16(s.image[volumeLength:]))
	if at+storeHeader > len(s.image) {
		return errors.New("no variable store")
	}
	head := s.image[at:]
	if GUID(head[:16]) != authenticatedStore() || head[storeFormat] != formatted || head[storeState] != healthy {
		return errors.New("not a store of authenticated variables")
	}
	size := int(le.Uint32(head[storeSize:]))
	if size < storeHeader || size > len(head) {
		return fmt.Errorf("store of %d bytes in %d", size, len(head))
	}
	s.from, s.end = at+storeHeader, at+size
	for rest := s.image[s.from:s.end]; len(rest) >= variableHeader && le.Uint16(rest) == variableStart; {
		v, n, err := parseVariable(rest)
		if err != nil {
			return fmt.Errorf("variable at %d: %w", s.end-len(rest), err)
		}
		if rest[2] == stateAdded {
			s.variables = append(s.variables, v)
		}
		rest = rest[min(n, len(rest)):]
	}
	return nil
}

func parseVariable(b []byte) (v Variable, length int, err error) {
	le := binary.LittleEndian
	v.Attributes = Attributes(le.Uint32(b[4:]))
	name, data := int(le.Uint32(b[36:])), int(le.Uint32(b[40:]))
	v.Space = GUID(b[44:60])
	if name < 2 || name%2 != 0 || name > maxName || data > len(b) || variableHeader+name+data > len(b) {
		return v, 0, fmt.Errorf("name of %d bytes and data of %d do not fit", name, data)
	}
	units := make([]uint16, name/2)
	for i := range units {
		units[i] = le.Uint16(b[variableHeader+2*i:])
	}
	if units[len(units)-1] != 0 {
		return v, 0, errors.New("name has no end")
	}
	v.Name = string(utf16.Decode(units[:len(units)-1]))
	v.Data = bytes.Clone(b[variableHeader+name : variableHeader+name+data])
	return v, align(variableHeader + name + data), nil
}

func align(n int) int { return (n + 3) &^ 3 }

// Variables returns all variables in the order of the store.
func (s *Store) Variables() []Variable { return append([]Variable(nil), s.variables...) }

// Get returns a variable's data.
func (s *Store) Get(space GUID, name string) ([]byte, bool) {
	for _, v := range s.variables {
		if v.Space == space && v.Name == name {
			return bytes.Clone(v.Data), true
		}
	}
	return nil, false
}

// Set adds a variable or replaces the one of the same name.
func (s *Store) Set(v Variable) {
	v.Data = bytes.Clone(v.Data)
	for i, old := range s.variables {
		if old.Space == v.Space && old.Name == v.Name {
			s.variables[i] = v
			return
		}
	}
	s.variables = append(s.variables, v)
}

// Bytes returns the whole file with the variables written anew, packed from
// the start of the store.
func (s *Store) Bytes() ([]byte, error) {
	out := bytes.Clone(s.image)
	at := s.from
	for i := s.from; i < s.end; i++ {
		out[i] = erased
	}
	for _, v := range s.variables {
		b := v.encode()
		if at+len(b) > s.end {
			return nil, fmt.Errorf("writing the firmware's variables: no room for %s (%d bytes)", v.Name, len(b))
		}
		at += copy(out[at:], b)
	}
	return out, nil
}

func (v Variable) encode() []byte {
	le := binary.LittleEndian
	name := utf16z(v.Name)
	b := make([]byte, variableHeader, align(variableHeader+len(name)+len(v.Data)))
	le.PutUint16(b, variableStart)
	b[2] = stateAdded
	le.PutUint32(b[4:], uint32(v.Attributes))
	if v.Attributes&TimeAuthenticated != 0 {
		le.PutUint16(b[16:], 2026) // a fixed time: 2026-01-01 00:00:00
		b[18], b[19] = 1, 1
	}
	le.PutUint32(b[36:], uint32(len(name)))
	le.PutUint32(b[40:], uint32(len(v.Data)))
	copy(b[44:], v.Space[:])
	b = append(append(b, name...), v.Data...)
	for len(b)%4 != 0 {
		b = append(b, erased)
	}
	return b
}

// utf16z is text as UEFI keeps it: UTF-16, little-endian, with a zero behind.
func utf16z(text string) []byte {
	var b []byte
	for _, u := range append(utf16.Encode([]rune(text)), 0) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}
