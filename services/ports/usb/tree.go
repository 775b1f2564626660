// Package usb reads the USB devices that the kernel sees out of sysfs, switches
// them on and off, and finds their nodes.
//
// It is not a driver; it judges nothing and keeps nothing. The rule that keeps it small: one look at
// the tree, one answer; a device is known by its place and its number on the
// bus, never by the name of a node. Where the tree and /dev are is a parameter.
package usb

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/choba-os/choba/services/ports/policy"
)

// Tree is where to look.
type Tree struct {
	Sys string // "/sys"
	Dev string // "/dev"
}

// Place is one device on a bus. The same place with another number is another
// device, or the same one plugged again.
type Place struct {
	Path   string // "1-3", "1-3.2"
	Number int    // rises with every attach
}

// Places lists the devices on all buses, without root hubs.
func (t Tree) Places() ([]Place, error) {
	list, err := os.ReadDir(t.bus())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a kernel without a USB controller
	}
	if err != nil {
		return nil, fmt.Errorf("listing USB devices: %w", err)
	}
	var out []Place
	for _, e := range list {
		if !isDevice(e.Name()) {
			continue
		}
		n, err := t.number(e.Name(), "devnum")
		if err != nil {
			continue // gone again
		}
		out = append(out, Place{e.Name(), n})
	}
	return out, nil
}

func (t Tree) bus() string { return filepath.Join(t.Sys, "bus/usb/devices") }

func (t Tree) dir(path string) string { return filepath.Join(t.bus(), path) }

// isDevice tells "1-3.2" from the root hub "usb1" and the interface "1-3:1.0".
func isDevice(name string) bool {
	bus, ports, ok := strings.Cut(name, "-")
	return ok && bus != "" && strings.Trim(bus, "0123456789") == "" &&
		ports != "" && strings.Trim(ports, "0123456789.") == ""
}

func (t Tree) number(path, file string) (int, error) {
	s, err := t.text(path, file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(s)
}

// text reads a short file of a device.
func (t Tree) text(path, file string) (string, error) {
	b, err := read(filepath.Join(t.dir(path), file), 4096)
	return strings.TrimSuffix(string(b), "\n"), err
}

// read reads at most limit bytes; a longer file is an error.
func read(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", filepath.Base(name), limit)
	}
	return b, err
}

// maxString is the longest string that a device is believed to have, in
// characters; the journal takes no longer ones.
const maxString = 60

// printable makes a device's string fit for a screen and a log.
func printable(s string) string {
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			r = '?'
		}
		if out = append(out, r); len(out) == maxString {
			break
		}
	}
	return strings.TrimSpace(string(out))
}

// Read reads what a device says it is. The kernel asked it before it was
// authorised, so this works for strangers too.
func (t Tree) Read(path string) (policy.Device, error) {
	raw, err := read(filepath.Join(t.dir(path), "descriptors"), maxDescriptors)
	if err != nil {
		return policy.Device{}, fmt.Errorf("reading USB device %s: %w", path, err)
	}
	vendor, _ := t.text(path, "idVendor")
	product, _ := t.text(path, "idProduct")
	sum := sha256.Sum256(raw)
	dev := policy.Device{Vendor: printable(vendor), Product: printable(product), Hash: hex.EncodeToString(sum[:])}
	for file, to := range map[string]*string{"serial": &dev.Serial, "manufacturer": &dev.Maker, "product": &dev.Name} {
		s, err := t.text(path, file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return dev, fmt.Errorf("reading USB device %s: %w", path, err)
		}
		*to = printable(s)
	}
	d, err := ParseDescriptors(raw)
	if err != nil {
		return dev, fmt.Errorf("reading USB device %s: %w", path, err)
	}
	dev.Interfaces = d.Interfaces
	if got := fmt.Sprintf("%04x:%04x", d.Vendor, d.Product); got != vendor+":"+product {
		return dev, fmt.Errorf("reading USB device %s: it is %s and %s:%s at once", path, got, vendor, product)
	}
	return dev, nil
}

// Authorized tells whether the kernel uses the device.
func (t Tree) Authorized(path string) (bool, error) {
	n, err := t.number(path, "authorized")
	return n != 0, err
}

// Authorize switches a device on or off.
func (t Tree) Authorize(path string, on bool) error {
	word := "0"
	if on {
		word = "1"
	}
	f, err := os.OpenFile(filepath.Join(t.dir(path), "authorized"), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("authorising USB device %s: %w", path, err)
	}
	_, err = f.WriteString(word)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("authorising USB device %s: %w", path, err)
	}
	return nil
}

// Node is a device node of an interface, or of a device.
type Node struct {
	// Name is the node below /dev: "input/event3", "ttyUSB0", "usb/lp0",
	// "bus/usb/001/002".
	Name         string
	Major, Minor uint32
}

// maxDepth is how far below a device its nodes are:
// 1-3/1-3:1.0/0003:0627:0001.0002/input/input5/event3.
const maxDepth = 7

// Nodes finds the nodes of a device's interfaces, by its place in the tree and
// not by anything's name. Devices behind a hub are not the hub's.
func (t Tree) Nodes(path string) ([]Node, error) {
	root, err := filepath.EvalSymlinks(t.dir(path))
	if err != nil {
		return nil, fmt.Errorf("finding the nodes of USB device %s: %w", path, err)
	}
	var out []Node
	err = filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone while we look; the next look sees it
		}
		if !e.IsDir() {
			return nil
		}
		rel, _ := filepath.Rel(root, name)
		if rel != "." && (isDevice(e.Name()) || strings.Count(rel, "/") >= maxDepth) {
			return filepath.SkipDir
		}
		if n, ok := node(name); ok && rel != "." {
			out = append(out, n)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b Node) int {
		return strings.Compare(fmt.Sprintf("%8d %s", len(a.Name), a.Name), fmt.Sprintf("%8d %s", len(b.Name), b.Name))
	})
	return out, err
}

// Own is the device's own node, through which all of it can be reached.
func (t Tree) Own(path string) (Node, error) {
	n, ok := node(t.dir(path))
	if !ok {
		return Node{}, fmt.Errorf("finding the node of USB device %s: %w", path, fs.ErrNotExist)
	}
	return n, nil
}

// node reads the node of a folder that has one.
func node(dir string) (Node, bool) {
	b, err := read(filepath.Join(dir, "uevent"), 8192)
	if err != nil {
		return Node{}, false
	}
	var n Node
	major, minor := -1, -1
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "MAJOR":
			major, _ = strconv.Atoi(value)
		case "MINOR":
			minor, _ = strconv.Atoi(value)
		case "DEVNAME":
			n.Name = value
		}
	}
	if major < 0 || minor < 0 || !filepath.IsLocal(n.Name) {
		return Node{}, false
	}
	n.Major, n.Minor = uint32(major), uint32(minor)
	return n, true
}
