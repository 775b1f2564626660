package api

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/link"
)

// The words of the kinds are those that all services use.
func TestKindsAreLinks(t *testing.T) {
	for mine, theirs := range map[Kind]link.Kind{
		BadRequest: link.BadRequest, Denied: link.Denied, Conflict: link.Conflict,
		Unavailable: link.Unavailable, Internal: link.Internal, Unknown: link.Unknown,
	} {
		require.EqualValues(t, theirs, mine)
	}
}

func TestReasons(t *testing.T) {
	for reason, good := range map[string]bool{
		"recovery": true, "更新": true, strings.Repeat("x", MaxReason): true,
		"": false, strings.Repeat("x", MaxReason+1): false, "a\nb": false, "\x1b[2J": false, "a\u2028b": false, "\u0085": false,
	} {
		require.Equal(t, good, goodReason(reason), "%q", reason)
	}
}

// Golden: both sides may be of different releases.
func TestGoldenLines(t *testing.T) {
	line, err := Line(Request{Verb: VerbOffer, Anew: true})
	require.NoError(t, err)
	require.Equal(t, `{"verb":"offer","anew":true}`+"\n", string(line))
	line, err = Line(Answer{Status: &Status{Slot: "a", Idle: "b", Slots: [2]SlotStatus{{Name: "a", State: "good"}, {Name: "b", State: "empty"}}}})
	require.NoError(t, err)
	require.Equal(t, `{"status":{"slot":"a","idle":"b","idleDevice":"","idleSize":0,"version":0,"name":"","root":"","slots":[`+
		`{"name":"a","state":"good","version":0,"tries":0,"unready":0,"manifest":""},`+
		`{"name":"b","state":"empty","version":0,"tries":0,"unready":0,"manifest":""}],`+
		`"failed":null,"reason":"","floor":0,"committed":false,"jumped":false,"fallback":null}}`+"\n", string(line))
	_, err = ParseAnswer([]byte(`{"error":{"kind":"","text":"x"}}`))
	require.Error(t, err)
	_, err = ParseAnswer([]byte(`{"error":{"kind":"denied","text":"x"},"status":{}}`))
	require.Error(t, err)
}

func TestFacts(t *testing.T) {
	f, err := ParseFacts([]byte(`{"version":14,"name":"1.4","slot":"a","insecure":["no-tpm"],"fallback":{"version":15,"reason":"r","reasonJa":"理由"}}`))
	require.NoError(t, err)
	require.Equal(t, Facts{Version: 14, Name: "1.4", Slot: "a", Insecure: []string{NoTPM}, Fallback: &Fallback{15, "r", "理由"}}, f)
	_, err = ParseFacts([]byte(`{"version":14,"more":1}`))
	require.Error(t, err)
	_, err = LoadFacts(t.TempDir() + "/absent")
	require.Error(t, err)
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"error":{"kind":"denied","text":"x"}}`))
	f.Add([]byte(`{"status":{"slot":"a","failed":[{"version":1,"manifest":"00"}],"fallback":{"version":1}}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := ParseAnswer(line)
		if err != nil {
			return
		}
		text, err := Line(a)
		if err != nil {
			return // grew beyond a line by its escapes
		}
		back, err := ParseAnswer(text)
		require.NoError(t, err)
		require.Equal(t, a, back)
	})
}
