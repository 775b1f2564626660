package supervise

import (
	"fmt"
	"strings"
	"time"

	"github.com/choba-os/choba/services/table"
)

// Trial is what a release that is new on this register has to show before it is kept.
type Trial struct {
	ReadyBy time.Time     // by then every service of the table must be ready
	Soak    time.Duration // so long after that none may end or fall silent
}

// gate is the trial's health gate. It belongs to Run's goroutine. Unlike health it asks all rows, also those without
// which the register could sell: a release that is kept must bring everything that it promises.
type gate struct {
	trial Trial
	rows  []string
	ready map[string]bool      // since its present start
	spoke map[string]time.Time // last word
	ends  map[string]int       // how often it ended before all were ready
	since time.Time            // all have been ready since then; zero: not yet
	over  bool                 // the answer was given
}

func newGate(t *Trial, rows []table.Row) *gate {
	if t == nil {
		return nil
	}
	g := &gate{trial: *t, ready: map[string]bool{}, spoke: map[string]time.Time{}, ends: map[string]int{}}
	for _, r := range rows {
		g.rows = append(g.rows, r.Name)
	}
	return g
}

func (g *gate) heard(name string, ready bool, at time.Time) {
	if g == nil || g.over {
		return
	}
	g.spoke[name] = at
	if ready {
		g.ready[name] = true
	}
	if g.since.IsZero() && len(g.missing()) == 0 {
		g.since = at
	}
}

// forgiven is how often a service may end before all are ready: something that it needs may come late.
const forgiven = 2

// gone says why the trial failed by the end of a service, or nothing. Before all were ready an end or two are
// forgiven: time runs on, and the service must become ready anew.
func (g *gate) gone(name, how string) string {
	if g == nil || g.over {
		return ""
	}
	delete(g.ready, name)
	if g.since.IsZero() {
		if g.ends[name]++; g.ends[name] <= forgiven {
			return ""
		}
		g.over = true
		return fmt.Sprintf("%s ended %d times (%s) before the register was ready", name, g.ends[name], how)
	}
	g.over = true
	return fmt.Sprintf("%s ended (%s) within %v of the register being ready", name, how, g.trial.Soak)
}

// look is asked again and again: healthy is true once, when the trial is passed; reason is given once, when it failed.
func (g *gate) look(now time.Time) (healthy bool, reason string) {
	switch {
	case g == nil || g.over:
		return false, ""
	case g.since.IsZero() && now.Before(g.trial.ReadyBy), !g.since.IsZero() && now.Before(g.since.Add(g.trial.Soak)):
		return false, ""
	case g.since.IsZero():
		g.over = true
		return false, "not ready in time: " + strings.Join(g.missing(), ", ")
	}
	g.over = true
	if silent := g.silent(); len(silent) > 0 {
		return false, fmt.Sprintf("silent for %v after being ready: %s", g.trial.Soak, strings.Join(silent, ", "))
	}
	return true, ""
}

// waiting says whether the trial is neither passed nor failed.
func (g *gate) waiting() bool { return g != nil && !g.over }

func (g *gate) missing() (out []string) {
	for _, r := range g.rows {
		if !g.ready[r] {
			out = append(out, r)
		}
	}
	return out
}

// silent are the rows that have said nothing since all were ready. A service speaks every five seconds.
func (g *gate) silent() (out []string) {
	for _, r := range g.rows {
		if !g.spoke[r].After(g.since) {
			out = append(out, r)
		}
	}
	return out
}
