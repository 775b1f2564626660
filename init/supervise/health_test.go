package supervise

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/table"
)

// The health gate: the watchdog is fed by liveness, never by a ticker alone.
func TestHealth(t *testing.T) {
	t0 := time.Unix(1_000_000, 0)
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	h := newHealth([]table.Row{{Name: "a", Health: true}, {Name: "b", Health: true}, {Name: "c"}})
	h.begin(t0)

	require.True(t, h.well(at(1)), "starting may take its time")
	require.False(t, h.well(at(90)), "but not for ever")
	h.heard("a", true, at(2))
	h.heard("c", true, at(2))
	require.False(t, h.allReady())
	h.heard("b", false, at(3))
	require.False(t, h.allReady(), "alive is not ready")
	h.heard("b", true, at(4))
	require.True(t, h.allReady())

	require.True(t, h.well(at(17)))
	require.Empty(t, h.lapsed(at(17)))
	h.heard("b", false, at(17))
	require.False(t, h.well(at(18)), "a has been silent for 16 s, whatever b says")
	require.Equal(t, []string{"a"}, h.lapsed(at(18)))
	require.Empty(t, h.lapsed(at(19)), "said once")
	h.heard("c", false, at(19))
	require.False(t, h.well(at(19)), "a service that is not needed cannot stand in")

	h.gone("a")
	require.False(t, h.allReady())
	h.heard("a", true, at(20))
	require.True(t, h.well(at(20)))
	h.heard("b", false, at(36))
	require.Equal(t, []string{"a"}, h.lapsed(at(36)), "said again for a new lapse")
}
