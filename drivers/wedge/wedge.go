// Package wedge reads barcode scanners that pretend to be keyboards: key events
// in, codes out.
//
// It is not a keyboard driver (drivers/input knows keys) and it does not know
// what a code means. The rule that keeps it small: what a scanner types is
// either one code of printable ASCII or one refusal with a reason; nothing is
// repaired and nothing vanishes.
package wedge

import (
	"time"

	"github.com/choba-os/choba/drivers/input"
)

// Longest is the longest code, in characters.
const Longest = 128

// How long a scanner must be quiet for its code to be over without Enter or
// Tab. A scanner whose last code ended with one of them will send one again, so
// a pause before it is a slow machine or a plug that was pulled, and what was
// typed is no code. Of a new scanner nothing is known; most send one.
const (
	gapBare   = 50 * time.Millisecond
	gapNew    = 700 * time.Millisecond
	gapEnding = 500 * time.Millisecond
)

// Why a code is of no use.
const (
	TooLong = "too long"
	Control = "control character"
	Foreign = "letter outside ASCII"
	Lost    = "keys were lost"
	Partial = "it broke off"
)

// Code is one thing that was scanned.
type Code struct {
	// Text is empty when Bad is set.
	Text string
	// Bad is one of the reasons above.
	Bad string
}

// Decoder follows one scanner. It keeps no time of its own.
type Decoder struct {
	typist *input.Typist
	text   []byte
	bad    string
	// typing: something was typed since the last code ended.
	typing bool
	last   time.Duration
	gap    time.Duration
}

// New returns a decoder for a scanner set to a keyboard layout.
func New(l input.Layout) (*Decoder, error) {
	t, err := input.NewTypist(l)
	if err != nil {
		return nil, err
	}
	return &Decoder{typist: t, text: make([]byte, 0, Longest), gap: gapNew}, nil
}

// Event takes one event of the scanner's node and adds to out the codes that it
// ended: usually none, one at the end of a code, two when a gap went unseen
// before it. Events' times are those of one clock.
func (d *Decoder) Event(out []Code, e input.Event) []Code {
	if e.Type == input.Syn && e.Code == input.SynDropped {
		return d.lost(out)
	}
	r, ok := d.typist.Key(e)
	if !ok {
		return d.steer(out, e)
	}
	if d.typing && e.At-d.last > d.gap {
		out = d.Idle(out)
	}
	d.last = e.At
	switch {
	case r == '\n' || r == '\t':
		if d.typing {
			d.gap = gapEnding
		}
		return d.end(out)
	case r < 0x20 || r == 0x7f:
		d.refuse(Control)
	case r > 0x7e:
		d.refuse(Foreign)
	case len(d.text) == Longest:
		d.refuse(TooLong)
	default:
		d.text = append(d.text, byte(r))
	}
	d.typing = true
	return out
}

// Gap is how long to wait for an event before calling Idle.
func (d *Decoder) Gap() time.Duration { return d.gap }

// Idle ends a code after whose last key nothing came for a gap.
func (d *Decoder) Idle(out []Code) []Code {
	switch {
	case !d.typing:
	case d.gap == gapEnding:
		d.refuse(Partial)
	default:
		d.gap = gapBare
	}
	return d.end(out)
}

// Typing tells whether a code has begun.
func (d *Decoder) Typing() bool { return d.typing }

// end gives out what was typed. A lone Enter is nothing at all.
func (d *Decoder) end(out []Code) []Code {
	if d.typing {
		c := Code{Text: string(d.text), Bad: d.bad}
		if c.Bad != "" {
			c.Text = ""
		}
		out = append(out, c)
	}
	d.text, d.bad, d.typing = d.text[:0], "", false
	return out
}

func (d *Decoder) refuse(why string) {
	if d.bad == "" {
		d.bad = why
	}
}

// lost: the kernel dropped events, so what is being typed cannot be trusted.
func (d *Decoder) lost(out []Code) []Code {
	d.refuse(Lost)
	d.typing = true
	return out
}

// Keys that steer a computer. A scanner that sends one of them between
// characters does more than type a code.
const (
	keyEsc    = 1
	keyF1     = 59
	keyF10    = 68
	keyF11    = 87
	keyF12    = 88
	keySysRq  = 99
	keyHome   = 102
	keyDelete = 111
	keyPower  = 116
	keyMetaL  = 125
	keyMenu   = 127
	keyCtrlL  = 29
	keyCtrlR  = 97
	keyAltL   = 56
	keyAltR   = 100
)

// steer takes an event that typed nothing.
func (d *Decoder) steer(out []Code, e input.Event) []Code {
	if e.Type != input.Key || e.Value != 1 {
		return out
	}
	switch c := e.Code; {
	case c == keyEsc, c >= keyF1 && c <= keyF10, c == keyF11, c == keyF12,
		c >= keySysRq && c <= keyDelete, c == keyPower, c >= keyMetaL && c <= keyMenu,
		c == keyCtrlL, c == keyCtrlR, c == keyAltL, c == keyAltR:
		if d.typing && e.At-d.last > d.gap {
			out = d.Idle(out)
		}
		d.last = e.At
		d.refuse(Control)
		d.typing = true
	}
	return out
}
