package uevent_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/ports/uevent"
)

const add = "add@/devices/pci0000:00/0000:00:04.0/usb1/1-3\x00ACTION=add\x00DEVPATH=/devices/pci0000:00/0000:00:04.0/usb1/1-3\x00" +
	"SUBSYSTEM=usb\x00MAJOR=189\x00MINOR=2\x00DEVNAME=bus/usb/001/003\x00DEVTYPE=usb_device\x00PRODUCT=1209/c0b1/100\x00SEQNUM=1234\x00"

func TestParse(t *testing.T) {
	e, err := uevent.Parse([]byte(add))
	require.NoError(t, err)
	require.Equal(t, uevent.Event{Action: "add", Path: "/devices/pci0000:00/0000:00:04.0/usb1/1-3", Subsystem: "usb"}, e)
}

func TestRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"empty":       "",
		"no end":      strings.TrimSuffix(add, "\x00"),
		"udev's own":  "libudev\x00\xfe\xed\xca\xfe\x00",
		"no path":     "add@\x00",
		"no action":   "@/devices/x\x00",
		"no at":       "add\x00",
		"relative":    "add@devices/x\x00",
		"bad field":   "add@/x\x00FIELD\x00",
		"two actions": "add@/x\x00ACTION=remove\x00",
		"two paths":   "add@/x\x00DEVPATH=/y\x00",
		"too long":    "add@/" + strings.Repeat("x", 9000) + "\x00",
	} {
		_, err := uevent.Parse([]byte(s))
		require.Error(t, err, name)
	}
}

// The socket can be opened by anybody and ends with its context.
func TestWatchEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.NoError(t, uevent.Watch(ctx, func(uevent.Event) {}))
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(add))
	f.Add([]byte("remove@/a\x00A=B\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := uevent.Parse(b)
		if err == nil && (e.Action == "" || e.Path[0] != '/') {
			t.Fatalf("%+v", e)
		}
	})
}
