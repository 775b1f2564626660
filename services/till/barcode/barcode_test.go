package barcode

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want Code
		err  error
	}{
		{"4901234567894", Code{JAN13, "4901234567894"}, nil},
		{"4906789012349", Code{JAN13, "4906789012349"}, nil},
		{"49123456", Code{JAN8, "49123456"}, nil},
		{"036000291452", Code{JAN13, "0036000291452"}, nil}, // UPC-A
		{"2012345006980", Code{InStore, "2012345006980"}, nil},
		{"0212345012345", Code{InStore, "0212345012345"}, nil},
		{"212345012345", Code{InStore, "0212345012345"}, nil}, // as UPC-A
		{"12", Code{Number, "000012"}, nil},
		{"000012", Code{Number, "000012"}, nil},
		{"", Code{}, ErrEmpty},
		{"4901234567895", Code{}, ErrCheck},
		{"49123457", Code{}, ErrCheck},
		{"1234567", Code{}, ErrSize},
		{"12345678901234", Code{}, ErrSize},
		{"49012345A7894", Code{}, ErrChars},
		{"４９", Code{}, ErrChars},
		{"-1", Code{}, ErrChars},
		{"\x00\x1d", Code{}, ErrChars},
	} {
		got, err := Parse(c.text)
		require.ErrorIs(t, err, c.err, c.text)
		require.Equal(t, c.want, got, c.text)
	}
}

// A single wrong digit is always found, and so is a number that was made by Check.
func TestCheckDigit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.StringMatching(`[0-9]{12}`).Draw(t, "body")
		jan := body + string(Check(body))
		require.True(t, Valid(jan))
		at := rapid.IntRange(0, 12).Draw(t, "at")
		wrong := []byte(jan)
		wrong[at] = byte('0' + (int(jan[at]-'0')+rapid.IntRange(1, 9).Draw(t, "by"))%10)
		require.False(t, Valid(string(wrong)))
	})
	require.False(t, Valid(""))
	require.False(t, Valid("0"))
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"4901234567894", "49123456", "036000291452", "12", "", "]E04901234567894", "2012345006980"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			require.Equal(t, Code{}, c)
			return
		}
		again, err := Parse(c.Text)
		require.NoError(t, err)
		require.Equal(t, c, again, "the form is its own form")
	})
}
