package supervise

import (
	"fmt"
	"strings"
	"time"

	"github.com/choba-os/choba/services/table"
)

// health is what the life lines have said. It belongs to Run's goroutine.
type health struct {
	needed []string
	ready  map[string]bool      // since its present start
	last   map[string]time.Time // last word, of any start
	late   map[string]bool      // reported as late
	begun  time.Time
	sold   bool // all needed were ready once
}

func newHealth(rows []table.Row) health {
	h := health{ready: map[string]bool{}, last: map[string]time.Time{}, late: map[string]bool{}}
	for _, r := range rows {
		if r.Health {
			h.needed = append(h.needed, r.Name)
		}
	}
	return h
}

func (h *health) begin(at time.Time) { h.begun = at }

func (h *health) heard(name string, ready bool, at time.Time) {
	if ready {
		h.ready[name] = true
	}
	h.last[name] = at
	delete(h.late, name)
	if h.allReady() {
		h.sold = true
	}
}

func (h *health) gone(name string) { delete(h.ready, name) }

func (h *health) allReady() bool {
	for _, n := range h.needed {
		if !h.ready[n] {
			return false
		}
	}
	return true
}

// well says whether the watchdog may be fed. While the services are starting: as long as StartTime is not over.
// Afterwards: while every needed service has spoken within Fresh, whichever start of it that was: a service that is
// started anew in time is forgiven, one that hangs is not.
//
// A service that says ready and crashes, again and again, on a register that has been ready to sell in this boot keeps
// the watchdog fed, on purpose: a release that was kept is not left in the middle of a shop's day, and a reboot would
// hardly help it. On trial the gate refuses the release; before the register was ready, StartTime ends it.
func (h *health) well(now time.Time) bool {
	if !h.sold {
		return now.Sub(h.begun) < StartTime
	}
	for _, n := range h.needed {
		if now.Sub(h.last[n]) > Fresh {
			return false
		}
	}
	return true
}

// tooLate says which needed services kept the register from being ready within StartTime, or nothing.
func (h *health) tooLate(now time.Time) string {
	if h.sold || now.Sub(h.begun) < StartTime {
		return ""
	}
	var missing []string
	for _, n := range h.needed {
		if !h.ready[n] {
			missing = append(missing, n)
		}
	}
	return fmt.Sprintf("not ready to sell within %v: %s", StartTime, strings.Join(missing, ", "))
}

// lapsed gives the needed services that have become late since it was last asked.
func (h *health) lapsed(now time.Time) []string {
	if !h.sold {
		return nil
	}
	var out []string
	for _, n := range h.needed {
		if now.Sub(h.last[n]) > Fresh && !h.late[n] {
			h.late[n] = true
			out = append(out, n)
		}
	}
	return out
}
