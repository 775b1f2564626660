// Package api is how a service asks the port guard for a device: its words and
// its client.
//
// It is not the guard: it decides nothing and opens nothing. The rule that
// keeps it small: a caller names a role, never a node, a number or a path; what
// fills the role is the policy's business alone.
package api

import (
	"os"
	"time"
)

// The roles a policy row can give to a device.
const (
	RoleScanner  = "scanner"
	RolePrinter  = "printer"
	RoleTouch    = "touch"
	RoleKeyboard = "keyboard"
	// RoleStick is a USB memory stick of any make. It is switched on only while
	// somebody waits for it or has it.
	RoleStick = "stick"
	// RoleHub is a hub that the policy lets in. Nobody can claim it.
	RoleHub = "hub"
)

// The kinds of file that are handed out.
const (
	// KindEvdev is an input event device, already grabbed for its claimant alone.
	KindEvdev = "evdev"
	// KindBytes is one end of a socket pair; the guard pumps the other end to
	// the line. It has no modem lines and no ioctls.
	KindBytes = "bytes"
	// KindUSBFS is the device's own usbfs node, reduced to its first interface:
	// its holder can send that device, and no other, whatever it likes.
	KindUSBFS = "usbfs"
)

// The states of a device on the list.
const (
	// StateRefused is a device that stays unauthorised; Reason says why.
	StateRefused = "refused"
	// StateAllowed is an authorised device whose node has not appeared yet.
	StateAllowed = "allowed"
	// StateReady is a device that waits for its claimant.
	StateReady = "ready"
	// StateClaimed is a device in a claimant's hands.
	StateClaimed = "claimed"
	// StateError is an allowed device that could not be authorised or opened.
	StateError = "error"
)

// Handed is a device in the claimant's hands.
type Handed struct {
	// Role is the role that was asked for.
	Role string `json:"role"`
	// Device names the unit for people and the journal: "0403:6001 1-3".
	Device string `json:"device"`
	// Kind is KindEvdev, KindBytes or KindUSBFS.
	Kind string `json:"kind"`
	// File is the caller's to close. Closing it alone does not release the
	// claim: call Release, which closes both.
	File *os.File `json:"-"`
	// Gone is closed when the device was detached or the guard ended.
	Gone <-chan struct{} `json:"-"`

	release func()
}

// Release closes the file and gives the device back.
func (h *Handed) Release() {
	if h.File != nil {
		_ = h.File.Close()
	}
	if h.release != nil {
		h.release()
	}
}

// Device is one device on the list, allowed or not.
type Device struct {
	// Path is the place on the bus ("1-3" is port 3 of bus 1).
	Path string `json:"path"`
	// Vendor and Product are four lower-case hexadecimal digits.
	Vendor  string `json:"vendor"`
	Product string `json:"product"`
	// Serial, Maker and Name are the device's own strings, made printable.
	Serial string `json:"serial,omitempty"`
	Maker  string `json:"maker,omitempty"`
	Name   string `json:"name,omitempty"`
	// Interfaces are "class/subclass/protocol" in hexadecimal, sorted, no doubles.
	Interfaces []string `json:"interfaces,omitempty"`
	// Hash is the SHA-256 of the descriptors as the kernel read them.
	Hash string `json:"hash,omitempty"`
	// Role is what the policy lets the device be; empty when it is refused.
	Role  string `json:"role,omitempty"`
	State string `json:"state"`
	// Reason says why the device is refused or in error.
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
}

// ClaimRequest is the body of POST /v1/claim.
type ClaimRequest struct {
	Role string `json:"role"`
}
