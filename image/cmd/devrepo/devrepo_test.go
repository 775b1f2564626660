package devrepo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/repository"
	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/keys/dev"
)

func TestDevelopmentRepository(t *testing.T) {
	dir := t.TempDir()
	keys, err := dev.Ensure(dir)
	require.NoError(t, err)
	root, err := Root(keys)
	require.NoError(t, err)
	info, err := repository.ReadRoot(root)
	require.NoError(t, err)
	require.True(t, info.Signed)
	require.True(t, info.Insecure())
	require.Equal(t, 2, info.Roles.Root.Threshold)
	require.Equal(t, 2, info.Roles.Targets.Threshold)
	require.Len(t, Ring(keys), 6)
	again, err := dev.Ensure(dir)
	require.NoError(t, err)
	same, err := Root(again)
	require.NoError(t, err)
	require.Equal(t, root, same)

	text, err := Source(keys, Server)
	require.NoError(t, err)
	s, err := source.Parse(text)
	require.NoError(t, err)
	require.Equal(t, "https://10.0.2.100/", s.URL)
}
