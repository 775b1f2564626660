package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/network/filter"
	"github.com/choba-os/choba/services/table"
)

// Who may begin to speak comes from the service table: of the product's services only the update service.
func TestClients(t *testing.T) {
	tab, err := table.Load("../../table/table.json")
	require.NoError(t, err)
	require.Equal(t, []filter.Client{{Name: "update", UID: 907}}, clients(tab))
}

func TestRunRefuses(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), []string{"x"}, &bytes.Buffer{}), "no arguments")
	require.ErrorContains(t, run(t.Context(), nil, &bytes.Buffer{}), "reading the service table")
}
