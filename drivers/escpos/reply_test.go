package escpos_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/escpos"
)

func parse(chunks ...string) []escpos.Reply {
	var p escpos.Parser
	var out []escpos.Reply
	for _, c := range chunks {
		p.Feed([]byte(c), func(r escpos.Reply) { out = append(out, r) })
	}
	return out
}

func TestAutomaticStatus(t *testing.T) {
	for bytes, want := range map[string]escpos.Status{
		"\x10\x00\x00\x00": {},
		"\x10\x00\x00\x0f": {},
		"\x14\x00\x00\x00": {PinHigh: true},
		"\x18\x00\x0f\x00": {Offline: true, NearEnd: true, PaperEnd: true},
		"\x38\x00\x00\x00": {Offline: true, Cover: true},
		"\x50\x00\x03\x00": {Feeding: true, NearEnd: true},
		"\x18\x08\x00\x00": {Offline: true, Cutter: true},
		"\x18\x60\x00\x00": {Offline: true, Dead: true, Hot: true},
	} {
		require.Equal(t, []escpos.Reply{{Kind: escpos.Auto, Status: want}}, parse(bytes), "% x", bytes)
	}
}

func TestReplies(t *testing.T) {
	require.Equal(t, []escpos.Reply{{Kind: escpos.Asked, Byte: 0x16}}, parse("\x16"))
	require.Equal(t, []escpos.Reply{{Kind: escpos.Mark, ID: [4]byte{'a', 'b', ' ', '~'}}}, parse("\x37\x22ab ~\x00"))
	require.Equal(t, []escpos.Reply{{Kind: escpos.Text, Text: "EPSON"}}, parse("\x5fEPSON\x00"))
	require.Equal(t, parse("\x37\x22ab ~\x00\x10\x00\x00\x00"), parse("\x37", "\x22a", "b ~", "\x00\x10\x00", "\x00\x00"), "in pieces")
}

// A broken answer costs itself, not what follows.
func TestResync(t *testing.T) {
	good := "\x37\x22abcd\x00"
	last := escpos.Reply{Kind: escpos.Mark, ID: [4]byte{'a', 'b', 'c', 'd'}}
	for _, junk := range []string{"\xff", "\x37", "\x37\x22ab", "\x37\x23", "\x5f\x00", "\x10\x12", "\x10\x00\x80", "\x11\x13", "\x5fEPS\x01", "\x37\x22\x01"} {
		got := parse(junk + good)
		require.Equal(t, last, got[len(got)-1], "% x", junk)
		for _, r := range got[:len(got)-1] {
			require.Contains(t, []escpos.ReplyKind{escpos.Junk, escpos.Asked}, r.Kind, "% x", junk)
		}
	}
}

func FuzzParser(f *testing.F) {
	f.Add([]byte("\x10\x00\x00\x00\x16\x37\x22abcd\x00\x5fEPSON\x00"))
	f.Add([]byte("\x10\x10\x10\x37\x37\x22\x5f\x5f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var whole, pieces []escpos.Reply
		var p, q escpos.Parser
		p.Feed(b, func(r escpos.Reply) { whole = append(whole, r) })
		for i := range b {
			q.Feed(b[i:i+1], func(r escpos.Reply) { pieces = append(pieces, r) })
		}
		require.Equal(t, whole, pieces)
		used := 0
		for _, r := range whole {
			switch r.Kind {
			case escpos.Auto:
				used += 4
			case escpos.Mark:
				used += 7
			case escpos.Text:
				require.NotEmpty(t, r.Text)
				used += len(r.Text) + 2
			case escpos.Asked, escpos.Junk:
				used++
			default:
				t.Fatalf("%+v", r)
			}
		}
		require.LessOrEqual(t, used, len(b))
		require.Less(t, len(b)-used, 83, "what is held is bounded")
		p.Feed([]byte("\x12\x12\x12\x12\x37\x22abcd\x00"), func(r escpos.Reply) { whole = append(whole, r) })
		require.Equal(t, escpos.Mark, whole[len(whole)-1].Kind)
	})
}
