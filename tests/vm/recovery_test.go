package vm

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/tests/bench"
	"github.com/choba-os/choba/tests/powercut"
)

// repaired is the line of a redeploy that went well.
const repaired = `choba-recovery: end: redeploy: It is repaired`

// Both slots are damaged and nobody is there: the register shows why, counts down, redeploys the factory release,
// restarts, proves it, and sells on with the data that it had. What recovery did is in the journal afterwards. The
// power may go at any of its writes (A51).
func TestRecoveryAlone(t *testing.T) {
	t.Parallel()
	folder := short(t)
	r := shop(t, func(c *bench.Config) { c.Record = folder })
	alter(t, r, func(d *flashed) {
		d.number(shopVersion, layout.Factory)
		d.ruin()
	})
	rec := recording(t, r)
	rec.on(`choba-recovery: page: This register cannot start`)
	from := time.Now()
	time.Sleep(4 * time.Second)
	keep(t, r, "recovery-alone")
	wait(t, r, `choba-recovery: begin: redeploy`)
	t.Logf("begins by itself %.0f s after the page", time.Since(from).Seconds())
	from = time.Now()
	time.Sleep(5 * time.Second)
	keep(t, r, "recovery-working")
	wait(t, r, repaired)
	t.Logf("redeployed in %.0f s", time.Since(from).Seconds())
	time.Sleep(2 * time.Second)
	keep(t, r, "recovery-repaired")
	wait(t, r, `switch to slot . version 5`)
	m := stillOpen(t, r, "recovery-sells-again")
	t.Logf("sells again %.0f s after it began", time.Since(from).Seconds())
	m.touch(r, "tender:cash")
	m.do(api.Act{Op: api.OpTender})
	m.shows(r, "recovery-tender", below)
	m.touch(r, "exact")
	require.Contains(t, line(t, receipts(t, r, 1), "合計"), "138")
	wait(t, r, committed)
	time.Sleep(2 * time.Second)
	r.Cut()

	d := open(t, pulled(t, r))
	require.Equal(t, slot.Good, d.record().Slot(d.record().Preferred).State)
	told(t, d, "redeploy", `"outcome":"done"`)
	from = time.Now()
	rec.judge(1, "recovery", powercut.Plan{Torn: 3, Reordered: 4, Seed: 2}, shopVersion)
	t.Logf("judged in %.0f s", time.Since(from).Seconds())
	rec.tell()
}

// told sees that a record of recovery is in the history, and that the journal has it: it is marked as copied.
func told(t *testing.T, d *flashed, kind, text string) {
	t.Helper()
	all, err := history.Load(d.state())
	require.NoError(t, err)
	for _, e := range all {
		if e.Kind == kind && strings.Contains(e.Text, text) {
			require.LessOrEqual(t, e.Seq, history.Copied(all), "%s %s is not in the journal", e.Kind, e.Text)
			return
		}
	}
	t.Fatalf("no record %s %s in %+v", kind, text, all)
}
