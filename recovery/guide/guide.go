// Package guide leads a person, or nobody, through recovery: which page is shown,
// what a touch on it means, and what happens when no touch comes.
//
// It draws nothing (recovery/face does) and does nothing (recovery/act does): it takes
// touches, the passing of time and reports, and answers with a page and with what is
// to be started. It is not told whether a screen or a keyboard is there: with nothing
// attached the countdown runs out and the register repairs itself.
//
// The rule that keeps it small: every page has a way back, and every page that waits
// for a person stops waiting in the end.
package guide

import (
	"errors"
	"slices"
	"time"

	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/face"
	"github.com/choba-os/choba/recovery/redeploy"
)

// How long is waited.
const (
	Countdown = 30 * time.Second // for a touch, before the register repairs itself
	Retry     = 60 * time.Second // before stick and network are looked at again
	Anew      = 5 * time.Minute  // before a machine that no release can help starts again
	Restart   = 10 * time.Second // to read that it worked
	Idle      = 10 * time.Minute // without a touch, before nobody is thought to be there
)

// Facts are what does not change while recovery runs.
type Facts struct {
	Troubles []explain.Trouble
	Asked    bool   // a person asked for recovery; nothing is wrong
	Register string // its name for people
	Nonce    func() string
}

// Effect is what is to be done now; the zero Effect is nothing.
type Effect struct {
	Start   *act.Request // begin this action
	Stop    bool         // end the action that is running
	Restart bool         // start the register again
}

// Guide is where the person is. One goroutine owns it.
type Guide struct {
	facts Facts
	at    place
	left  time.Duration // of a countdown
	idle  time.Duration // since the last touch

	running   *act.Request
	automatic bool // nobody asked for what is running
	progress  act.Progress
	report    act.Report

	typed string     // in a field
	setup act.Setup  // being typed
	dots  []face.Dot // of the input test
	keys  string     // of the input test
	fill  int        // of the colour test
}

// place is the page that is shown.
type place uint8

const (
	stopped   place = iota // what failed, and a countdown
	menu                   // all actions
	sources                // where to redeploy from
	working                // progress
	reported               // how it ended
	waiting                // nothing in reach; tried again at the end of a countdown
	restart                // it worked; the register starts again at the end of a countdown
	netChoice              // DHCP or typed
	netAddress
	netGateway
	netDNS
	exportAsk
	rebindAsk // what a recovery code is, and where it comes from
	code      // typing it
	ticketAsk // what a ticket has to say
	resetAsk  // last question
	colours
	echo
)

// New begins: with the countdown, or with the menu when a person asked for recovery.
func New(f Facts) *Guide {
	g := &Guide{facts: f}
	g.gone()
	if f.Asked {
		g.at = menu
	}
	return g
}

// beyond says whether the machine itself is the trouble (no disk, no lock, no TPM): no
// release can help, and writing one at every start would wear the disk out.
func (f Facts) beyond() bool {
	for _, t := range f.Troubles {
		if t.Slot == "" {
			return true
		}
	}
	return len(f.Troubles) == 0
}

// keyShut says whether the trouble is that the data key does not open here: a recovery
// code is then what helps.
func (f Facts) keyShut() bool {
	return slices.ContainsFunc(f.Troubles, func(t explain.Trouble) bool { return errors.Is(t.Cause, explain.ErrNoKeys) })
}

// Automatic is what is done when nobody is there.
func Automatic() act.Request {
	return act.Request{Action: act.Redeploy, From: redeploy.Order()}
}

// again is what is tried while a person may still come with a stick or a cable.
func again() act.Request {
	return act.Request{Action: act.Redeploy, From: []redeploy.Kind{redeploy.Stick, redeploy.Network}, Again: true}
}

// Tick lets time pass.
func (g *Guide) Tick(d time.Duration) Effect {
	g.idle += d
	switch g.at {
	case stopped, waiting, restart:
		if g.left -= d; g.left > 0 {
			return Effect{}
		}
		return g.timeUp()
	case working:
		return Effect{}
	}
	if g.idle >= Idle {
		g.gone()
	}
	return Effect{}
}

func (g *Guide) timeUp() Effect {
	switch g.at {
	case restart:
		g.left = Restart // asked again, should it not have worked
		return Effect{Restart: true}
	case waiting:
		return g.start(again(), true)
	}
	if g.facts.Asked || g.facts.beyond() {
		g.left = Restart
		return Effect{Restart: true}
	}
	return g.start(Automatic(), true)
}

// gone is when nobody has touched anything for long: back to the first page.
func (g *Guide) gone() {
	g.at, g.left, g.typed = stopped, Countdown, ""
	if g.facts.beyond() && !g.facts.Asked {
		g.left = Anew
	}
}

func (g *Guide) start(r act.Request, automatic bool) Effect {
	g.at, g.running, g.automatic, g.progress, g.typed = working, &r, automatic, act.Progress{}, ""
	return Effect{Start: &r}
}

// Wake is a touch or a key on no button: it ends a countdown.
func (g *Guide) Wake() Effect {
	g.idle = 0
	switch g.at {
	case stopped, waiting:
		g.at = menu
	case colours:
		g.nextColour()
	}
	return Effect{}
}

// Busy says whether an action is under way.
func (g *Guide) Busy() bool { return g.at == working }

// Progress is told by the running action.
func (g *Guide) Progress(p act.Progress) { g.progress = p }

// Finished is told at the end of the running action.
func (g *Guide) Finished(r act.Report) Effect {
	g.report, g.running, g.idle = r, nil, 0
	switch {
	case r.OK && r.Restart:
		g.at, g.left = restart, Restart
	case r.Action == act.Redeploy && g.automatic:
		g.at, g.left = waiting, Retry
	default:
		g.at = reported
	}
	return Effect{}
}

// Sensed shows on the page of the input test what a finger or a key did.
func (g *Guide) Sensed(d *face.Dot, key string) {
	if g.at != echo {
		return
	}
	if d != nil {
		if g.dots = append(g.dots, *d); len(g.dots) > 40 {
			g.dots = g.dots[1:]
		}
	}
	if key != "" {
		r := []rune(g.keys + key)
		g.keys = string(r[max(len(r)-24, 0):])
	}
}

func (g *Guide) nextColour() {
	if g.fill++; g.fill >= len(testColours()) {
		g.fill, g.at = 0, reported
	}
}
