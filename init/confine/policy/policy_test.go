package policy

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/table"
)

// A73, A74: what each service of the product may do, word for word. A change of a row or of the list of system calls
// shows here, and is to be looked at. UPDATE=1 writes the files anew.
func TestProductPolicies(t *testing.T) {
	tab, err := table.Load("../../../services/table/table.json")
	require.NoError(t, err)
	for _, r := range tab.Rows() {
		p, err := Of(tab, r.Name)
		require.NoError(t, err)
		file := filepath.Join("testdata", r.Name+".golden")
		if os.Getenv("UPDATE") != "" {
			require.NoError(t, os.WriteFile(file, []byte(p.String()), 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(want), p.String(), r.Name)
	}
	_, err = Of(tab, "nobody")
	require.ErrorContains(t, err, "no row")
}

func TestOnlyWhatTheRowGrants(t *testing.T) {
	tab, err := table.Load("../../../services/table/table.json")
	require.NoError(t, err)
	for _, r := range tab.Rows() {
		p, err := Of(tab, r.Name)
		require.NoError(t, err)
		require.Equal(t, Access{Execute, r.Binary}, p.Files[0])
		for _, f := range p.Files[1:] {
			require.NotEqual(t, Execute, f.Right, "one file to execute")
			if f.Right == Own {
				require.Equal(t, r.Data, f.Path)
			}
			if f.Right == Device {
				require.NotEmpty(t, r.Devices)
			}
			if f.Right == Attr {
				require.True(t, r.USBGuard)
			}
		}
		require.NotContains(t, p.Sockets, r.Socket(), "nobody calls himself")
		require.Len(t, p.Sockets, len(tab.Calls(r.Name)))
	}
}
