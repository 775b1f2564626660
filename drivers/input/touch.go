package input

import "time"

const (
	absX        = 0x00
	absY        = 0x01
	absSlot     = 0x2f
	absMTX      = 0x35
	absMTY      = 0x36
	absTracking = 0x39
	btnLeft     = 0x110
	btnTouch    = 0x14a
)

// Phase is a part of a touch's life.
type Phase uint8

// A touch goes down, may move, and goes up; or is cancelled when the kernel lost events or the device left.
const (
	NoTouch Phase = iota
	Down
	Move
	Up
	Cancel
)

// Touch is one step of the one finger (or pen, or mouse button) that counts. X and Y run from 0 to 1 over the panel.
type Touch struct {
	Phase Phase
	X, Y  float64
	At    time.Duration
}

// Pad follows the touches of one device. A register's screen takes one finger at a time: the first one down counts; another that is
// still down when it is lifted counts then, so that fast typing with two fingers loses nothing. State after lost events is forgotten,
// never guessed, so that no ghost touch can come of it.
type Pad struct {
	info Info
	// slots holds the contact of each slot; a device without slots has slot 0
	slot     int32
	slots    map[int32]contact
	active   int32 // slot that counts, -1 none
	reported contact
	dropped  bool
}

type contact struct {
	down bool
	x, y int32
}

// NewPad follows the device described by info.
func NewPad(info Info) *Pad {
	return &Pad{info: info, slots: map[int32]contact{}, active: -1}
}

// Feed takes one event; ok is true when it completed a step.
func (p *Pad) Feed(e Event) (t Touch, ok bool) {
	if e.Type == Syn {
		return p.sync(e)
	}
	if p.dropped {
		return Touch{}, false
	}
	if p.info.Multi {
		p.multi(e)
	} else {
		p.single(e)
	}
	return Touch{}, false
}

func (p *Pad) single(e Event) {
	c := p.slots[0]
	switch {
	case e.Type == Abs && e.Code == absX:
		c.x = e.Value
	case e.Type == Abs && e.Code == absY:
		c.y = e.Value
	case e.Type == Key && (e.Code == btnTouch || e.Code == btnLeft):
		c.down = e.Value != 0
	}
	p.slots[0] = c
}

func (p *Pad) multi(e Event) {
	if e.Type != Abs {
		return
	}
	if e.Code == absSlot {
		p.slot = e.Value
		return
	}
	c := p.slots[p.slot]
	switch e.Code {
	case absTracking:
		c.down = e.Value >= 0
	case absMTX:
		c.x = e.Value
	case absMTY:
		c.y = e.Value
	}
	// A hostile device may name any slot: what is up is not kept, beyond the few that real panels have.
	if !c.down && p.slot != p.active && p.slot > 31 {
		delete(p.slots, p.slot)
		return
	}
	if _, known := p.slots[p.slot]; known || len(p.slots) < 64 {
		p.slots[p.slot] = c
	}
}

func (p *Pad) sync(e Event) (Touch, bool) {
	switch {
	case e.Code == SynDropped:
		p.dropped = true
		was := p.active >= 0
		p.active = -1
		for s, c := range p.slots {
			c.down = false
			p.slots[s] = c
		}
		if was {
			return p.touch(Cancel, p.reported, e.At), true
		}
		return Touch{}, false
	case e.Code != SynReport:
		return Touch{}, false
	case p.dropped:
		p.dropped = false
		return Touch{}, false
	}
	return p.step(e.At)
}

func (p *Pad) step(at time.Duration) (Touch, bool) {
	if p.active < 0 {
		first := int32(-1)
		for s, c := range p.slots {
			if c.down && (first < 0 || s < first) {
				first = s
			}
		}
		if first < 0 {
			return Touch{}, false
		}
		p.active, p.reported = first, p.slots[first]
		return p.touch(Down, p.reported, at), true
	}
	c := p.slots[p.active]
	switch {
	case !c.down:
		p.active = -1
		return p.touch(Up, c, at), true
	case c != p.reported:
		p.reported = c
		return p.touch(Move, c, at), true
	}
	return Touch{}, false
}

func (p *Pad) touch(ph Phase, c contact, at time.Duration) Touch {
	return Touch{Phase: ph, X: part(c.x, p.info.X), Y: part(c.y, p.info.Y), At: at}
}

// part maps v to 0…1; a device that says nonsense about its range still gives a number inside.
func part(v int32, r Range) float64 {
	if r.Max <= r.Min {
		return 0
	}
	f := (float64(v) - float64(r.Min)) / (float64(r.Max) - float64(r.Min))
	return min(max(f, 0), 1)
}
