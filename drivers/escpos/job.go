package escpos

import (
	"context"
	"time"
)

// Outcome is what became of a job or a pulse.
type Outcome int

// The outcomes. The zero value promises nothing.
const (
	// Unknown: part of it may have happened.
	Unknown Outcome = iota
	// NotDone: nothing of it was sent, or the sensor says that it did not happen.
	NotDone
	// Done: the printer or the sensor said so.
	Done
)

const (
	// blockSize is how much is sent between two marks.
	blockSize = 1024
	// window is how much may be on its way: less than the smallest receive
	// buffer in use (4 KiB), so that no flow control is needed.
	window = 3500
)

// marks follows the marks of the job under way.
type marks struct {
	want [][4]byte
	got  int
	// skipped: a later mark came before an earlier one, so something between
	// them never reached the printer.
	skipped bool
	at      time.Time // of the last mark, block or change for the better
}

// marked takes in a mark. Call with mu held.
func (p *Printer) marked(id [4]byte, now time.Time) {
	if p.pulse.pending && id == p.pulse.mark {
		p.pulse.pending, p.pulse.doneAt = false, now
		p.wake()
		return
	}
	m := &p.marks
	for i := m.got; i < len(m.want); i++ {
		if m.want[i] == id {
			m.skipped = m.skipped || i > m.got
			m.got, m.at = i+1, now
			p.wake()
			return
		}
	}
	p.set(func(s *State) { s.Strange++ })
}

// mark makes a new id. Call with mu held.
func (p *Printer) mark() [4]byte {
	const base = 0x7e - 0x20 + 1
	n := p.next
	p.next++
	var id [4]byte
	for i := range id {
		id[i] = byte(0x20 + n%base)
		n /= base
	}
	return id
}

// Print prints lines and cuts. It waits for its turn, for a printer that needs
// paper or is open, and for the printer's word that all of it is on the paper.
// It ends early when the line ends, when the printer falls silent, or with ctx.
// reason says why the outcome is not Done.
func (p *Printer) Print(ctx context.Context, lines []Line, cut bool) (out Outcome, reason string) {
	if err := Check(lines); err != nil {
		return NotDone, err.Error()
	}
	select {
	case p.job <- struct{}{}:
		defer func() { <-p.job }()
	case <-ctx.Done():
		return NotDone, "given up before its turn came"
	}
	if reason := p.begin(ctx); reason != "" {
		return NotDone, reason
	}
	defer p.end()
	return p.send(ctx, p.blocks(lines, cut))
}

// blocks encodes a job in pieces of whole lines.
func (p *Printer) blocks(lines []Line, cut bool) [][]byte {
	var blocks [][]byte
	b := p.opts.Paper.Start()
	for _, l := range lines {
		next := p.opts.Paper.Line(l)
		if len(b)+len(next) > blockSize {
			blocks = append(blocks, b)
			b = nil
		}
		b = append(b, next...)
	}
	if cut {
		b = append(b, p.opts.Paper.Cut()...)
	}
	return append(blocks, b)
}

// begin waits until the printer can print.
func (p *Printer) begin(ctx context.Context) (reason string) {
	p.mu.Lock()
	p.marks = marks{}
	p.mu.Unlock()
	start := time.Now()
	reason = p.wait(ctx, func() (bool, string) {
		blocked := p.state.Status.Blocked()
		p.set(func(s *State) { s.Waiting = !s.Known || s.Silent || blocked })
		switch {
		case p.gone:
			return true, "the printer was unplugged before anything was sent"
		case !p.state.Waiting && p.inStep:
			p.set(func(s *State) { s.Printing = true })
			return true, ""
		case p.state.Known && !p.state.Silent && blocked:
			start = time.Now()
		}
		return time.Since(start) >= confirmIn, "the printer does not answer"
	})
	if reason != "" {
		p.end()
	}
	return reason
}

func (p *Printer) end() {
	p.mu.Lock()
	p.marks = marks{}
	p.set(func(s *State) { s.Printing, s.Waiting = false, false })
	p.mu.Unlock()
}

// wait calls done, with mu held, at every change and ten times a second, until
// it returns true; the reason comes with it. It also ends with ctx.
func (p *Printer) wait(ctx context.Context, done func() (bool, string)) (reason string) {
	tick := time.NewTicker(pollFast)
	defer tick.Stop()
	for {
		p.mu.Lock()
		end, reason := done()
		changed := p.changed
		p.mu.Unlock()
		if end {
			return reason
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return "given up"
		}
	}
}

// send sends the blocks, each with a mark behind it, never more than the
// window ahead of the printer.
func (p *Printer) send(ctx context.Context, blocks [][]byte) (Outcome, string) {
	var sizes []int
	for i, b := range blocks {
		if reason := p.room(ctx, sizes, len(b)); reason != "" {
			return Unknown, reason
		}
		if err := p.turn(ctx); err != nil {
			if i == 0 {
				return NotDone, "given up before anything was sent"
			}
			return Unknown, "given up"
		}
		p.mu.Lock()
		id := p.mark()
		p.marks.want = append(p.marks.want, id)
		p.marks.at = time.Now()
		p.mu.Unlock()
		err := p.write(append(b, cmdMark(id)...))
		p.yield()
		if err != nil {
			return Unknown, "the printer was unplugged while it printed"
		}
		sizes = append(sizes, len(b))
	}
	if reason := p.room(ctx, sizes, window+1); reason != "" {
		return Unknown, reason
	}
	return Done, ""
}

// room waits until the next block fits into the window, or, when it is larger
// than that, until the printer has everything.
func (p *Printer) room(ctx context.Context, sizes []int, next int) (reason string) {
	var retried time.Time
	return p.wait(ctx, func() (bool, string) {
		ahead := 0
		for _, n := range sizes[p.marks.got:] {
			ahead += n
		}
		switch {
		case p.marks.skipped:
			return true, "the printer lost a part of it"
		case ahead == 0 || ahead+next <= window:
			return true, ""
		case p.gone:
			return true, "the printer was unplugged while it printed"
		}
		return p.stuck(&retried)
	})
}

// stuck tells whether there is no more hope for an answer. Call with mu held.
func (p *Printer) stuck(retried *time.Time) (bool, string) {
	now := time.Now()
	blocked := p.state.Status.Blocked()
	p.set(func(s *State) { s.Waiting = blocked || s.Silent })
	if p.state.Silent && now.Sub(p.heard) >= confirmIn {
		return true, "the printer does not answer any more"
	}
	if !blocked {
		return now.Sub(p.marks.at) >= confirmIn && !p.state.Silent, "the printer did not say that it is printed"
	}
	p.marks.at = now
	if p.state.Status.Cutter && !p.state.Status.Cover && now.Sub(*retried) >= recoverIn {
		*retried = now
		p.recover()
	}
	return false, ""
}

// recover asks a printer in error to go on where it stopped.
func (p *Printer) recover() {
	select {
	case p.line <- struct{}{}:
		go func() {
			defer p.yield()
			_ = p.write(cmdRecover)
		}()
	default:
	}
}
