package attend

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/guide"
	"github.com/choba-os/choba/recovery/hands"
	"github.com/choba-os/choba/recovery/redeploy/redeploytest"
)

// TestWholeRepair: from the page with the reasons, by a keyboard alone, to a release on trial and a restart.
func TestWholeRepair(t *testing.T) {
	m, v := redeploytest.NewMachine(t), redeploytest.NewVendor(t, "prod")
	m.Put(3, v.Release(3, 2, nil))
	m.Store(slot.Record{})
	machine := act.Machine{Register: m.Register(v), Data: m.Part(4), Now: time.Now, Say: func(string) {}}
	keys, said, again := make(chan hands.Event, 16), make(chan string, 100), make(chan struct{}, 1)
	glass := &glass{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{
			Guide: guide.New(failed()), Hands: keys, Do: act.New(machine, nil).DoTelling,
			Screens: func() []Output { return []Output{glass} },
			Say:     func(s string) { said <- s }, Feed: func() error { return nil },
			Restart: func() error { again <- struct{}{}; return nil },
		})
	}()
	hear := func(want string) {
		t.Helper()
		require.Equal(t, want, wait(t, said))
	}
	hear("page: This register cannot start")
	keys <- hands.Event{Key: hands.Escape}
	hear("page: Recovery menu")
	keys <- hands.Event{Key: hands.Typed, Rune: '2'}
	hear("page: Repair from where?")
	keys <- hands.Event{Key: hands.Right}
	keys <- hands.Event{Key: hands.Right}
	keys <- hands.Event{Key: hands.Enter}
	hear("begin: redeploy")
	heard := map[string]bool{wait(t, said): true, wait(t, said): true, wait(t, said): true}
	require.Equal(t, map[string]bool{"page: Repairing": true, "end: redeploy: It is repaired": true, "page: It is repaired": true}, heard)
	keys <- hands.Event{Key: hands.Enter}
	keys <- hands.Event{Key: hands.Enter}
	wait(t, again)
	require.Equal(t, slot.Trial, m.Record().A.State)
	require.Equal(t, uint64(3), m.Record().A.Version)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.GreaterOrEqual(t, glass.shown, 4)
}
