package usb_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/ports/policy"
	"github.com/choba-os/choba/services/ports/usb"
	"github.com/choba-os/choba/services/ports/usb/usbtest"
)

func scanner() usbtest.Device {
	return usbtest.Device{Vendor: 0x1209, Product: 0xc0b1, Serial: "S1", Maker: "Choba bench", Name: "Barcode scanner",
		Interfaces: []string{"03/01/01"}}
}

func TestReadsADevice(t *testing.T) {
	b := usbtest.New(t)
	b.Plug("1-3", scanner())
	b.Plug("1-4", usbtest.Device{Vendor: 0x1d6b, Product: 2, Interfaces: []string{"09/00/00"}})
	b.Plug("1-4.2", scanner())
	places, err := b.Places()
	require.NoError(t, err)
	require.Equal(t, []usb.Place{{Path: "1-3", Number: 2}, {Path: "1-4", Number: 3}, {Path: "1-4.2", Number: 4}}, places)
	d, err := b.Read("1-3")
	require.NoError(t, err)
	sum := sha256.Sum256(usbtest.Descriptors(t, scanner()))
	require.Equal(t, policy.Device{Vendor: "1209", Product: "c0b1", Serial: "S1", Maker: "Choba bench", Name: "Barcode scanner",
		Interfaces: []string{"03/01/01"}, Hash: hex.EncodeToString(sum[:])}, d)
	require.False(t, b.On("1-3"))
	require.NoError(t, b.Authorize("1-3", true))
	require.True(t, b.On("1-3"))
	require.NoError(t, b.Authorize("1-3", false))
	require.False(t, b.On("1-3"))
	require.Error(t, b.Authorize("1-9", true))
}

func TestStringsAreMadePrintable(t *testing.T) {
	b := usbtest.New(t)
	d := scanner()
	d.Name = "\x1b[2Jrm -rf\x00\u202e" + strings.Repeat("あ", 100)
	b.Plug("1-3", d)
	got, err := b.Read("1-3")
	require.NoError(t, err)
	require.Equal(t, "?[2Jrm -rf??"+strings.Repeat("あ", 48), got.Name)
}

func TestHostileDescriptors(t *testing.T) {
	good := usbtest.Descriptors(t, scanner())
	edit := func(at int, v byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = v
		return b
	}
	for name, raw := range map[string][]byte{
		"empty":                       {},
		"short":                       good[:17],
		"no configuration":            good[:18],
		"wrong type":                  edit(1, 2),
		"wrong length":                edit(0, 17),
		"total too long":              edit(20, 0xff),
		"total too short":             edit(20, 4),
		"part of no length":           edit(27, 0),
		"part too long":               edit(27, 60),
		"interface too short":         edit(27, 8),
		"more interfaces announced":   edit(22, 2),
		"fewer interfaces announced":  edit(22, 0),
		"more configurations":         edit(17, 2),
		"no configurations announced": edit(17, 0),
		"something behind":            append(append([]byte(nil), good...), 0),
		"huge":                        append(append([]byte(nil), good...), make([]byte, 70000)...),
	} {
		b := usbtest.New(t)
		d := scanner()
		d.Descriptors = raw
		b.Plug("1-3", d)
		_, err := b.Read("1-3")
		require.Error(t, err, name)
	}
}

// A device that shows one number to the kernel's tree and another in its
// descriptors is no device that a policy could name.
func TestTwoIdentities(t *testing.T) {
	b := usbtest.New(t)
	d := scanner()
	d.Descriptors = usbtest.Descriptors(t, d)
	d.Product = 0xbad1
	b.Plug("1-3", d)
	_, err := b.Read("1-3")
	require.ErrorContains(t, err, "at once")
}

func TestFindsNodesByPlace(t *testing.T) {
	b := usbtest.New(t)
	b.Plug("1-3", scanner())
	b.Plug("1-3.1", scanner())
	b.Node("1-3", "1-3:1.0/0003:1209:C0B1.0001/input/input5/event10", "input/event10", "/dev/null", 13, 74)
	b.Node("1-3", "1-3:1.0/0003:1209:C0B1.0001/input/input5/event9", "input/event9", "/dev/null", 13, 73)
	b.Node("1-3.1", "1-3.1:1.0/0003:1209:C0B1.0002/input/input6/event0", "input/event0", "/dev/null", 13, 64)
	b.Node("1-3", "1-3:1.1", "../../etc/passwd", "/dev/null", 1, 1)
	nodes, err := b.Nodes("1-3")
	require.NoError(t, err)
	require.Equal(t, []usb.Node{{Name: "input/event9", Major: 13, Minor: 73}, {Name: "input/event10", Major: 13, Minor: 74}}, nodes)
	_, err = b.Nodes("1-8")
	require.Error(t, err)
}

func TestNoBus(t *testing.T) {
	places, err := usb.Tree{Sys: t.TempDir()}.Places()
	require.NoError(t, err)
	require.Empty(t, places)
}

func TestDevicesThatLeaveWhileRead(t *testing.T) {
	b := usbtest.New(t)
	b.Plug("1-3", scanner())
	require.NoError(t, os.Remove(filepath.Join(b.Sys, "bus/usb/devices/1-3/devnum")))
	places, err := b.Places()
	require.NoError(t, err)
	require.Empty(t, places)
}

func FuzzDescriptors(f *testing.F) {
	f.Add(usbtest.Descriptors(f, scanner()))
	f.Add(usbtest.Descriptors(f, usbtest.Device{Interfaces: []string{"08/06/50", "03/01/01", "02/02/00"}}))
	f.Add([]byte{18, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := usb.ParseDescriptors(raw)
		if err == nil {
			require.NotEmpty(t, d.Interfaces)
			require.LessOrEqual(t, len(d.Interfaces), len(raw)/9)
		}
	})
}
