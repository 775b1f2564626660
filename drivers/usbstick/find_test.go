package usbstick

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// descriptors of a device with one configuration of these parts.
func descriptors(parts ...[]byte) []byte {
	config := []byte{9, 2, 0, 0, 1, 1, 0, 0x80, 50}
	for _, p := range parts {
		config = append(config, p...)
	}
	config[2], config[3] = byte(len(config)), byte(len(config)>>8)
	return append([]byte{18, 1, 0, 2, 0, 0, 0, 64, 9, 0x12, 2, 0xad, 0, 1, 1, 2, 3, 1}, config...)
}

func face(number, setting, class, sub, protocol byte) []byte {
	return []byte{9, 4, number, setting, 2, class, sub, protocol, 0}
}

func endpoint(address, kind byte) []byte { return []byte{7, 5, address, kind, 0, 2, 0} }

func stickDescriptors() []byte {
	return descriptors(face(0, 0, 8, 6, 0x50), endpoint(0x81, 2), endpoint(0x02, 2))
}

func TestParseInterface(t *testing.T) {
	i, err := ParseInterface(stickDescriptors())
	require.NoError(t, err)
	require.Equal(t, Interface{0, 0x81, 0x02}, i)
	// A second transport in another setting, and endpoints that are not for bulk.
	i, err = ParseInterface(descriptors(face(0, 0, 8, 6, 0x50), endpoint(0x83, 3), endpoint(0x04, 2), endpoint(0x85, 2),
		face(0, 1, 8, 6, 0x62), endpoint(0x86, 2), endpoint(0x07, 2)))
	require.NoError(t, err)
	require.Equal(t, Interface{0, 0x85, 0x04}, i)
	for name, raw := range map[string][]byte{
		"nothing":             nil,
		"device only":         stickDescriptors()[:18],
		"cut off":             stickDescriptors()[:30],
		"a keyboard too":      descriptors(face(0, 0, 8, 6, 0x50), endpoint(0x81, 2), endpoint(0x02, 2), face(1, 0, 3, 1, 1), endpoint(0x83, 3)),
		"a keyboard":          descriptors(face(0, 0, 3, 1, 1), endpoint(0x81, 3)),
		"one way":             descriptors(face(0, 0, 8, 6, 0x50), endpoint(0x81, 2), endpoint(0x82, 2)),
		"another transport":   descriptors(face(0, 0, 8, 6, 0x62), endpoint(0x81, 2), endpoint(0x02, 2)),
		"a part of no length": descriptors(face(0, 0, 8, 6, 0x50), []byte{0, 5}),
		"a part too long":     descriptors(face(0, 0, 8, 6, 0x50), []byte{90, 5}),
	} {
		_, err := ParseInterface(raw)
		require.ErrorIs(t, err, ErrKind, name)
	}
}

func TestList(t *testing.T) {
	root := t.TempDir()
	list, err := List(root)
	require.NoError(t, err)
	require.Empty(t, list)
	plug := func(place string, raw []byte, number int) {
		dir := filepath.Join(root, "sys/bus/usb/devices", place)
		require.NoError(t, os.MkdirAll(dir, 0o755))
		for name, text := range map[string]string{"descriptors": string(raw), "busnum": "1\n", "devnum": fmt.Sprintln(number), "authorized": "0\n"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
	}
	plug("1-1", stickDescriptors(), 7)
	plug("1-2", descriptors(face(0, 0, 3, 1, 1), endpoint(0x81, 3)), 8)
	plug("1-3", []byte("rubbish"), 9)
	list, err = List(root)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "1-1", list[0].Place)
	require.Equal(t, filepath.Join(root, "dev/bus/usb/001/007"), list[0].node)
	// A node that is no usbfs: switched on, opened, and refused in words.
	require.NoError(t, os.MkdirAll(filepath.Dir(list[0].node), 0o755))
	require.NoError(t, os.WriteFile(list[0].node, stickDescriptors(), 0o644))
	_, err = list[0].Open(Options{})
	require.Error(t, err)
	on, err := os.ReadFile(list[0].on)
	require.NoError(t, err)
	require.Equal(t, "1", string(on[:1]))
}

func FuzzParseInterface(f *testing.F) {
	f.Add(stickDescriptors())
	f.Add(descriptors(face(0, 0, 8, 6, 0x50), endpoint(0x81, 2), endpoint(0x02, 2), face(1, 0, 3, 1, 1)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		i, err := ParseInterface(raw)
		if err == nil {
			require.NotZero(t, i.In&endpointIn)
			require.Zero(t, i.Out&endpointIn)
		}
	})
}

func FuzzStatus(f *testing.F) {
	f.Add([]byte("USBS\x01\x00\x00\x00\x00\x00\x00\x00\x00"), uint32(1), uint32(512))
	f.Add([]byte("USBS\x01\x00\x00\x00\x00\x02\x00\x00\x01"), uint32(1), uint32(512))
	f.Fuzz(func(t *testing.T, b []byte, tag, length uint32) {
		status, residue, err := parseStatus(b, tag, length)
		if err == nil {
			require.LessOrEqual(t, status, byte(1))
			require.LessOrEqual(t, residue, length)
		}
		_ = senseError(b)
	})
}
