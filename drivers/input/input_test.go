package input

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDecodeGolden(t *testing.T) {
	raw, err := hex.DecodeString("0100000000000000" + "a086010000000000" + "0100" + "1e00" + "01000000")
	require.NoError(t, err)
	got, err := Decode(nil, raw)
	require.NoError(t, err)
	want := Event{At: 1100 * time.Millisecond, Type: Key, Code: keyA, Value: 1}
	require.Equal(t, []Event{want}, got)
	require.Equal(t, raw, Encode(nil, want))
	_, err = Decode(nil, raw[:23])
	require.ErrorIs(t, err, ErrShort)
}

// keys makes the events of pressing and releasing codes one after the other.
func keys(codes ...uint16) []Event {
	var out []Event
	for _, c := range codes {
		out = append(out, Event{Type: Key, Code: c, Value: 1}, Event{Type: Syn}, Event{Type: Key, Code: c}, Event{Type: Syn})
	}
	return out
}

// shifted puts shift around events.
func shifted(es []Event) []Event {
	out := append([]Event{{Type: Key, Code: keyLeftShift, Value: 1}}, es...)
	return append(out, Event{Type: Key, Code: keyLeftShift})
}

func typed(t *testing.T, l Layout, es []Event) string {
	t.Helper()
	k, err := NewTypist(l)
	require.NoError(t, err)
	var s []rune
	for _, e := range es {
		if r, ok := k.Key(e); ok {
			s = append(s, r)
		}
	}
	return string(s)
}

// The wrong layout is the classic error of a scanner that types: every key of the row tells them apart.
func TestLayouts(t *testing.T) {
	row := []uint16{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 26, 27, 39, 40, 41, 43, 51, 52, 53}
	require.Equal(t, "1234567890-=[];'`\\,./", typed(t, US, keys(row...)))
	require.Equal(t, "!@#$%^&*()_+{}:\"~|<>?", typed(t, US, shifted(keys(row...))))
	jis := []uint16{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 26, 27, 39, 40, 43, 51, 52, 53, 124, 89}
	require.Equal(t, "1234567890-^@[;:],./\\\\", typed(t, JIS, keys(jis...)))
	require.Equal(t, "!\"#$%&'()=~`{+*}<>?|_", typed(t, JIS, shifted(keys(jis...))))
	for _, l := range []Layout{US, JIS} {
		require.Equal(t, "4901a\n", typed(t, l, keys(5, 10, 11, 2, 30, keyEnter)))
		require.Equal(t, "789-456+1230.\n/* \t\b", typed(t, l, keys(71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, keyKPEnter, 98, 55, 57, keyTab, keyBackspace)))
		require.Equal(t, "QWERTYUIOPASDFGHJKLZXCVBNM", typed(t, l, shifted(keys(16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 30, 31, 32, 33, 34, 35, 36, 37, 38, 44, 45, 46, 47, 48, 49, 50))))
	}
	_, err := NewTypist("dvorak")
	require.Error(t, err)
}

func TestTypistIgnores(t *testing.T) {
	repeat := []Event{{Type: Key, Code: 2, Value: 1}, {Type: Key, Code: 2, Value: 2}, {Type: Key, Code: 2}}
	require.Equal(t, "1", typed(t, US, repeat))
	ctrl := append([]Event{{Type: Key, Code: keyLeftCtrl, Value: 1}}, keys(keyA)...)
	require.Empty(t, typed(t, US, ctrl))
	require.Equal(t, "a", typed(t, US, append(append(ctrl, Event{Type: Key, Code: keyLeftCtrl}), keys(keyA)...)))
	// events were lost: whether shift is still held is not known, so it is taken for released
	lost := append([]Event{{Type: Key, Code: keyLeftShift, Value: 1}, {Type: Syn, Code: SynDropped}}, keys(keyA)...)
	require.Equal(t, "a", typed(t, US, lost))
	require.Empty(t, typed(t, US, keys(400, 0x110)))
}

func TestOpenRefusesWhatIsNoInputDevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "event0")
	require.NoError(t, os.WriteFile(path, make([]byte, 24), 0o600))
	_, err := Open(path)
	require.ErrorContains(t, err, "asking")
	_, err = Open(path + "1")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzTypist(f *testing.F) {
	f.Add(Encode(nil, keys(2, 3, keyEnter)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		es, err := Decode(nil, b[:len(b)-len(b)%EventSize])
		require.NoError(t, err)
		for _, l := range []Layout{US, JIS} {
			k, err := NewTypist(l)
			require.NoError(t, err)
			for _, e := range es {
				if r, ok := k.Key(e); ok {
					require.True(t, r == '\n' || r == '\t' || r == '\b' || r >= ' ' && r <= '~', "%q", r)
				}
			}
		}
		again, err := Decode(nil, Encode(nil, es...))
		require.NoError(t, err)
		require.Equal(t, len(es), len(again))
	})
}
