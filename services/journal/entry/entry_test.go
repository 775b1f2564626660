package entry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/journal/entry"
)

const golden = `{"seq":7,"wall":"2026-11-22T04:05:06.000789Z","mono":123456789,"boot":"6ac0ffee","service":"register",` +
	`"kind":"sale.closed","person":"0012","approver":"0003","device":"","content":{"total":1080,"shop":"\u003c茶\u003e \u0026 \u2028"}}`

func sample(t testing.TB) entry.Entry {
	v, err := entry.Event{Kind: "sale.closed", Person: "0012", Approver: "0003",
		Content: []byte("{ \"total\": 1080,\n\"shop\": \"<茶> & \u2028\" }")}.Normal()
	require.NoError(t, err)
	return entry.Entry{Seq: 7, Wall: time.Date(2026, 11, 22, 4, 5, 6, 789000, time.UTC), Mono: 123456789, Boot: "6ac0ffee",
		Service: "register", Event: v}
}

// C18: each entry has who, what, when, where and with which result; what came before it is bound by the tree.
func TestGoldenBytes(t *testing.T) {
	text, err := entry.Encode(sample(t))
	require.NoError(t, err)
	require.Equal(t, golden, string(text))
	back, err := entry.Parse(text)
	require.NoError(t, err)
	require.Equal(t, sample(t), back)
}

func TestParseRefusesEveryOtherSpelling(t *testing.T) {
	for name, text := range map[string]string{
		"space":           strings.Replace(golden, `,"mono"`, `, "mono"`, 1),
		"line end":        golden + "\n",
		"second value":    golden + "{}",
		"other order":     strings.Replace(golden, `"person":"0012","approver":"0003"`, `"approver":"0003","person":"0012"`, 1),
		"unknown field":   strings.Replace(golden, `"device":""`, `"device":"","x":1`, 1),
		"missing field":   strings.Replace(golden, `"device":"",`, ``, 1),
		"field twice":     strings.Replace(golden, `"device":""`, `"device":"","device":""`, 1),
		"other case":      strings.Replace(golden, `"device"`, `"Device"`, 1),
		"plain <":         strings.Replace(golden, `\u003c`, `<`, 1),
		"time zone":       strings.Replace(golden, `000789Z`, `000789+00:00`, 1),
		"fewer digits":    strings.Replace(golden, `.000789Z`, `.0007Z`, 1),
		"negative mono":   strings.Replace(golden, `"mono":1`, `"mono":-1`, 1),
		"number in words": strings.Replace(golden, `"seq":7`, `"seq":7.0`, 1),
		"null content":    strings.Replace(golden, `{"total":1080,"shop":"\u003c茶\u003e \u0026 \u2028"}`, `null`, 1),
		"control in boot": strings.Replace(golden, `6ac0ffee`, `6ac0\nffee`, 1),
		"empty":           "",
		"bare value":      "1",
	} {
		_, err := entry.Parse([]byte(text))
		require.Error(t, err, name)
	}
}

func TestEveryOneByteChangeIsAnotherEntryOrNone(t *testing.T) {
	want := sample(t)
	for i := range golden {
		for bit := range 8 {
			text := []byte(golden)
			text[i] ^= 1 << bit
			if got, err := entry.Parse(text); err == nil {
				require.NotEqual(t, want, got, "byte %d, bit %d", i, bit)
			}
		}
	}
}

func TestEventLimits(t *testing.T) {
	long := strings.Repeat("あ", entry.MaxText)
	deep := strings.Repeat(`{"a":`, entry.MaxDepth) + "1" + strings.Repeat("}", entry.MaxDepth)
	full := `{"a":"` + strings.Repeat("x", entry.MaxContent-8) + `"}`
	for _, c := range []struct {
		name  string
		event entry.Event
		want  string // of the error, "" when it is taken
	}{
		{"least", entry.Event{Kind: "a.b"}, ""},
		{"null", entry.Event{Kind: "a.b", Content: []byte(" null ")}, ""},
		{"longest names", entry.Event{Kind: "a.b", Person: long, Approver: long, Device: long}, ""},
		{"largest content", entry.Event{Kind: "a.b", Content: []byte(full)}, ""},
		{"deepest content", entry.Event{Kind: "a.b", Content: []byte(deep)}, ""},
		{"long person", entry.Event{Kind: "a.b", Person: long + "あ"}, "person: 65 characters"},
		{"long approver", entry.Event{Kind: "a.b", Approver: long + "あ"}, "approver: 65 characters"},
		{"long device", entry.Event{Kind: "a.b", Device: long + "あ"}, "device: 65 characters"},
		{"control", entry.Event{Kind: "a.b", Person: "a\x1b[2J"}, "control"},
		{"not UTF-8", entry.Event{Kind: "a.b", Person: "\xff"}, "UTF-8"},
		{"content too large", entry.Event{Kind: "a.b", Content: []byte(full[:6] + "x" + full[6:])}, "larger"},
		{"content too large by escapes", entry.Event{Kind: "a.b", Content: []byte(`{"a":"` + strings.Repeat("<", entry.MaxContent/4) + `"}`)}, "larger"},
		{"content far too large", entry.Event{Kind: "a.b", Content: []byte(strings.Repeat(" ", 1<<20) + `{"a":"` + strings.Repeat("x", 1<<20))}, "larger"},
		{"too deep", entry.Event{Kind: "a.b", Content: []byte(`{"a":` + deep + `}`)}, "nested"},
		{"no object", entry.Event{Kind: "a.b", Content: []byte(`[1]`)}, "object"},
		{"no JSON", entry.Event{Kind: "a.b", Content: []byte(`{"a":}`)}, "JSON"},
		{"two values", entry.Event{Kind: "a.b", Content: []byte(`{} {}`)}, "JSON"},
		{"content not UTF-8", entry.Event{Kind: "a.b", Content: []byte("{\"a\":\"\xff\"}")}, "UTF-8"},
		{"name twice", entry.Event{Kind: "a.b", Content: []byte(`{"a":1,"b":{"a":1},"\u0061":2}`)}, "twice"},
		{"name twice inside", entry.Event{Kind: "a.b", Content: []byte(`{"a":[{"b":1,"b":2}]}`)}, "twice"},
		{"same name elsewhere", entry.Event{Kind: "a.b", Content: []byte(`{"a":{"a":[{"a":1},{"a":"a"}]},"b":"a"}`)}, ""},
	} {
		v, err := c.event.Normal()
		if c.want != "" {
			require.ErrorContains(t, err, c.want, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		text, err := entry.Encode(entry.Entry{Event: v})
		require.NoError(t, err, c.name)
		_, err = entry.Parse(text)
		require.NoError(t, err, c.name)
	}
}

func TestKinds(t *testing.T) {
	for _, kind := range []string{"a.b", "sale.line-removed", "port.refused.usb2", strings.Repeat("a", 62) + ".b"} {
		require.NoError(t, entry.CheckKind(kind), kind)
	}
	for _, kind := range []string{"", "sale", ".", "a.", ".a", "a..b", "A.b", "a.B", "a b.c", "1a.b", "a.1b", "-a.b", "a._", "売上.b", strings.Repeat("a", 63) + ".b"} {
		require.Error(t, entry.CheckKind(kind), kind)
	}
}

func TestPeekSeesWhatParseSees(t *testing.T) {
	e, err := entry.Peek([]byte(golden))
	require.NoError(t, err)
	require.Equal(t, sample(t), e)
	for i := range golden {
		entry.Peek([]byte(golden[:i])) // whatever it says, it ends
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"seq":0,"wall":"0001-01-01T00:00:00.000000Z","mono":0,"boot":"","service":"","kind":"a.b","person":"","approver":"","device":"","content":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := entry.Parse(text)
		if err != nil {
			return
		}
		again, err := entry.Encode(e)
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
		peeked, err := entry.Peek(text)
		require.NoError(t, err)
		require.Equal(t, e, peeked)
	})
}

func FuzzNormal(f *testing.F) {
	f.Add("sale.closed", "0012", []byte(`{"a":[1,{"b":"<"}]}`))
	f.Fuzz(func(t *testing.T, kind, person string, content []byte) {
		v, err := entry.Event{Kind: kind, Person: person, Content: content}.Normal()
		if err != nil {
			return
		}
		again, err := v.Normal()
		require.NoError(t, err)
		require.Equal(t, v, again, "what is normal stays as it is")
		text, err := entry.Encode(entry.Entry{Event: v})
		require.NoError(t, err)
		_, err = entry.Parse(text)
		require.NoError(t, err)
	})
}
