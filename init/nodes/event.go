package nodes

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// Event is the kernel's word that something about a device changed.
type Event struct {
	Action    string // add, remove, change, bind, …
	Path      string // below /sys
	Subsystem string
	Name      string // of the node below /dev, if there is one
}

// Parse reads a message: "action@path" and KEY=value, each with a zero behind it. What a device itself may have
// chosen (its names) is in other keys, which are left out.
func Parse(msg []byte) (Event, error) {
	fields := strings.Split(strings.TrimSuffix(string(msg), "\x00"), "\x00")
	action, at, ok := strings.Cut(fields[0], "@")
	if !ok {
		return Event{}, errors.New("reading a device event: no action")
	}
	e := Event{Action: action, Path: at}
	for _, f := range fields[1:] {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return Event{}, fmt.Errorf("reading a device event: %q has no value", f)
		}
		switch key {
		case "SUBSYSTEM":
			e.Subsystem = value
		case "DEVNAME":
			e.Name = value
		}
	}
	if !strings.HasPrefix(e.Path, "/devices/") || path.Clean(e.Path) != e.Path {
		if e.Path != "" && !strings.HasPrefix(e.Path, "/") || path.Clean(e.Path) != e.Path {
			return Event{}, fmt.Errorf("reading a device event: path %q", e.Path)
		}
		e.Subsystem = "" // a bus, a driver, a module: nothing that has files to give away
	}
	if e.Name != "" && (path.Clean("/"+e.Name) != "/"+e.Name) {
		return Event{}, fmt.Errorf("reading a device event: node %q", e.Name)
	}
	return e, nil
}
