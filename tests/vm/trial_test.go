package vm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/slot"
)

// A release that does not work is left by itself, whatever is wrong with it: the register is back on the version
// before, has the reason in its history and its journal and on the screen (look at the picture), and does not try that
// release again (A49, A51). How long it takes is printed.
func TestTrialFails(t *testing.T) {
	for _, c := range []struct{ fault, reason string }{
		{"boot-hang", "hung: the watchdog"},
		{"hang", "hung: the watchdog"},
		{"panic", "did not reach ready in its trials"},
		{"loop", "register ended "},
		{"sick", "not ready in time: register"},
		{"blind", "not ready in time: screen"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			r := sold(t, nil)
			alter(t, r, func(d *flashed) { d.stage(bundle(t, 2, c.fault)) })
			on(t, r, `switch to slot b version 2`, `jump .*slot b.*`)
			from := time.Now()
			wait(t, r, `switch to slot a version 1`)
			wait(t, r, `choba-init: ready to sell`)
			t.Logf("%s: back on version 1 after %.0f s", c.fault, time.Since(from).Seconds())
			wait(t, r, `screen: painted`)
			wait(t, r, committed)
			time.Sleep(3 * time.Second) // the journal gets what recovery wrote down
			keep(t, r, "trial-"+c.fault)
			r.Cut()
			alter(t, r, func(d *flashed) {
				told(t, d, history.Failed, c.reason)
				rec := d.record()
				require.Equal(t, slot.Refused, rec.B.State, "%+v", rec)
				require.Equal(t, slot.Good, rec.A.State)
				require.Equal(t, slot.A, rec.Preferred)
			})
		})
	}
}
