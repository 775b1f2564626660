package wedge_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/input"
	"github.com/choba-os/choba/drivers/wedge"
)

const (
	enter = 28
	tab   = 15
	shift = 42
	ctrl  = 29
	alt   = 56
	f1    = 59
	esc   = 1
	kana  = 122
)

// typed are the keys of digits and capitals on the US layout.
func typed(s string) []uint16 {
	const digits, rows = "1234567890", "qwertyuiop\x00\x00\x00\x00asdfghjkl\x00\x00\x00\x00\x00zxcvbnm"
	var keys []uint16
	for _, c := range strings.ToLower(s) {
		switch {
		case strings.ContainsRune(digits, c):
			keys = append(keys, uint16(2+strings.IndexRune(digits, c)))
		case c == '\n':
			keys = append(keys, enter)
		case c == '\t':
			keys = append(keys, tab)
		default:
			keys = append(keys, uint16(16+strings.IndexRune(rows, c)))
		}
	}
	return keys
}

// desk is a decoder and its clock.
type desk struct {
	t   *testing.T
	d   *wedge.Decoder
	now time.Duration
	out []wedge.Code
}

func open(t *testing.T) *desk {
	d, err := wedge.New(input.US)
	require.NoError(t, err)
	return &desk{t: t, d: d}
}

func (k *desk) event(e input.Event) {
	e.At = k.now
	k.out = k.d.Event(k.out, e)
}

// press presses keys, 2 ms apart, with the syncs that a kernel sends.
func (k *desk) press(keys ...uint16) {
	for _, c := range keys {
		k.now += time.Millisecond
		k.event(input.Event{Type: input.Key, Code: c, Value: 1})
		k.event(input.Event{Type: input.Syn})
		k.now += time.Millisecond
		k.event(input.Event{Type: input.Key, Code: c, Value: 0})
		k.event(input.Event{Type: input.Syn})
	}
}

func (k *desk) scan(s string) { k.press(typed(s)...) }

func (k *desk) pause(d time.Duration) { k.now += d }

func (k *desk) want(codes ...wedge.Code) {
	k.t.Helper()
	require.Equal(k.t, codes, k.out)
	k.out = nil
}

func good(s string) wedge.Code { return wedge.Code{Text: s} }

func bad(why string) wedge.Code { return wedge.Code{Bad: why} }

func TestEnterAndTabEndACode(t *testing.T) {
	k := open(t)
	k.scan("4901234567894\n")
	k.want(good("4901234567894"))
	k.scan("49012345\t")
	k.want(good("49012345"))
	k.scan("\n\n\t")
	k.want()
}

// A27: ten scans a second for a minute, none lost, none mixed.
func TestA27TenScansASecond(t *testing.T) {
	k := open(t)
	for i := range 600 {
		k.scan("490123456789" + string(rune('0'+i%10)) + "\n")
		k.pause(72 * time.Millisecond)
	}
	require.Len(t, k.out, 600)
	for i, c := range k.out {
		require.Equal(t, good("490123456789"+string(rune('0'+i%10))), c)
	}
}

func TestGapEndsACodeOfABareScanner(t *testing.T) {
	k := open(t)
	k.scan("49012345")
	require.True(t, k.d.Typing())
	require.Equal(t, 700*time.Millisecond, k.d.Gap(), "nothing is known of it")
	k.out = k.d.Idle(k.out)
	k.want(good("49012345"))
	require.Equal(t, 50*time.Millisecond, k.d.Gap(), "it sends no Enter")
	k.scan("49012346")
	k.pause(60 * time.Millisecond)
	k.scan("49012347")
	k.want(good("49012346"))
	k.out = k.d.Idle(k.out)
	k.want(good("49012347"))
	require.False(t, k.d.Typing())
	k.out = k.d.Idle(k.out)
	k.want()
}

// A slow machine stretches the keys; that splits no code of a scanner that is
// known to send Enter. One that breaks off is no code.
func TestPauseInACode(t *testing.T) {
	k := open(t)
	k.scan("49012345\n4901234")
	k.pause(400 * time.Millisecond)
	k.scan("567894\n")
	k.want(good("49012345"), good("4901234567894"))
	k.scan("490")
	k.pause(600 * time.Millisecond)
	k.scan("49012345\n")
	k.want(bad(wedge.Partial), good("49012345"))
}

func TestAbsurdLengths(t *testing.T) {
	k := open(t)
	k.scan(strings.Repeat("1", wedge.Longest) + "\n")
	k.want(good(strings.Repeat("1", wedge.Longest)))
	k.scan(strings.Repeat("1", wedge.Longest+1) + "\n")
	k.want(bad(wedge.TooLong))
	k.scan(strings.Repeat("9", 100000) + "\n")
	k.want(bad(wedge.TooLong))
	k.scan("49012345\n")
	k.want(good("49012345"))
}

// A63: a scanner that suddenly types commands.
func TestA63CommandsAreNoCodes(t *testing.T) {
	for name, keys := range map[string][]uint16{
		"ctrl":      {ctrl},
		"alt":       {alt},
		"esc":       {esc},
		"f1":        {f1},
		"backspace": {14},
		"delete":    {111},
		"sysrq":     {99},
		"power":     {116},
		"meta":      {125},
	} {
		k := open(t)
		k.scan("49\n49")
		k.press(keys...)
		k.scan("01\n")
		require.Equal(t, []wedge.Code{good("49"), bad(wedge.Control)}, k.out, name)
	}
}

func TestKeysHeldByAnotherHand(t *testing.T) {
	k := open(t)
	k.event(input.Event{Type: input.Key, Code: shift, Value: 1})
	k.scan("1\n")
	k.event(input.Event{Type: input.Key, Code: shift, Value: 0})
	k.scan("1\n")
	k.want(good("!"), good("1"))
}

func TestLostEventsSpoilTheCode(t *testing.T) {
	k := open(t)
	k.scan("4901")
	k.event(input.Event{Type: input.Syn, Code: input.SynDropped})
	k.scan("2345\n49012345\n")
	k.want(bad(wedge.Lost), good("49012345"))
}

func TestLayouts(t *testing.T) {
	_, err := wedge.New("dvorak")
	require.Error(t, err)
	d, err := wedge.New(input.JIS)
	require.NoError(t, err)
	out := d.Event(nil, input.Event{Type: input.Key, Code: 13, Value: 1})
	out = d.Event(out, input.Event{Type: input.Key, Code: enter, Value: 1})
	require.Equal(t, []wedge.Code{good("^")}, out)
}

// Whatever is typed, codes are printable ASCII within the bound or say why not.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{2, 1, 0, 28, 1, 0})
	f.Add([]byte{29, 1, 0, 2, 1, 255, 1, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := wedge.New(input.US)
		require.NoError(t, err)
		var now time.Duration
		var out []wedge.Code
		for ; len(b) >= 3; b = b[3:] {
			now += time.Duration(b[2]) * 5 * time.Millisecond
			out = d.Event(out, input.Event{Type: input.Type(b[1] >> 4), Code: binary.LittleEndian.Uint16([]byte{b[0], b[1] >> 2 & 3}), Value: int32(b[1] & 3), At: now})
		}
		out = d.Idle(out)
		require.False(t, d.Typing())
		for _, c := range out {
			require.NotEqual(t, c.Text == "", c.Bad == "", "%+v", c)
			require.LessOrEqual(t, len(c.Text), wedge.Longest)
			for _, r := range c.Text {
				require.True(t, r >= 0x20 && r <= 0x7e)
			}
		}
	})
}
