package escpos

import (
	"context"
	"time"
)

// pulse follows the last pulse.
type pulse struct {
	mark    [4]byte
	pending bool      // sent, and the printer has not said that it did it
	doneAt  time.Time // when it did it
	watched bool      // somebody waits for the drawer
}

// own tells whether a drawer that opens now opens by our pulse.
func (u pulse) own(now time.Time) bool {
	return u.pending || !u.doneAt.IsZero() && now.Sub(u.doneAt) < pulseIn
}

// Pulse opens the drawer and waits for the sensor. A printer that cannot print
// (paper, cover, half a picture in its buffer) gets the pulse as a real-time
// command: an ordinary one would lie in its buffer and open the drawer when
// nobody expects it, or never.
func (p *Printer) Pulse(ctx context.Context) (out Outcome, reason string) {
	p.mu.Lock()
	ready := p.state.Known && !p.state.Silent && !p.gone
	p.mu.Unlock()
	if !ready {
		return NotDone, "the printer does not answer"
	}
	turn, cancel := context.WithTimeout(ctx, turnIn)
	defer cancel()
	if err := p.turn(turn); err != nil {
		return NotDone, "the line to the printer is busy"
	}
	err := p.write(p.kick())
	p.yield()
	defer p.unwatch()
	if err != nil {
		return Unknown, "the printer was unplugged at the pulse"
	}
	return p.opened(ctx)
}

// kick chooses the command and begins to watch.
func (p *Printer) kick() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pulse = pulse{mark: p.mark(), pending: true, watched: true}
	if p.state.Status.Blocked() || !p.inStep {
		p.pulse.pending, p.pulse.doneAt = false, time.Now()
		return cmdPulseNow
	}
	return append(append([]byte(nil), cmdPulse...), cmdMark(p.pulse.mark)...)
}

func (p *Printer) unwatch() {
	p.mu.Lock()
	p.pulse.watched = false
	p.mu.Unlock()
}

// opened waits for the sensor.
func (p *Printer) opened(ctx context.Context) (out Outcome, reason string) {
	start := time.Now()
	reason = p.wait(ctx, func() (bool, string) {
		switch {
		case p.state.DrawerOpen:
			out = Done
			return true, ""
		case p.gone:
			return true, "the printer was unplugged at the pulse"
		case p.pulse.pending:
			return time.Since(start) >= pulseIn, "the printer did not say that it gave the pulse"
		case time.Since(p.pulse.doneAt) >= sensorIn:
			out = NotDone
			return true, "the drawer did not open"
		}
		return false, ""
	})
	return out, reason
}
