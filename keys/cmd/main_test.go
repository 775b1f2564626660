package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run([]string{"-dir", t.TempDir()}, &out))
	require.Contains(t, out.String(), "INSECURE development keys in ")
	require.NotContains(t, out.String(), "PRIVATE")
	require.Equal(t, 23, bytes.Count(out.Bytes(), []byte("\n")))
	require.Error(t, run([]string{"-unknown"}, &out))
}
