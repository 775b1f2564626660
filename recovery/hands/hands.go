// Package hands is how people reach recovery: every keyboard and touch panel that is
// there, or is plugged in later.
//
// It is not services/ports: the only USB devices that it switches on are those that
// are nothing but keyboards, panels (class 3) or hubs (class 9). Whatever they send
// can only press buttons of recovery's pages. The rule that keeps it small: one look
// a second, one goroutine a device, one channel out.
package hands

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/choba-os/choba/drivers/input"
)

// lookEvery is the time between two looks for new devices.
const lookEvery = time.Second

// Event is what a person did: Touch, or else a key.
type Event struct {
	Touch *input.Touch
	Key   Key
	Rune  rune // what the key typed, when Key is Typed
}

// Key is a key that means something here.
type Key uint8

// The keys.
const (
	Other Key = iota // any key that is not below: somebody is there
	Typed
	Up
	Down
	Left
	Right
	Enter
	Escape
	Tab
	Erase
)

// Codes of keys that type nothing (linux/input-event-codes.h).
const (
	codeEscape = 1
	codeUp     = 103
	codeLeft   = 105
	codeRight  = 106
	codeDown   = 108
)

// Watch sends what people do until ctx ends. root is "/" on the machine.
func Watch(ctx context.Context, root string, to chan<- Event) {
	open := map[string]bool{}
	left := make(chan string, 64)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		authorize(root)
		nodes, _ := filepath.Glob(filepath.Join(root, "dev/input/event*"))
		for _, n := range nodes {
			if open[n] {
				continue
			}
			d, err := input.Open(n)
			if err != nil {
				continue // not ready, or gone; the next look sees it
			}
			open[n] = true
			go follow(ctx, d, n, to, left)
		}
		select {
		case n := <-left:
			delete(open, n)
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// follow reads one device until it leaves.
func follow(ctx context.Context, d *input.Device, name string, to chan<- Event, left chan<- string) {
	defer func() { left <- name }()
	defer d.Close()
	stop := context.AfterFunc(ctx, func() { _ = d.Close() })
	defer stop()
	_ = d.Quiet() // fewer events, nothing else
	read, err := Reader(d.Info())
	if err != nil {
		return
	}
	var events []input.Event
	for {
		if events, err = d.Read(events[:0]); err != nil {
			return
		}
		for _, e := range events {
			out, ok := read(e)
			if !ok {
				continue
			}
			select {
			case to <- out:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Reader turns one device's events into what a person did.
func Reader(info input.Info) (func(input.Event) (Event, bool), error) {
	typist, err := input.NewTypist(input.JIS)
	if err != nil {
		return nil, err
	}
	var pad *input.Pad
	if info.Touch {
		pad = input.NewPad(info)
	}
	return func(e input.Event) (Event, bool) {
		if pad != nil {
			if t, ok := pad.Feed(e); ok {
				return Event{Touch: &t}, true
			}
		}
		return key(typist, e)
	}, nil
}

const firstButton = 0x100 // buttons of mice, panels and pads begin here

func key(typist *input.Typist, e input.Event) (Event, bool) {
	r, typed := typist.Key(e)
	if e.Type != input.Key || e.Value != 1 || e.Code >= firstButton {
		return Event{}, false
	}
	switch e.Code {
	case codeEscape:
		return Event{Key: Escape}, true
	case codeUp:
		return Event{Key: Up}, true
	case codeDown:
		return Event{Key: Down}, true
	case codeLeft:
		return Event{Key: Left}, true
	case codeRight:
		return Event{Key: Right}, true
	}
	switch {
	case !typed:
		return Event{Key: Other}, true
	case r == '\n':
		return Event{Key: Enter}, true
	case r == '\t':
		return Event{Key: Tab}, true
	case r == '\b':
		return Event{Key: Erase}, true
	}
	return Event{Key: Typed, Rune: r}, true
}

// authorize switches on what may only be touched or typed on, and hubs on the way.
func authorize(root string) {
	found, _ := filepath.Glob(filepath.Join(root, "sys/bus/usb/devices/*/authorized"))
	for _, f := range found {
		dir := filepath.Dir(f)
		if strings.HasPrefix(filepath.Base(dir), "usb") || strings.Contains(filepath.Base(dir), ":") {
			continue // a root hub, or an interface
		}
		now, err := os.ReadFile(f)
		if err != nil || strings.TrimSpace(string(now)) != "0" {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, "descriptors"))
		if err == nil && Harmless(raw) {
			_ = os.WriteFile(f, []byte("1"), 0) // gone, or tried again at the next look
		}
	}
}

// Classes of interfaces (USB 2.0; usb.org, defined class codes).
const (
	classHID = 3
	classHub = 9
)

// Harmless says whether a device's descriptors name interfaces of people's input and
// of hubs, at least one, and nothing else. Anything that is not well formed is not.
func Harmless(b []byte) bool {
	const device, configuration, iface = 1, 2, 4
	if len(b) < 18 || b[0] != 18 || b[1] != device {
		return false
	}
	found := false
	for b = b[18:]; len(b) > 0; b = b[b[0]:] {
		if len(b) < 2 || b[0] < 2 || int(b[0]) > len(b) || b[1] == configuration && b[0] < 9 {
			return false
		}
		if b[1] != iface {
			continue
		}
		if b[0] < 9 || b[5] != classHID && b[5] != classHub {
			return false
		}
		found = true
	}
	return found
}
