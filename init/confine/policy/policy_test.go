package policy

import (
	"os"
	"path/filepath"
	"slices"
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
				require.Contains(t, []string{r.Data, r.Run}, f.Path)
			}
			if f.Right == Device {
				require.True(t, len(r.Devices) > 0 || r.IdleSlot)
			}
			if f.Right == Attr {
				require.True(t, r.USBGuard)
			}
		}
		require.NotContains(t, p.Sockets, r.Socket(), "nobody calls himself")
		require.Len(t, slices.DeleteFunc(p.Sockets, func(s string) bool { return s == table.InitSocket }), len(tab.Calls(r.Name)))
		require.ElementsMatch(t, r.Rights, p.Rights)
		for _, s := range p.Shown {
			require.True(t, s.Path == r.Run || !s.Write && slices.Contains(r.Read, s.Path), s.Path)
		}
	}
}

// What a row that uses the network, another's folder, the facts, and the idle slot comes to.
func TestRowsOfTheNetwork(t *testing.T) {
	tab, err := table.Parse([]byte(`[
	 {"name":"net","binary":"/svc/net","args":[],"uid":901,"callers":["up"],"run":"/run/net","devices":[],"read":[],"network":true,
	  "groups":["net"],"rights":["net_raw","net_admin"],"memoryMiB":16,"pids":16,"files":64,"health":false},
	 {"name":"up","binary":"/svc/up","args":[],"uid":902,"callers":[],"idleSlot":true,"devices":[],
	  "read":["/run/net","/run/choba/facts.json"],"network":true,"groups":["inet"],"memoryMiB":16,"pids":16,"files":64,"health":false}]`))
	require.NoError(t, err)
	net, err := Of(tab, "net")
	require.NoError(t, err)
	require.Equal(t, []Shown{{"/run/net", 901, true}}, net.Shown)
	require.Equal(t, []string{"net_admin", "net_raw"}, net.Rights)
	require.False(t, net.TCP)
	up, err := Of(tab, "up")
	require.NoError(t, err)
	require.Equal(t, []Shown{{"/run/net", 901, false}, {table.Facts, 0, false}}, up.Shown)
	require.Equal(t, []string{"/run/choba/net.sock", table.InitSocket}, up.Sockets)
	require.Contains(t, up.Files, Access{Device, "/dev/choba"})
	require.True(t, up.TCP)
	require.Empty(t, up.Rights)
	require.Contains(t, up.String(), "tcp       connect only")
}
