package state_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
)

func idle(n api.UpdateNotice) api.View { return api.View{Phase: api.PhaseIdle, Update: &n} }

// What is said about updates, where, and until when.
func TestUpdateNotices(t *testing.T) {
	ready := idle(api.UpdateNotice{Phase: api.UpdateReady, Text: "ready", CanNow: true, Warning: "old"})
	n, ok := state.UI{}.Update(ready)
	require.True(t, ok)
	require.Equal(t, "ready", n.Text)
	u, _ := state.UI{}.Touch(ready, state.UpdateRead, 5)
	n, ok = u.Update(ready)
	require.True(t, ok, "a release that waits is shown as long as it waits")
	require.Equal(t, "ready", n.Text)
	for _, p := range []api.Phase{api.PhaseSale, api.PhaseTender, api.PhaseDone, api.PhaseStarting, api.PhaseClosed} {
		v := ready
		v.Phase = p
		_, ok := state.UI{}.Update(v)
		require.False(t, ok, p)
	}
	_, ok = state.UI{}.Update(api.View{Phase: api.PhaseIdle})
	require.False(t, ok)

	back := idle(api.UpdateNotice{Phase: api.UpdateFallback, Text: "back", Warning: "old"})
	u, act := state.UI{}.Touch(back, state.UpdateRead, 5)
	require.Nil(t, act)
	n, ok = u.Update(back)
	require.True(t, ok, "what was read makes room for the warning")
	require.Equal(t, "old", n.Text)
	u, _ = u.Touch(back, state.UpdateRead, 5)
	_, ok = u.Update(back)
	require.False(t, ok)
	_, ok = u.Update(idle(api.UpdateNotice{Phase: api.UpdateFallback, Text: "back again"}))
	require.True(t, ok, "another notice is another matter")
}

// A restart is asked for twice, and forgotten when it cannot be any more.
func TestRestartIsAskedFor(t *testing.T) {
	v := idle(api.UpdateNotice{Phase: api.UpdateReady, CanNow: true})
	u, act := state.UI{}.Touch(v, state.UpdateAsk, 5)
	require.Nil(t, act)
	require.Equal(t, state.UpdatePanel, u.Panel)
	no, act := u.Touch(v, state.Close, 5)
	require.Nil(t, act)
	require.Equal(t, state.NoPanel, no.Panel)
	yes, act := u.Touch(v, state.UpdateNow, 5)
	require.Equal(t, &api.Act{Op: api.OpUpdateNow}, act)
	require.Equal(t, state.NoPanel, yes.Panel)
	require.Equal(t, state.NoPanel, u.Follow(v, api.View{Phase: api.PhaseIdle}).Panel)
	sale := v
	sale.Phase = api.PhaseSale
	require.Equal(t, state.NoPanel, u.Follow(v, sale).Panel, "a scan came first")
	require.Equal(t, state.UpdatePanel, u.Follow(v, v).Panel)
	for id, op := range map[string]string{state.UpdateLater: api.OpUpdatePostpone, state.UpdateAgain: api.OpUpdateAgain, state.UpdateCheck: api.OpUpdateCheck} {
		_, act := state.UI{}.Touch(v, id, 5)
		require.Equal(t, &api.Act{Op: op}, act)
	}
}
