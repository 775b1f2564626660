package button

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func device(t *testing.T, root, event, name, bus string) {
	t.Helper()
	dir := filepath.Join(root, "sys/class/input", event, "device/id")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bustype"), []byte(bus+"\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "../name"), []byte(name+"\n"), 0o644))
}

// A keyboard that calls itself a power button is a keyboard.
func TestOnlyTheMachinesOwn(t *testing.T) {
	root := t.TempDir()
	got, err := Find(root)
	require.NoError(t, err)
	require.Empty(t, got)
	device(t, root, "event0", "Power Button", "0019")
	device(t, root, "event1", "Power Button", "0003")
	device(t, root, "event2", "AT Translated Set 2 keyboard", "0011")
	got, err = Find(root)
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(root, "dev/input/event0")}, got)
}

func event(kind, code uint16, value uint32) []byte {
	b := make([]byte, typeAt)
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, code)
	return binary.NativeEndian.AppendUint32(b, value)
}

func TestPresses(t *testing.T) {
	var in bytes.Buffer
	for _, e := range [][]byte{
		event(evKey, keyPower, down), event(0, 0, 0), event(evKey, keyPower, 0), event(evKey, keyPower, 2),
		event(evKey, 30, down), event(evKey, keyPower, down), {1, 2, 3},
	} {
		in.Write(e)
	}
	n := 0
	require.ErrorIs(t, Listen(&in, func() { n++ }), io.ErrUnexpectedEOF)
	require.Equal(t, 2, n)
}
