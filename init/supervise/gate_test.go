package supervise

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/table"
)

func trialOf(t0 time.Time) *gate {
	return newGate(&Trial{ReadyBy: t0.Add(30 * time.Second), Soak: 10 * time.Second},
		[]table.Row{{Name: "a", Health: true}, {Name: "b"}})
}

// Every row must be ready in time, also one without health, and then nothing may end or fall silent for a while (A49).
func TestGate(t *testing.T) {
	t0 := time.Unix(1_000_000, 0)
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	for _, row := range []struct {
		name    string
		do      func(g *gate) string
		look    int
		healthy bool
		reason  string
	}{
		{"all well", func(g *gate) string {
			g.heard("a", true, at(3))
			g.heard("b", true, at(4))
			g.heard("a", false, at(8))
			g.heard("b", false, at(9))
			return ""
		}, 14, true, ""},
		{"never ready", func(g *gate) string { g.heard("a", true, at(3)); return "" }, 30, false, "not ready in time: b"},
		{"alive but not ready", func(g *gate) string { g.heard("a", false, at(29)); return "" }, 31, false, "not ready in time: a, b"},
		{"crash before all are ready is forgiven once it is ready again", func(g *gate) string {
			g.heard("a", true, at(3))
			reason := g.gone("a", "code 1")
			g.heard("b", true, at(4))
			g.heard("a", true, at(5))
			g.heard("a", false, at(9))
			g.heard("b", false, at(9))
			return reason
		}, 15, true, ""},
		{"crash loop never ready together", func(g *gate) string {
			for s := range 29 {
				g.heard("a", true, at(s))
				if r := g.gone("a", "code 1"); r != "" {
					return r
				}
			}
			return ""
		}, 3, false, "a ended 3 times (code 1) before the register was ready"},
		{"crash while soaking", func(g *gate) string {
			g.heard("a", true, at(3))
			g.heard("b", true, at(4))
			return g.gone("b", "code 2")
		}, 5, false, "b ended (code 2) within 10s of the register being ready"},
		{"silent while soaking", func(g *gate) string {
			g.heard("a", true, at(3))
			g.heard("b", true, at(4))
			g.heard("b", false, at(9))
			return ""
		}, 14, false, "silent for 10s after being ready: a"},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := trialOf(t0)
			healthy, _ := g.look(at(0))
			require.False(t, healthy)
			reason := row.do(g)
			if reason == "" {
				healthy, reason = g.look(at(row.look))
			}
			require.Equal(t, row.healthy, healthy)
			require.Equal(t, row.reason, reason)
			require.False(t, g.waiting())
			healthy, reason = g.look(at(100))
			require.False(t, healthy, "the answer is given once")
			require.Empty(t, reason)
			require.Empty(t, g.gone("a", "code 1"))
		})
	}
	var none *gate
	none.heard("a", true, at(1))
	require.Empty(t, none.gone("a", ""))
	require.False(t, none.waiting())
}

// What a trial does not answer, the watchdog does: it is fed no longer than the trial may take.
func TestTrialFeedsOnlyForItsTime(t *testing.T) {
	t0 := time.Unix(1_000_000, 0)
	w := &watch{}
	rows := []table.Row{{Name: "a", Health: true}}
	s := &Set{cfg: Config{Hooks: w.hooks()}, health: newHealth(rows), gate: newGate(&Trial{t0.Add(30 * time.Second), 10 * time.Second}, rows)}
	s.health.begin(t0)
	require.True(t, s.well(t0.Add(44*time.Second)))
	require.False(t, s.well(t0.Add(46*time.Second)))
	s.judge(t0.Add(31 * time.Second))
	require.Equal(t, []string{"not ready in time: a"}, w.failed)
	require.False(t, s.well(t0.Add(32*time.Second)), "what failed is not fed")
}

// A start that is no trial ends too: with a reason, and once. One that has sold is never ended.
func TestStartTakesTooLong(t *testing.T) {
	t0 := time.Unix(1_000_000, 0)
	rows := []table.Row{{Name: "a", Health: true}, {Name: "b", Health: true}, {Name: "c"}}
	for _, sold := range []bool{false, true} {
		w := &watch{}
		s := &Set{cfg: Config{Hooks: w.hooks()}, health: newHealth(rows)}
		s.health.begin(t0)
		s.health.heard("a", true, t0.Add(time.Second))
		if sold {
			s.health.heard("b", true, t0.Add(time.Second))
			s.health.gone("b")
		}
		s.judge(t0.Add(StartTime - time.Second))
		require.Empty(t, w.failed)
		s.judge(t0.Add(StartTime))
		s.judge(t0.Add(2 * StartTime))
		if sold {
			require.Empty(t, w.failed)
		} else {
			require.Equal(t, []string{"not ready to sell within 1m30s: b"}, w.failed)
		}
	}
}

// The same with processes: a good one passes, one that says ready and crashes does not, a silent one does not.
func TestTrialOfProcesses(t *testing.T) {
	for _, row := range []struct {
		name, service string
		soak          time.Duration
		failed        string
	}{
		{"good", "svc-good", 2 * time.Second, ""},
		{"crash loop", "svc-crash", 2 * time.Second, "svc-crash ended (code 3) within 2s of the register being ready"},
		{"hangs after ready", "svc-deaf", time.Second, "silent for 1s after being ready: svc-deaf"},
		{"ends before it is ready", "svc-child", time.Second, "svc-child ended 3 times (code 0) before the register was ready"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := &watch{}
			_, stop := beginTrial(t, w, &Trial{ReadyBy: time.Now().Add(2 * time.Second), Soak: row.soak}, row.service)
			w.until(t, "an answer", func() bool { return w.healthy+len(w.failed) > 0 })
			stop()
			if row.failed == "" {
				require.Equal(t, 1, w.healthy)
				require.Empty(t, w.failed)
				return
			}
			require.Equal(t, []string{row.failed}, w.failed)
			require.Zero(t, w.healthy)
		})
	}
}
