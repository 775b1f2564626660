package hands

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/input"
)

func TestKeys(t *testing.T) {
	read, err := Reader(input.Info{Keyboard: true})
	require.NoError(t, err)
	press := func(code uint16) Event {
		e, ok := read(input.Event{Type: input.Key, Code: code, Value: 1})
		require.True(t, ok)
		_, ok = read(input.Event{Type: input.Key, Code: code, Value: 0})
		require.False(t, ok, "letting go means nothing")
		return e
	}
	require.Equal(t, Event{Key: Escape}, press(1))
	require.Equal(t, Event{Key: Typed, Rune: '1'}, press(2))
	require.Equal(t, Event{Key: Typed, Rune: '7'}, press(71), "the number pad")
	require.Equal(t, Event{Key: Enter}, press(28))
	require.Equal(t, Event{Key: Enter}, press(96))
	require.Equal(t, Event{Key: Tab}, press(15))
	require.Equal(t, Event{Key: Erase}, press(14))
	require.Equal(t, Event{Key: Up}, press(103))
	require.Equal(t, Event{Key: Down}, press(108))
	require.Equal(t, Event{Key: Left}, press(105))
	require.Equal(t, Event{Key: Right}, press(106))
	require.Equal(t, Event{Key: Other}, press(59))
	_, ok := read(input.Event{Type: input.Key, Code: 0x110, Value: 1})
	require.False(t, ok, "a mouse's button is no key")
}

func TestTouch(t *testing.T) {
	read, err := Reader(input.Info{Touch: true, X: input.Range{Max: 100}, Y: input.Range{Max: 100}})
	require.NoError(t, err)
	var got []input.Touch
	for _, e := range []input.Event{
		{Type: input.Abs, Code: 0, Value: 50}, {Type: input.Abs, Code: 1, Value: 25}, {Type: input.Key, Code: 0x14a, Value: 1}, {Type: input.Syn},
		{Type: input.Key, Code: 0x14a, Value: 0}, {Type: input.Syn},
	} {
		if out, ok := read(e); ok {
			got = append(got, *out.Touch)
		}
	}
	require.Equal(t, []input.Touch{{Phase: input.Down, X: 0.5, Y: 0.25}, {Phase: input.Up, X: 0.5, Y: 0.25}}, got)
}

// descriptors of a device with interfaces of these classes.
func descriptors(classes ...byte) []byte {
	b := append([]byte{18, 1}, make([]byte, 16)...)
	b = append(b, 9, 2, 0, 0, 0, 0, 0, 0, 0)
	for _, c := range classes {
		b = append(b, 9, 4, 0, 0, 1, c, 1, 1, 0, 7, 5, 0x81, 3, 8, 0, 10)
	}
	return b
}

func TestHarmless(t *testing.T) {
	require.True(t, Harmless(descriptors(classHID)))
	require.True(t, Harmless(descriptors(classHID, classHID)))
	require.True(t, Harmless(descriptors(classHub)))
	for name, b := range map[string][]byte{
		"storage": descriptors(8), "keyboard with storage": descriptors(classHID, 8), "network": descriptors(2, 10),
		"nothing": descriptors(), "empty": nil, "cut": descriptors(classHID)[:30], "zero length": append(descriptors(classHID), 0, 0),
	} {
		require.False(t, Harmless(b), name)
	}
}

func TestAuthorize(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "sys/bus/usb/devices")
	for name, class := range map[string]byte{"1-1": classHID, "1-2": 8, "usb1": classHub, "1-3": classHub} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "authorized"), []byte("0\n"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "descriptors"), descriptors(class), 0o600))
	}
	authorize(root)
	for name, want := range map[string]string{"1-1": "1", "1-2": "0\n", "usb1": "0\n", "1-3": "1"} {
		got, err := os.ReadFile(filepath.Join(dir, name, "authorized"))
		require.NoError(t, err)
		require.Equal(t, want, string(got), name)
	}
}

func FuzzHarmless(f *testing.F) {
	f.Add(descriptors(classHID))
	f.Add(descriptors(classHID, 8))
	f.Fuzz(func(t *testing.T, b []byte) {
		if Harmless(b) {
			require.Equal(t, byte(18), b[0])
		}
	})
}
