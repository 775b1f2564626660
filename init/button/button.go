// Package button listens to the machine's own power button: the one that the firmware reports, not a key on a keyboard
// that somebody has plugged in.
//
// It does not decide what a press means. The rule that keeps it small: find the nodes, say when one was pressed.
package button

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// From linux/input-event-codes.h and linux/input.h: an event is two words of time, then type, code and value.
const (
	eventSize = 24
	typeAt    = 16
	evKey     = 1
	keyPower  = 116
	down      = 1

	busHost = "0019" // BUS_HOST: part of the machine itself, in sysfs as four hex digits
)

// Find gives the event nodes of power buttons; root is "/" on the machine. A machine may have none.
func Find(root string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(root, "sys/class/input/event*"))
	if err != nil {
		return nil, fmt.Errorf("looking for a power button: %w", err)
	}
	var out []string
	for _, dir := range found {
		name, err := os.ReadFile(filepath.Join(dir, "device/name"))
		bus, err2 := os.ReadFile(filepath.Join(dir, "device/id/bustype"))
		if err != nil || err2 != nil {
			continue // it went away
		}
		if strings.TrimSpace(string(name)) == "Power Button" && strings.TrimSpace(string(bus)) == busHost {
			out = append(out, filepath.Join(root, "dev/input", filepath.Base(dir)))
		}
	}
	slices.Sort(out)
	return out, nil
}

// Listen calls pressed at every press, until the node cannot be read any more.
func Listen(node io.Reader, pressed func()) error {
	event := make([]byte, eventSize)
	for {
		if _, err := io.ReadFull(node, event); err != nil {
			return fmt.Errorf("listening to the power button: %w", err)
		}
		if isPress(event) {
			pressed()
		}
	}
}

func isPress(event []byte) bool {
	n := binary.NativeEndian
	return n.Uint16(event[typeAt:]) == evKey && n.Uint16(event[typeAt+2:]) == keyPower && n.Uint32(event[typeAt+4:]) == down
}
