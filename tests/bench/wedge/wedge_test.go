package wedge

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStrokes(t *testing.T) {
	for _, c := range []struct {
		r             rune
		modifier, key byte
	}{{'a', 0, 4}, {'Z', shift, 0x1d}, {'1', 0, 0x1e}, {'0', 0, 0x27}, {'\n', 0, 0x28}, {'!', shift, 0x1e}, {')', shift, 0x27}, {'-', 0, 0x2d}, {'?', shift, 0x38}, {'/', 0, 0x38}} {
		m, k, ok := stroke(c.r)
		require.True(t, ok, "%q", c.r)
		require.Equal(t, c.modifier, m, "%q", c.r)
		require.Equal(t, c.key, k, "%q", c.r)
	}
	_, _, ok := stroke('あ')
	require.False(t, ok)
}

func TestTypeSendsPressAndRelease(t *testing.T) {
	s := New()
	require.NoError(t, s.Scan("49"))
	require.Equal(t, 6, s.Waiting())
	require.Error(t, s.Type("4あ"))
	require.Equal(t, 6, s.Waiting())
}
