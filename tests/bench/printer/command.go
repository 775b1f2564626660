package printer

import "time"

// atOnce carries out a real-time command.
func (p *Printer) atOnce(c []byte) {
	f := p.faults
	switch {
	case c[1] == 0x04:
		p.tell(c[2])
	case c[1] == 0x05 && c[2] == 1: // go on where it stopped
		if !f[CutterJam] {
			p.jam = false
			p.sense()
		}
	case c[1] == 0x05 && c[2] == 2: // forget it and go on
		p.forget()
		p.jam = p.jam && f[CutterJam]
		p.sense()
	case c[1] == 0x14 && c[2] == 1:
		p.pulse(Kick{Now: true, Pin: pin(c[3]), On: time.Duration(c[4]) * 100 * time.Millisecond})
	case c[1] == 0x14 && c[2] == 8:
		p.forget()
		p.say(0x37, 0x25, 0x00)
	}
}

// tell answers DLE EOT n.
func (p *Printer) tell(n byte) {
	f := p.faults
	switch n {
	case 1:
		p.say(0x12 | on(p.drawer, 0x04) | on(p.stopped(), 0x08))
	case 2:
		p.say(0x12 | on(f[CoverOpen], 0x04) | on(f[PaperOut], 0x20) | on(p.jam, 0x40))
	case 3:
		p.say(0x12 | on(p.jam, 0x08))
	case 4:
		p.say(0x12 | on(f[NearEnd] || f[PaperOut], 0x0c) | on(f[PaperOut], 0x60))
	}
}

// forget empties the buffers.
func (p *Printer) forget() {
	p.queue, p.queued = nil, 0
	p.z = NewTokenizer()
	p.page.forget()
	p.gen++
}

func pin(m byte) int {
	if m&1 == 1 {
		return 5
	}
	return 2
}

func (p *Printer) pulse(k Kick) {
	k.At = time.Now()
	p.kicks = append(p.kicks, k)
	if k.Pin == 2 && !p.faults[DrawerStuck] {
		p.drawer = true
	}
	p.sense()
}

// maxLog bounds the token log.
const maxLog = 100000

// do carries out one token and returns the dots of paper that it used.
func (p *Printer) do(t Token) (feed int) {
	if len(p.log) < maxLog {
		p.log = append(p.log, t)
	}
	d := t.Data
	switch t.Name {
	case "GS a":
		p.asb = d[0]
		if p.asb != 0 {
			p.last = p.status()
			p.say(p.last[:]...)
		}
	case "ESC p":
		p.pulse(Kick{Pin: pin(d[0]), On: time.Duration(d[1]) * 2 * time.Millisecond})
	case "GS ( H":
		p.mark(d)
	case "GS I":
		p.identify(d[0])
	case "GS V":
		feed = p.page.feed(cutFeed)
		p.done = append(p.done, p.page.tear(len(p.done)+1))
	default:
		feed = p.page.do(t)
	}
	return feed
}

// cutFeed brings the last line past the knife.
const cutFeed = 40

// mark answers a process id.
func (p *Printer) mark(d []byte) {
	if p.faults[NoMarks] || len(d) != 8 || d[2] != 0x30 || d[3] != 0x30 {
		return
	}
	p.say(0x37, 0x22, d[4], d[5], d[6], d[7], 0x00)
}

// identify answers GS I.
func (p *Printer) identify(n byte) {
	switch n {
	case 0x42:
		p.say(append(append([]byte{0x5f}, p.opts.Maker...), 0)...)
	case 0x43:
		p.say(append(append([]byte{0x5f}, p.opts.Model...), 0)...)
	}
}

// State is what a person at the printer sees.
type State struct {
	Faults []Fault
	Drawer bool
	// Paper is the dots left on the roll, -1 for a roll without an end.
	Paper int
	// Buffer is the number of bytes that wait; Lost those that had no room.
	Buffer, Lost int
	Stopped      bool
}

// State tells what a person at the printer sees.
func (p *Printer) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := State{Drawer: p.drawer, Paper: p.paper, Buffer: p.queued + p.z.Held(), Lost: p.lost, Stopped: p.stopped()}
	for _, f := range Faults() {
		if p.faults[f] {
			s.Faults = append(s.Faults, f)
		}
	}
	return s
}

// Set makes or mends a fault. New paper (PaperOut mended) is a roll without an
// end.
func (p *Printer) Set(f Fault, broken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.faults[f] == broken {
		return
	}
	p.faults[f] = broken
	switch {
	case f == Off && broken:
		p.forget()
		p.asb, p.jam = 0, false
	case f == PaperOut && !broken:
		p.paper, p.faults[NearEnd] = -1, false
	}
	p.sense()
}

// SetPaper puts in a roll with so many dots left; -1 is one without an end.
func (p *Printer) SetPaper(dots int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paper = dots
	p.faults[NearEnd] = dots >= 0 && dots < nearEndDots
	p.faults[PaperOut] = dots == 0
	p.sense()
}

// MoveDrawer opens or shuts the drawer by hand (with a key, or by force).
func (p *Printer) MoveDrawer(open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drawer = open
	p.sense()
}

// Kicks are the pulses so far.
func (p *Printer) Kicks() []Kick {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Kick(nil), p.kicks...)
}

// Tokens are the commands carried out so far.
func (p *Printer) Tokens() []Token {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Token(nil), p.log...)
}

// Papers are the pieces that were cut off so far, oldest first.
func (p *Printer) Papers() []Paper {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Paper(nil), p.done...)
}

// Hanging is the paper that hangs out of the printer, not cut yet.
func (p *Printer) Hanging() Paper {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.page.paper()
}
