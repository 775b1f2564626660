package tax

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRegistration(t *testing.T) {
	for _, good := range []string{"T4011001098993", "T7123456789012", "T2120901007402", "T7000012050002"} {
		got, err := ParseRegistration(good, false)
		require.NoError(t, err)
		require.Equal(t, Registration(good), got)
	}
	for _, bad := range []string{"", "T", "7123456789012", "T712345678901", "T71234567890123", "T712345678901x", "t7123456789012", "T8123456789012", "T7123456789021"} {
		_, err := ParseRegistration(bad, false)
		require.Error(t, err, bad)
	}
	_, err := ParseRegistration("T8123456789012", true)
	require.NoError(t, err, "a person's number has no published check digit")
	_, err = ParseRegistration("T81234567890", true)
	require.Error(t, err)
}

func FuzzRegistration(f *testing.F) {
	f.Add("T7123456789012", false)
	f.Fuzz(func(t *testing.T, text string, sole bool) {
		if got, err := ParseRegistration(text, sole); err == nil {
			require.Equal(t, text, string(got))
		}
	})
}
