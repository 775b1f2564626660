package seal

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestIdentity: a chip keeps its name over boots and even when it is cleared; another chip has another.
func TestIdentity(t *testing.T) {
	c := newOwned(t)
	first, err := c.Identity()
	require.NoError(t, err)
	c.boot("image", "state", Recovery())
	again, err := c.Identity()
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.NoError(t, c.Clear())
	again, err = c.Identity()
	require.NoError(t, err)
	require.Equal(t, first, again)
	other, err := newChip(t).Identity()
	require.NoError(t, err)
	require.NotEqual(t, first, other)
}
