package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPrintsItsPlans: whoever runs it as anything but PID 1 is told what it would do, and nothing is done.
func TestPrintsItsPlans(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(2, &out))
	want, err := os.ReadFile("boot/testdata/plan.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), out.String())
}
