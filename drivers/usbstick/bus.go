package usbstick

import (
	"errors"
	"time"
)

// Bus is what carries bytes to and from one storage interface: usbfs, or a stick in memory in tests. Its errors are
// ErrGone, ErrStall, ErrTimeout, or anything else for a transfer that went wrong.
type Bus interface {
	// Out and In move one transfer; In may be shorter than asked.
	Out(data []byte, within time.Duration) (int, error)
	In(buf []byte, within time.Duration) (int, error)
	// Clear ends a stall of the one or the other endpoint.
	Clear(in bool) error
	// ResetClass is the class's own reset (Bulk-Only Transport 3.1).
	ResetClass(within time.Duration) error
	// ResetPort is as if the stick had been pulled and plugged again.
	ResetPort() error
	Close() error
}

// What a transfer can end with.
var (
	ErrStall   = errors.New("the stick stalled")
	ErrTimeout = errors.New("the stick did not answer in time")
)
