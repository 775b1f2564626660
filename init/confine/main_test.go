package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

const product = "../../services/table/table.json"

func TestPrint(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run([]string{"-print", "-table", product, "ports"}, &out))
	require.Contains(t, out.String(), "exec      /svc/ports\n")
}

// Only the table of the verified image counts when a service is really started.
func TestRefused(t *testing.T) {
	for _, args := range [][]string{
		nil, {"a", "b"}, {"-table", product, "ports"}, {"-print", "-table", product, "nobody"}, {"-print", "-table", "/no/such", "ports"}, {"-x"},
	} {
		require.Error(t, run(args, &bytes.Buffer{}), "%v", args)
	}
}
