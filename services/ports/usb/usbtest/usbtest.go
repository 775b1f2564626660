// Package usbtest is a made-up sysfs for tests: USB devices that are plugged,
// authorised and given nodes by the test instead of a kernel.
//
// It is for tests only and is not a kernel: nothing happens by itself. The rule
// that keeps it small: it writes the files that package usb reads.
package usbtest

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/ports/usb"
)

// Device is a device to plug in.
type Device struct {
	Vendor, Product     uint16
	Serial, Maker, Name string
	// Interfaces are "class/subclass/protocol", one configuration.
	Interfaces []string
	// Descriptors replaces the well-formed ones.
	Descriptors []byte
	// On: the kernel has authorised it already.
	On bool
}

// Bus is a bus with a root hub.
type Bus struct {
	usb.Tree
	t      testing.TB
	number int
}

// New makes an empty bus and an empty /dev.
func New(t testing.TB) *Bus {
	b := &Bus{Tree: usb.Tree{Sys: t.TempDir(), Dev: t.TempDir()}, t: t, number: 1}
	require.NoError(t, os.MkdirAll(filepath.Join(b.Sys, "bus/usb/devices"), 0o755))
	b.link("usb1", "devices/pci0/usb1")
	b.write("usb1", "devnum", "1\n")
	return b
}

func (b *Bus) link(name, to string) {
	dir := filepath.Join(b.Sys, to)
	require.NoError(b.t, os.MkdirAll(dir, 0o755))
	require.NoError(b.t, os.Symlink(dir, b.entry(name)))
}

func (b *Bus) entry(name string) string { return filepath.Join(b.Sys, "bus/usb/devices", name) }

func (b *Bus) write(name, file, text string) {
	require.NoError(b.t, os.WriteFile(filepath.Join(b.entry(name), file), []byte(text), 0o644))
}

// Plug plugs a device in at a place: "1-3", or "1-3.2" behind the hub at "1-3".
func (b *Bus) Plug(path string, d Device) {
	b.number++
	dir := "devices/pci0/usb1"
	for i, c := range path {
		if c == '.' {
			dir = filepath.Join(dir, path[:i])
		}
	}
	b.link(path, filepath.Join(dir, path))
	raw := d.Descriptors
	if raw == nil {
		raw = Descriptors(b.t, d)
	}
	on := "0\n"
	if d.On {
		on = "1\n"
	}
	for file, text := range map[string]string{
		"idVendor": fmt.Sprintf("%04x\n", d.Vendor), "idProduct": fmt.Sprintf("%04x\n", d.Product),
		"authorized": on, "descriptors": string(raw),
	} {
		b.write(path, file, text)
	}
	for file, text := range map[string]string{"serial": d.Serial, "manufacturer": d.Maker, "product": d.Name} {
		if text != "" {
			b.write(path, file, text+"\n")
		}
	}
	b.write(path, "devnum", fmt.Sprintf("%d\n", b.number))
}

// Descriptors are the well-formed ones of a device.
func Descriptors(t testing.TB, d Device) []byte {
	config := []byte{9, 2, 0, 0, byte(len(d.Interfaces)), 1, 0, 0x80, 50}
	for i, f := range d.Interfaces {
		c, err := hex.DecodeString(strings.ReplaceAll(f, "/", ""))
		require.NoError(t, err)
		config = append(config, 9, 4, byte(i), 0, 1, c[0], c[1], c[2], 0, 7, 5, byte(0x81+i), 3, 8, 0, 1)
	}
	config[2], config[3] = byte(len(config)), byte(len(config)>>8)
	return append([]byte{18, 1, 0, 2, 0, 0, 0, 64, byte(d.Vendor), byte(d.Vendor >> 8), byte(d.Product), byte(d.Product >> 8),
		0, 1, 1, 2, 3, 1}, config...)
}

// Unplug takes a device out, and what is behind it.
func (b *Bus) Unplug(path string) {
	dir, err := filepath.EvalSymlinks(b.entry(path))
	require.NoError(b.t, err)
	list, err := os.ReadDir(filepath.Join(b.Sys, "bus/usb/devices"))
	require.NoError(b.t, err)
	for _, e := range list {
		if e.Name() == path || strings.HasPrefix(e.Name(), path+".") {
			require.NoError(b.t, os.Remove(b.entry(e.Name())))
		}
	}
	require.NoError(b.t, os.RemoveAll(dir))
}

// Node gives an interface of a device a node: name is below /dev, at where the
// node's folder is below the device ("1-3:1.0/ttyUSB0/tty/ttyUSB0"), target the
// real node that stands for it.
func (b *Bus) Node(path, at, name, target string, major, minor uint32) {
	dir := filepath.Join(b.entry(path), at)
	require.NoError(b.t, os.MkdirAll(dir, 0o755))
	text := fmt.Sprintf("MAJOR=%d\nMINOR=%d\nDEVNAME=%s\n", major, minor, name)
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, "uevent"), []byte(text), 0o644))
	node := filepath.Join(b.Dev, name)
	require.NoError(b.t, os.MkdirAll(filepath.Dir(node), 0o755))
	_ = os.Remove(node)
	require.NoError(b.t, os.Symlink(target, node))
}

// On tells whether the device at a place is authorised.
func (b *Bus) On(path string) bool {
	on, err := b.Authorized(path)
	require.NoError(b.t, err)
	return on
}
