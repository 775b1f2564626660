package escpos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/choba-os/choba/drivers/port"
)

// Times of the conversation. They are the printer's patience, not the shop's.
const (
	pollEvery  = time.Second            // when nothing happens
	pollFast   = 100 * time.Millisecond // while the drawer is watched
	silentIn   = 3 * time.Second        // without any answer
	confirmIn  = 10 * time.Second       // a mark, from a printer that is well
	sensorIn   = 500 * time.Millisecond // drawer open after the pulse
	pulseIn    = 3 * time.Second        // pulse carried out
	turnIn     = 2 * time.Second        // for the line, while a job is on it
	distrustIn = 2 * time.Second        // after an answer that came too late
	recoverIn  = 3 * time.Second        // between attempts to go on after an error
)

// State is what is known of the printer.
type State struct {
	// Known: it has answered since the line was opened. All else is zero before.
	Known bool
	// Silent: it no longer answers.
	Silent bool
	Status Status
	// DrawerOpen is the sensor's word, by Options.OpenIsLow.
	DrawerOpen bool
	// Printing: a job has begun to be sent. Waiting: a job waits for a person.
	Printing, Waiting    bool
	Maker, Model         string
	Junk, Strange, Stale int // bytes that fit nothing; marks nobody waits for; answers that came too late
}

// Drawer is a movement of the drawer.
type Drawer struct {
	Open bool
	// Own: a pulse of ours is the reason.
	Own bool
	// First: it was found like that when the line was opened.
	First bool
}

// Options are what differs from site to site.
type Options struct {
	Paper Paper
	// OpenIsLow turns the drawer's sensor round.
	OpenIsLow bool
	// FirstMark is where the printer's process ids start. A service that
	// restarts starts somewhere else, or the marks of its last life, which may
	// still lie in the printer's buffer, are taken for new ones.
	FirstMark uint32
	// Changed and Moved are told of every change, in order. They must neither
	// wait nor call the printer.
	Changed func(State)
	Moved   func(Drawer)
}

// Printer is one printer behind one line. Run must be running for the other
// methods to get anywhere.
type Printer struct {
	pipe port.Pipe
	opts Options
	job  chan struct{} // the turn to print
	line chan struct{} // the turn to write

	mu      sync.Mutex // guards all below
	state   State
	changed chan struct{} // closed and replaced at every change
	gone    bool
	heard   time.Time // last answer of any kind
	asked   question  // the question that waits for its answer, 0 for none
	askedAt time.Time
	trust   time.Time // answers before this moment belong to nobody
	seenPin bool
	round   question // the last one asked of a printer that is not well
	ident   int      // answers to GS I so far
	inStep  bool     // it has answered a command of ours in its order
	helloAt time.Time
	next    uint32
	marks   marks
	pulse   pulse
}

// New returns a printer on an open line, which it will close.
func New(pipe port.Pipe, opts Options) *Printer {
	return &Printer{
		pipe: pipe, opts: opts, changed: make(chan struct{}), next: opts.FirstMark,
		job: make(chan struct{}, 1), line: make(chan struct{}, 1),
	}
}

// ErrGone is returned by Run when the line has ended.
var ErrGone = errors.New("the printer is gone")

// Run talks to the printer until the line or ctx ends, and closes the line.
func (p *Printer) Run(ctx context.Context) error {
	defer p.leave()
	in := make(chan []byte)
	failed := make(chan error, 1)
	done := make(chan struct{})
	defer close(done)
	go func() { failed <- p.read(in, done) }()
	p.mu.Lock()
	p.heard = time.Now()
	p.mu.Unlock()
	p.hello(ctx, nil)
	var parser Parser
	tick := time.NewTicker(pollFast)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return fmt.Errorf("reading from the printer: %w: %w", ErrGone, err)
		case b := <-in:
			if p.take(&parser, b) {
				p.hello(ctx, nil)
			}
		case now := <-tick.C:
			if p.outOfStep(now) {
				p.hello(ctx, make([]byte, flushSize))
			}
			if now.Sub(last) >= p.interval() {
				last = now
				p.poll(now)
			}
		}
	}
}

func (p *Printer) leave() {
	_ = p.pipe.Close()
	p.mu.Lock()
	p.gone = true
	p.wake()
	p.mu.Unlock()
}

func (p *Printer) read(in chan<- []byte, done <-chan struct{}) error {
	for {
		b := make([]byte, 512)
		n, err := p.pipe.Read(b)
		if n > 0 {
			select {
			case in <- b[:n]:
			case <-done:
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

// hello asks for everything that is only said when asked for or switched on.
func (p *Printer) hello(ctx context.Context, before []byte) {
	b := append([]byte(nil), before...)
	b = append(b, 0x1d, 0x61, 0xff)
	b = append(b, cmdMaker...)
	b = append(b, cmdModel...)
	p.mu.Lock()
	p.ident, p.inStep, p.helloAt = 0, false, time.Now()
	p.mu.Unlock()
	go func() {
		if p.turn(ctx) == nil {
			_ = p.write(b)
			p.yield()
		}
	}()
}

// flushSize is more than the largest picture that is ever sent.
const flushSize = 4200

// outOfStep tells whether the printer answers real-time commands and nothing
// else: it waits for the rest of a picture that was cut off by an unplug, and
// would take the next job's beginning for it. Zeros fill the picture; a printer
// that waits for nothing ignores them.
func (p *Printer) outOfStep(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.state
	return !p.inStep && s.Known && !s.Silent && !s.Status.Blocked() && !s.Printing && now.Sub(p.helloAt) >= pollEvery
}

// turn takes the line. It is held for whole commands only.
func (p *Printer) turn(ctx context.Context) error {
	select {
	case p.line <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the line: %w", ctx.Err())
	}
}

func (p *Printer) yield() { <-p.line }

func (p *Printer) write(b []byte) error {
	if _, err := p.pipe.Write(b); err != nil {
		return fmt.Errorf("writing to the printer: %w", err)
	}
	return nil
}

// wake tells everybody who waits that something changed. Call with mu held.
func (p *Printer) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// set changes the state and tells about it. Call with mu held.
func (p *Printer) set(change func(*State)) {
	before := p.state
	change(&p.state)
	if p.state == before {
		return
	}
	p.wake()
	if p.opts.Changed != nil {
		p.opts.Changed(p.state)
	}
}

// State is what is known now.
func (p *Printer) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// take reads answers. It returns true when the printer has come back from
// silence: it may have been switched off, and then has forgotten its settings.
func (p *Printer) take(parser *Parser, b []byte) (back bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	parser.Feed(b, func(r Reply) {
		if r.Kind == Junk {
			p.set(func(s *State) { s.Junk++ })
			return
		}
		p.heard = now
		back = back || p.state.Silent
		p.reply(r, now)
	})
	return back
}

// reply takes in one answer. Call with mu held.
func (p *Printer) reply(r Reply, now time.Time) {
	switch r.Kind {
	case Auto:
		p.sensed(r.Status)
	case Asked:
		q := p.asked
		p.asked = 0
		if q == 0 || now.Before(p.trust) {
			p.set(func(s *State) { s.Stale++; s.Silent = false })
			return
		}
		p.sensed(p.state.Status.with(q, r.Byte))
	case Mark:
		p.set(func(s *State) { s.Silent = false })
		p.marked(r.ID, now)
	case Text:
		p.ident++
		p.inStep = true
		p.set(func(s *State) {
			s.Silent = false
			switch p.ident {
			case 1:
				s.Maker = r.Text
			case 2:
				s.Model = r.Text
			}
		})
	}
}

// sensed takes in the sensors. Call with mu held.
func (p *Printer) sensed(now Status) {
	open := now.PinHigh != p.opts.OpenIsLow
	moved := !p.seenPin && open || p.seenPin && open != p.state.DrawerOpen
	first := !p.seenPin
	p.seenPin = true
	p.set(func(s *State) {
		s.Known, s.Silent, s.Status, s.DrawerOpen = true, false, now, open
	})
	if moved && p.opts.Moved != nil {
		p.opts.Moved(Drawer{Open: open, Own: open && p.pulse.own(time.Now()), First: first})
	}
}

func (p *Printer) interval() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pulse.watched || !p.state.Known {
		return pollFast
	}
	return pollEvery
}

// poll asks one question, unless the line is busy: then there will be answers
// enough.
func (p *Printer) poll(now time.Time) {
	q, ask := p.question(now)
	if !ask {
		return
	}
	select {
	case p.line <- struct{}{}:
	default:
		return
	}
	p.mu.Lock()
	p.asked, p.askedAt = q, now
	p.mu.Unlock()
	go func() {
		defer p.yield()
		_ = p.write([]byte{0x10, 0x04, byte(q)})
	}()
}

// question chooses what to ask next. An answer that is late must not be taken
// for the answer to another question, so after one nothing is asked for a while.
func (p *Printer) question(now time.Time) (question, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.heard) >= silentIn {
		p.set(func(s *State) { s.Silent = true })
	}
	if p.asked != 0 {
		if now.Sub(p.askedAt) < pollEvery/2 {
			return 0, false
		}
		p.asked, p.trust = 0, now.Add(distrustIn)
	}
	if now.Before(p.trust) && p.state.Known && !p.state.Silent {
		return 0, false
	}
	if p.state.Silent || !p.state.Known || p.state.Status.well() {
		return askPrinter, true
	}
	p.round = p.round%askPaper + 1
	return p.round, true
}
