package slot

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func hash(b byte) (m Manifest) {
	for i := range m {
		m[i] = b
	}
	return m
}

func good(version uint64, b byte) Slot {
	return Slot{State: Good, Version: version, Manifest: hash(b)}
}

func trial(version uint64, b byte, tries int) Slot {
	return Slot{State: Trial, Version: version, Manifest: hash(b), Tries: tries}
}

func full() Record {
	return Record{
		A:         good(12, 0xaa),
		B:         Slot{State: Refused, Version: 13, Manifest: hash(0xbb)},
		Preferred: A,
		Failed:    []Failure{{11, hash(0x11)}, {13, hash(0xbb)}},
		Reason:    "version 13 failed: 会計 did not answer",
	}
}

// Golden text: what is on disks in the field stays readable.
func TestGolden(t *testing.T) {
	aa, bb, e, z := strings.Repeat("aa", 32), strings.Repeat("bb", 32), strings.Repeat("11", 32), strings.Repeat("0", 64)
	got, err := full().Encode()
	require.NoError(t, err)
	require.Equal(t, "choba slots 2\npreferred a\ndeparted \nasked \n"+
		"slot a good version 12 tries 0 unready 0 manifest "+aa+"\n"+
		"slot b refused version 13 tries 0 unready 0 manifest "+bb+"\n"+
		"failed 11 "+e+"\nfailed 13 "+bb+"\n"+
		"reason version 13 failed: 会計 did not answer\n", string(got))
	got, err = Default().Encode()
	require.NoError(t, err)
	require.Equal(t, "choba slots 2\npreferred \ndeparted \nasked \n"+
		"slot a unknown version 0 tries 0 unready 0 manifest "+z+"\n"+
		"slot b unknown version 0 tries 0 unready 0 manifest "+z+"\n"+
		"reason the slot record was lost\n", string(got))
}

// What version 1 wrote is still read: it lacks the two lines.
func TestVersion1(t *testing.T) {
	text, err := full().Encode()
	require.NoError(t, err)
	old := strings.Replace(string(text), "choba slots 2\npreferred a\ndeparted \nasked \n", "choba slots 1\npreferred a\n", 1)
	require.NotEqual(t, string(text), old)
	back, err := Parse([]byte(old))
	require.NoError(t, err)
	require.Equal(t, full(), back)
	for _, bad := range []string{
		strings.Replace(old, "slots 1", "slots 2", 1),
		strings.Replace(string(text), "slots 2", "slots 1", 1),
	} {
		_, err = Parse([]byte(bad))
		require.Error(t, err)
	}
}

func TestGoldenOpenDeparture(t *testing.T) {
	r := Record{A: good(12, 0xaa), B: trial(13, 0xbb, 2), Preferred: A, Departed: B, Asked: AskedByPerson, Reason: "x"}
	got, err := r.Encode()
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(got), "choba slots 2\npreferred a\ndeparted b\nasked recovery\nslot a good"))
	back, err := Parse(got)
	require.NoError(t, err)
	require.Equal(t, r, back)
	for _, bad := range [][2]string{{"departed b", "departed c"}, {"recovery", "recover"}, {"recovery", ""}, {"b trial", "b refused"}} {
		other := strings.Replace(string(got), bad[0], bad[1], 1)
		if back, err = Parse([]byte(other)); err == nil {
			require.Empty(t, back.Asked, "the only change that is another record: nobody asked")
		}
	}
}

func TestRoundTrip(t *testing.T) {
	long := full()
	long.Reason = strings.Repeat("x", MaxReason)
	long.A = Slot{State: Good, Version: math.MaxUint64, Unready: UnreadyLimit, Manifest: hash(1)}
	long.B = trial(math.MaxUint64, 2, MaxTries)
	long.Failed = nil
	for i := range MaxFailed {
		long.Failed = append(long.Failed, Failure{math.MaxUint64, hash(byte(i))})
	}
	for _, r := range []Record{{}, Default(), full(), long} {
		text, err := r.Encode()
		require.NoError(t, err)
		require.LessOrEqual(t, len(text), 4096-64, "fits a copy")
		back, err := Parse(text)
		require.NoError(t, err)
		again, err := back.Encode()
		require.NoError(t, err)
		require.Equal(t, text, again)
	}
}

// One spelling only: any change of one byte of the text is refused or gives a
// record whose own text has that byte.
func TestEveryByteOfText(t *testing.T) {
	text, err := full().Encode()
	require.NoError(t, err)
	for i := range text {
		for _, c := range []byte{0, ' ', '\n', '0', '9', 'a', 'F', '-', '+', 0xff} {
			other := bytes.Clone(text)
			other[i] = c
			if r, err := Parse(other); err == nil {
				again, err := r.Encode()
				require.NoError(t, err)
				require.Equal(t, other, again)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	text, err := full().Encode()
	require.NoError(t, err)
	for name, change := range map[string][2]string{
		"another version":                      {"slots 2", "slots 3"},
		"version 1's lines":                    {"slots 2", "slots 1"},
		"departed for nothing":                 {"departed ", "departed c"},
		"departed for a slot that may not run": {"departed ", "departed b"},
		"asked for something else":             {"asked ", "asked coffee"},
		"unknown slot":                         {"preferred a", "preferred c"},
		"slots exchanged":                      {"slot a", "slot b"},
		"unknown state":                        {" good ", " great "},
		"tries on a committed":                 {"version 12 tries 0", "version 12 tries 1"},
		"unready on a refused":                 {"version 13 tries 0 unready 0", "version 13 tries 0 unready 1"},
		"unready over limit":                   {"version 12 tries 0 unready 0", "version 12 tries 0 unready 9"},
		"negative":                             {"version 12 tries 0", "version 12 tries -1"},
		"leading zero":                         {"version 12", "version 012"},
		"plus sign":                            {"version 12", "version +12"},
		"huge version":                         {"version 12", "version 18446744073709551616"},
		"upper case hash":                      {"aaaa", "AAAA"},
		"short hash":                           {"aaaa", "aa"},
		"empty with a release":                 {"a good", "a empty"},
		"control character":                    {"did not", "did\tnot"},
		"broken UTF-8":                         {"did not", "did\xffnot"},
		"trailing space":                       {"answer\n", "answer \n"},
		"no end of line":                       {"answer\n", "answer"},
		"unknown line":                         {"reason ", "colour "},
		"word too many":                        {"tries 0 unready", "tries 0 0 unready"},
	} {
		require.Contains(t, string(text), change[0], name)
		_, err := Parse([]byte(strings.Replace(string(text), change[0], change[1], 1)))
		require.Error(t, err, name)
	}
	_, err = Parse([]byte(strings.Replace(string(text), "failed 11", strings.Repeat("failed 1 "+hash(3).String()+"\n", MaxFailed)+"failed 11", 1)))
	require.Error(t, err, "too many failures")
	_, err = Record{A: Slot{State: Good, Version: 1}}.Encode()
	require.Error(t, err, "committed without a release")
	_, err = Record{Reason: "two\nlines"}.Encode()
	require.Error(t, err)
}

func TestClip(t *testing.T) {
	require.Equal(t, "a b", Clip("\na\nb\t"))
	require.Equal(t, "?", Clip("\xff"))
	long := Clip(strings.Repeat("会", 200))
	require.LessOrEqual(t, len(long), MaxReason)
	require.Equal(t, MaxReason/3, strings.Count(long, "会"))
	require.Equal(t, long, Clip(long))
}

func FuzzParse(f *testing.F) {
	for _, r := range []Record{{}, Default(), full()} {
		text, err := r.Encode()
		require.NoError(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text)
		if err != nil {
			return
		}
		require.NoError(t, r.check())
		first, _, _ := strings.Cut(string(text), "\n")
		require.Equal(t, text, r.text(first))
	})
}

func FuzzClip(f *testing.F) {
	f.Add("a\x00b\xff会")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := Record{Reason: Clip(text)}.Encode()
		require.NoError(t, err)
	})
}
