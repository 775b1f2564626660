// Package state is what a register's screen remembers by itself, and what a touch means: pure functions from the register's View, the
// screen's own state and a touch to the next state and, maybe, an Act to ask for.
//
// It is not the sale (the register has that; a screen that crashes loses nothing but a half-typed number) and draws nothing (package
// view). Rule that keeps it small: nothing that a person has to find again after a power cut may live here.
package state

import (
	"time"

	"github.com/choba-os/choba/services/register/api"
)

// Lang is the language that comes first on the screen.
type Lang string

// The languages. The zero value means Japanese.
const (
	Japanese Lang = "ja"
	English  Lang = "en"
)

// Panel is a dialog of the screen's own.
type Panel string

// The panels.
const (
	NoPanel      Panel = ""
	CancelPanel  Panel = "cancel"  // give up the whole sale?
	DevicesPanel Panel = "devices" // what is connected, what is missing
	UpdatePanel  Panel = "update"  // restart now?
)

// UI is the screen's own state. The zero value is a screen just switched on.
type UI struct {
	Lang    Lang
	Entry   string // digits typed and not used yet
	Line    int    // ID of the line that was touched; 0: the last one
	Top     int    // index of the first line shown while Pinned
	Pinned  bool   // the list stays where a finger left it, and does not follow the last line
	Panel   Panel
	Notice  Notice
	Pressed string // what is under the finger
	Away    bool   // the register does not answer
	Seen    time.Time

	ReadUpdate, ReadWarning string // the notice on updates, and the warning, that a person has confirmed
}

// Notice is a sentence of the screen's own, for something that the register need not know. The zero value is none.
type Notice struct{ Ja, En string }

// English tells whether English comes first.
func (u UI) English() bool { return u.Lang == English }

// Limits of what can be typed.
const (
	MaxCode   = 20 // digits of an article number
	MaxAmount = 8  // digits of an amount: ¥99,999,999
	MaxQty    = 999
)

// Selected gives the line that the line keys work on: the touched one, else the last touched by the register, else none.
func (u UI) Selected(v api.View) (api.Line, bool) {
	for _, l := range v.Lines {
		if u.Line != 0 && l.ID == u.Line {
			return l, true
		}
	}
	for _, l := range v.Lines {
		if l.Last {
			return l, true
		}
	}
	if n := len(v.Lines); n > 0 {
		return v.Lines[n-1], true
	}
	return api.Line{}, false
}

// Window gives the first and one past the last line to show when rows have room.
func (u UI) Window(v api.View, rows int) (first, end int) {
	n := len(v.Lines)
	last := max(n-rows, 0)
	switch {
	case u.Pinned:
		first = min(max(u.Top, 0), last)
	default:
		first = last
		if l, ok := u.Selected(v); ok { // keep the selected line in sight
			for i := range v.Lines {
				if v.Lines[i].ID == l.ID {
					first = min(first, i)
				}
			}
		}
	}
	return first, min(first+rows, n)
}

// Follow takes the register's next View: what no longer fits is forgotten.
func (u UI) Follow(prev, next api.View) UI {
	u.Away = false
	if next.Receipt != prev.Receipt || len(next.Lines) != len(prev.Lines) || lastID(next) != lastID(prev) {
		u.Line, u.Pinned, u.Top = 0, false, 0
		u.Notice = Notice{}
	}
	if u.Panel == UpdatePanel && (next.Update == nil || !next.Update.CanNow) {
		u.Panel = NoPanel
	}
	if next.Phase != prev.Phase {
		u.Notice = Notice{}
		if u.Panel == CancelPanel || u.Panel == UpdatePanel {
			u.Panel = NoPanel
		}
		if !keepsEntry(prev.Phase, next.Phase, len(u.Entry)) {
			u.Entry = ""
		}
	}
	return u
}

// keepsEntry: what was typed before "cash" is the amount received, and what was typed before the first article may be its quantity; any
// other change of phase makes it void.
func keepsEntry(prev, next api.Phase, digits int) bool {
	switch next {
	case api.PhaseTender:
		return digits <= MaxAmount
	case api.PhaseSale:
		return prev == api.PhaseIdle
	}
	return false
}

func lastID(v api.View) int {
	for _, l := range v.Lines {
		if l.Last {
			return l.ID
		}
	}
	return 0
}

// Message is the register's message unless it is one that needs no answer and was seen long enough.
func (u UI) Message(v api.View) *api.Message {
	if v.Message == nil || v.Message.Kind == "info" && !v.Message.At.After(u.Seen) {
		return nil
	}
	return v.Message
}

// Update is what there is to say about updates on this screen: only while nothing is being sold, and nothing that was confirmed. A warning comes
// as a notice of the phase UpdateNone.
func (u UI) Update(v api.View) (api.UpdateNotice, bool) {
	if v.Phase != api.PhaseIdle || v.Update == nil {
		return api.UpdateNotice{}, false
	}
	n := *v.Update
	if n.Phase != api.UpdateNone && (!confirmable(n) || n.Text != u.ReadUpdate) {
		return n, true
	}
	if n.Warning == "" || n.Warning == u.ReadWarning {
		return api.UpdateNotice{}, false
	}
	return api.UpdateNotice{Phase: api.UpdateNone, Text: n.Warning, TextEn: n.WarningEn}, true
}

// confirmable notices go when a person has read them; the others when they are not true any more.
func confirmable(n api.UpdateNotice) bool {
	return n.Phase == api.UpdateFallback || n.Phase == api.UpdateRefused || n.Phase == api.UpdateError
}

// confirm remembers that the notice on show was read.
func (u UI) confirm(v api.View) UI {
	switch n, ok := u.Update(v); {
	case !ok:
	case n.Phase == api.UpdateNone:
		u.ReadWarning = n.Text
	default:
		u.ReadUpdate = n.Text
	}
	return u
}

// ScrollTo makes top the first line in sight, as far as there are lines.
func (u UI) ScrollTo(v api.View, rows, top int) UI {
	u.Top, u.Pinned = min(max(top, 0), max(len(v.Lines)-rows, 0)), true
	return u
}
