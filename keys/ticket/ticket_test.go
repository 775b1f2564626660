package ticket

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func sample() Ticket {
	return Ticket{FactoryReset, Name([]byte("register 1")), Nonce([]byte("request 1")), time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}
}

const golden = "choba ticket 1\naction factory-reset\nregister SS2B-7D6V-SPV1-FWM9-DASK-9AT1-0MHK-SSJ6\n" +
	"nonce F50J-9CKG-9BA4-16ZD-PVSY\nnot-after 2026-12-01T00:00:00Z\n"

func TestGolden(t *testing.T) {
	text, err := sample().Encode()
	require.NoError(t, err)
	require.Equal(t, golden, string(text))
	back, err := Parse(text)
	require.NoError(t, err)
	require.Equal(t, sample(), back)
}

func TestNames(t *testing.T) {
	require.Len(t, Name(nil), 39)
	require.Len(t, Nonce(nil), 24)
	require.NotEqual(t, Name([]byte("a"))[:24], Nonce([]byte("a")), "a name gives no nonce away")
	require.NotContains(t, Name([]byte("x")), "O")
}

// TestEveryByteCounts: whatever single byte is altered, it is another ticket or none at all, and it does not serve.
func TestEveryByteCounts(t *testing.T) {
	want := sample()
	for i := range golden {
		for _, x := range []byte{1, 0x20, 0x80} {
			b := []byte(golden)
			b[i] ^= x
			got, err := Parse(b)
			if err == nil {
				err = got.Check(want.Action, want.Register, want.Nonce, want.NotAfter)
				if i >= strings.Index(golden, "not-after ")+len("not-after ") && err == nil {
					require.NotEqual(t, want.NotAfter, got.NotAfter, "another day is another text, and has other signatures")
					continue
				}
			}
			require.Error(t, err, "byte %d: %q", i, b)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, text := range []string{
		"", "choba ticket 1\n", strings.TrimSuffix(golden, "\n"), golden + "\n", golden + "more\n",
		strings.Replace(golden, "ticket 1", "ticket 2", 1),
		strings.Replace(golden, "factory-reset", "open-drawer", 1),
		strings.Replace(golden, "Z\n", "+09:00\n", 1),
		strings.Replace(golden, "00Z", "00.5Z", 1),
		strings.ToLower(golden),
		strings.Repeat("x", MaxSigned+1),
	} {
		_, err := Parse([]byte(text))
		require.ErrorIs(t, err, ErrForm, "%.60q", text)
	}
	_, err := Ticket{}.Encode()
	require.ErrorIs(t, err, ErrForm)
}

func TestCheck(t *testing.T) {
	tk := sample()
	now := tk.NotAfter
	require.NoError(t, tk.Check(FactoryReset, tk.Register, tk.Nonce, now))
	require.ErrorIs(t, tk.Check(Rebind, tk.Register, tk.Nonce, now), ErrAction)
	require.ErrorIs(t, tk.Check(FactoryReset, Name([]byte("register 2")), tk.Nonce, now), ErrRegister)
	require.ErrorIs(t, tk.Check(FactoryReset, tk.Register, Nonce([]byte("request 2")), now), ErrNonce)
	require.ErrorIs(t, tk.Check(FactoryReset, tk.Register, tk.Nonce, now.Add(time.Second)), ErrExpired)
	require.Error(t, Ticket{}.Check("", "", "", time.Time{}), "the zero ticket allows nothing")
}

type opener func([]byte) ([]byte, []string, error)

func (o opener) OpenTicket(b []byte) ([]byte, []string, error) { return o(b) }

func TestOpen(t *testing.T) {
	got, signers, err := Open(opener(func(b []byte) ([]byte, []string, error) { return b, []string{"a", "b"}, nil }), []byte(golden))
	require.NoError(t, err)
	require.Equal(t, sample(), got)
	require.Equal(t, []string{"a", "b"}, signers)
	few := errors.New("too few")
	_, _, err = Open(opener(func([]byte) ([]byte, []string, error) { return nil, nil, few }), []byte(golden))
	require.ErrorIs(t, err, few)
	_, _, err = Open(nil, make([]byte, MaxSigned+1))
	require.ErrorIs(t, err, ErrForm, "a huge file is not even looked at")
}

func FuzzParse(f *testing.F) {
	f.Add(golden)
	f.Add("choba ticket 1\naction re-bind\nregister \nnonce \nnot-after \n")
	f.Fuzz(func(t *testing.T, text string) {
		tk, err := Parse([]byte(text))
		if err != nil {
			return
		}
		again, err := tk.Encode()
		require.NoError(t, err)
		require.Equal(t, text, string(again))
	})
}
