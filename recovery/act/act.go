// Package act is what recovery can do for a person, as typed actions: redeploy,
// self-test, network for this run, export for the vendor, re-binding the TPM, factory
// reset. There is no shell and no free text; what is not in the list cannot be done.
//
// It asks nobody and shows nothing: recovery/guide leads the person, this package
// does one Request and gives one Report. It never opens the data: what leaves the
// register is as encrypted as it lay on the disk.
//
// Before and after each action a record goes into image/history, which the next good
// boot copies into the journal: recovery leaves a trace even when it fails.
//
// The rule that keeps it small: an action is one function from a Request to a Report,
// and every piece of hardware it needs is a field of Machine that a test can fake.
package act

import (
	"context"
	"net/netip"

	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/redeploy"
)

// Action names what is done. The names are also the kinds of the records in history.
type Action string

// The actions. Stay is no action of a person: it records that recovery stayed.
const (
	Redeploy Action = "redeploy"
	SelfTest Action = "selftest"
	Network  Action = "network"
	Export   Action = "export"
	Rebind   Action = "rebind"
	Reset    Action = "reset"
	Stay     Action = "stay"
)

// Request is one thing to do.
type Request struct {
	Action Action
	From   []redeploy.Kind // Redeploy: the sources, in the order in which they are tried
	Anew   bool            // Redeploy: a person chose; what failed here before may be tried again
	Again  bool            // Redeploy: another look, with nobody there; it is recorded only when something comes of it
	Setup  Setup           // Network
	Code   string          // Rebind: the typed recovery code
	Letter bool            // Export: only the letter to the vendor and the records, no data
}

// Setup is how the network is reached in this run of recovery; the zero Setup asks DHCP.
type Setup struct {
	Address netip.Prefix
	Gateway netip.Addr
	DNS     netip.Addr
}

// Words is a text in both tongues.
type Words = explain.Words

// Progress is how far an action has come; Total 0 = nobody knows.
type Progress struct {
	What, How   Words
	Done, Total int64
}

// Level is how good a line of a report is.
type Level uint8

// The levels.
const (
	Good Level = iota
	Known
	Doubtful
	Bad
)

// Line is one row of a report.
type Line struct {
	Level  Level
	Words  Words
	Detail string // for a technician, in English
}

// Report is how an action ended.
type Report struct {
	Action  Action
	OK      bool
	Title   Words
	Lines   []Line
	Restart bool // the register should start again now
}

// Actor does actions, one at a time.
type Actor struct {
	m      Machine
	report func(Progress)
	setup  Setup // typed by a person, for this run only

	doing  Request
	begun  bool   // its beginning is recorded
	stayed string // the reason recorded last
}

// New returns an actor; report is told of progress by the goroutine that runs Do.
func New(m Machine, report func(Progress)) *Actor { return &Actor{m: m, report: report} }

// DoTelling is Do with the one who is told of progress.
func (a *Actor) DoTelling(ctx context.Context, r Request, progress func(Progress)) Report {
	a.report = progress
	return a.Do(ctx, r)
}

// Do does one action. It always returns a report; ctx ends it early.
func (a *Actor) Do(ctx context.Context, r Request) Report {
	a.begun, a.doing = false, r
	if !r.Again {
		a.begin()
	}
	out := a.do(ctx, r)
	out.Action = r.Action
	outcome := "done"
	if !out.OK {
		outcome = "failed"
	}
	if a.begun {
		a.record(r.Action, "phase", "end", "outcome", outcome, "what", describe(r), "detail", summary(out))
	} else {
		a.stay(summary(out))
	}
	return out
}

// begin records that an action begins, once.
func (a *Actor) begin() {
	if !a.begun {
		a.begun = true
		a.record(a.doing.Action, "phase", "begin", "what", describe(a.doing))
	}
}

// stay records that recovery goes on waiting, and why, when the reason is a new one:
// it looks every minute, and the history is a ring.
func (a *Actor) stay(reason string) {
	if reason != a.stayed {
		a.stayed = reason
		a.record(Stay, "reason", reason)
	}
}

func (a *Actor) do(ctx context.Context, r Request) Report {
	switch r.Action {
	case Redeploy:
		return a.redeploy(ctx, r)
	case SelfTest:
		return a.selfTest(ctx)
	case Network:
		return a.network(ctx, r)
	case Export:
		return a.export(ctx, r)
	case Rebind:
		return a.rebind(r)
	case Reset:
		return a.reset(ctx)
	}
	return failed(Say("できない操作です", "This cannot be done"), nil)
}

// Say makes Words, Japanese first as on the screen.
func Say(japanese, english string) Words { return Words{Japanese: japanese, English: english} }

// record appends to the history. That it could not is said on the console: an action
// that saves the shop is not refused because its trace cannot be kept.
func (a *Actor) record(kind Action, pairs ...string) {
	err := history.Append(a.m.Register.State, history.Entry{Kind: string(kind), Wall: a.m.Now(), Text: history.Text(pairs...)})
	if err != nil {
		a.m.Say("note: the history of recovery is not written: " + err.Error())
	}
}

func describe(r Request) string {
	switch r.Action {
	case Redeploy:
		text := "automatic"
		if r.Anew {
			text = "chosen"
		}
		for _, k := range r.From {
			text += " " + string(k)
		}
		return text
	case Network:
		if r.Setup.Address.IsValid() {
			return r.Setup.Address.String()
		}
		return "dhcp"
	}
	return string(r.Action)
}

// summary is the first bad line of a report, or its last one.
func summary(r Report) string {
	last := r.Title.English
	for _, l := range r.Lines {
		last = l.Words.English
		if l.Detail != "" {
			last += " (" + l.Detail + ")"
		}
		if l.Level == Bad {
			break
		}
	}
	return last
}

func failed(title Words, err error) Report {
	r := Report{Title: title}
	if err != nil {
		r.Lines = []Line{{Level: Bad, Words: explain.About(err), Detail: err.Error()}}
	}
	return r
}
