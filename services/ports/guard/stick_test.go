package guard_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/ports/guard"
)

func (h *house) plugStick(path string, on bool) {
	d := stick()
	d.On = on
	h.Plug(path, d)
	h.Node(path, ".", "bus/usb/001/007", "/dev/null", 1, 3)
}

// later claims in the background; the claim is counted before later returns.
func (h *house) later(ctx context.Context) <-chan *guard.Claim {
	out := make(chan *guard.Claim, 1)
	go func() {
		defer close(out)
		if c, err := h.g.Claim(ctx, api.RoleStick); err == nil {
			out <- c
		}
	}()
	return out
}

// until looks until the stick is in a state.
func (h *house) until(state string) {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		h.look()
		list := h.g.Devices()
		return len(list) == 1 && list[0].State == state
	}, 2*time.Second, time.Millisecond, state)
}

// A41: a stick is on only while somebody waits for it or has it.
func TestA41StickIsOnOnlyWhileWanted(t *testing.T) {
	h := open(t)
	h.plugStick("1-2", true)
	require.False(t, h.look())
	require.Equal(t, api.StateAllowed, h.g.Devices()[0].State)
	require.False(t, h.On("1-2"), "it was on when the guard started")

	claims := h.later(t.Context())
	h.until(api.StateClaimed)
	require.True(t, h.On("1-2"))
	c := <-claims
	require.Equal(t, api.KindUSBFS, c.Kind)
	c.Release()
	require.False(t, h.On("1-2"), "off as soon as it is given back")
	h.look()
	require.Equal(t, api.StateAllowed, h.g.Devices()[0].State)
	require.False(t, h.On("1-2"))
	require.Equal(t, 1, h.closed)

	claims = h.later(t.Context())
	h.until(api.StateClaimed)
	require.True(t, h.On("1-2"), "the next claimant gets it anew")
	c = <-claims
	h.Unplug("1-2")
	h.look()
	<-c.Gone
	c.Release()
	require.Equal(t, []string{guard.Attached, guard.Detached}, h.kinds())
	require.Equal(t, api.RoleStick, h.notes[0].Fact.Role)
}

// A claim that is given back late does nothing to the device that has the place by then.
func TestReleaseAfterAnotherDeviceCame(t *testing.T) {
	h := open(t)
	h.plugStick("1-2", false)
	claims := h.later(t.Context())
	h.until(api.StateClaimed)
	old := <-claims
	h.Unplug("1-2")
	h.look()
	claims = h.later(t.Context())
	h.plugStick("1-2", false)
	h.until(api.StateClaimed)
	old.Release()
	require.True(t, h.On("1-2"))
	h.look()
	require.Equal(t, api.StateClaimed, h.g.Devices()[0].State)
	(<-claims).Release()
}

// Whoever stops waiting switches nothing on.
func TestA41StickOfAClaimantThatLeft(t *testing.T) {
	h := open(t)
	ctx, leave := context.WithCancel(t.Context())
	claims := h.later(ctx)
	leave()
	<-claims
	h.plugStick("1-2", false)
	h.look()
	require.Equal(t, api.StateAllowed, h.g.Devices()[0].State)
	require.False(t, h.On("1-2"))
}

// A guard that ends leaves no stick on.
func TestA41GuardEnds(t *testing.T) {
	h := open(t)
	h.plugStick("1-2", false)
	claims := h.later(t.Context())
	h.until(api.StateClaimed)
	c := <-claims
	ctx, end := context.WithCancel(t.Context())
	end()
	for range 3 { // which of its channels Run looks at first is open
		require.NoError(t, h.g.Run(ctx, nil, func() {}))
	}
	<-c.Gone
	require.False(t, h.On("1-2"))
}
