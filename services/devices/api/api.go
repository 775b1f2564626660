// Package api is how the register uses its devices: the scanner's stream of
// codes, the printer's jobs and the drawer's commands.
//
// It is not a driver and knows no protocol of any device. The rule that keeps
// it small: what a device has done is one of three words (done, not done,
// unknown), and a caller is never told "done" on a guess.
package api

import (
	"time"

	journalapi "github.com/choba-os/choba/services/journal/api"
)

// Scan is one thing that the scanner sent.
type Scan struct {
	// Seq counts up by one from 1 for as long as the service runs.
	Seq uint64 `json:"seq"`
	// Code is what was read, printable ASCII, at most 128 characters. Empty
	// when Bad is set.
	Code string    `json:"code"`
	At   time.Time `json:"at"`
	// Bad says why the input is of no use ("too long", …). It is still a scan:
	// the cashier has to hear of it.
	Bad string `json:"bad,omitempty"`
	// Test is set, and Code and Bad are empty, in a scan that no device sent: the
	// register asked for it with SelfTest. It is never goods.
	Test string `json:"test,omitempty"`
}

// SelfTest is the body of POST /v1/selftest: 1 to 64 of A-Z a-z 0-9 . _ -
type SelfTest struct {
	ID string `json:"id"`
}

// Alignment of a line's text.
const (
	AlignLeft   = "left"
	AlignCenter = "center"
	AlignRight  = "right"
)

// Line is one line of paper.
type Line struct {
	// Text starts where Align says; Right ends at the right edge. When both do
	// not fit, Right goes on a line of its own: an amount is never cut.
	Text  string `json:"text,omitempty"`
	Right string `json:"right,omitempty"`
	Bold  bool   `json:"bold,omitempty"`
	// Wide doubles the width, Tall the height of each character.
	Wide bool `json:"wide,omitempty"`
	Tall bool `json:"tall,omitempty"`
	// Align is AlignLeft (also when empty), AlignCenter or AlignRight.
	Align string `json:"align,omitempty"`
	// Rule draws a line across the paper instead of text.
	Rule bool `json:"rule,omitempty"`
	// Feed adds that many dots of white below, 0 to 255.
	Feed int `json:"feed,omitempty"`
}

// Job is one piece of paper.
type Job struct {
	// ID makes the job idempotent: 1 to 64 of A-Z a-z 0-9 . _ -
	ID    string `json:"id"`
	Lines []Line `json:"lines"`
	Cut   bool   `json:"cut"`
}

// What became of a job or of a drawer command.
const (
	// Done: the printer said that it printed the job; the sensor saw the drawer open.
	Done = "done"
	// NotDone: nothing of it reached the device, or the device said no.
	NotDone = "not-done"
	// Unknown: part of it may have happened; ask a person.
	Unknown = "unknown"
)

// Result is what became of a job or a command.
type Result struct {
	ID    string `json:"id"`
	State string `json:"state"`
	// Reason is a sentence for the log; empty when done.
	Reason string `json:"reason,omitempty"`
}

// Command asks for the drawer. The proof's entry, of kind KindDrawerOpen,
// written by the register in this boot, is the command.
type Command struct {
	Proof journalapi.Proof `json:"proof"`
}

// KindDrawerOpen is the kind of the journal entry that opens the drawer.
const KindDrawerOpen = "drawer.open"

// DrawerOpen is the content of that entry.
type DrawerOpen struct {
	// Command is the id that can be used once: 1 to 64 of A-Z a-z 0-9 . _ -
	Command string `json:"command"`
	// Reason is a word from the register: "sale", "change", "day-open", …
	Reason string `json:"reason"`
	// Sale is the receipt that it belongs to, if any.
	Sale string `json:"sale,omitempty"`
}

// Connection of a device.
const (
	Absent = "absent"
	Ready  = "ready"
	Error  = "error"
)

// Paper of a printer.
const (
	PaperOK      = "ok"
	PaperNearEnd = "near-end"
	PaperOut     = "out"
)

// State is what is known of a device. The zero value of Connection is no
// state; a device that is not there is Absent.
type State struct {
	// Device names the unit; empty when absent.
	Device     string `json:"device"`
	Connection string `json:"connection"`
	// Paper is empty while it is not known and for devices without paper.
	Paper      string `json:"paper,omitempty"`
	CoverOpen  bool   `json:"coverOpen,omitempty"`
	DrawerOpen bool   `json:"drawerOpen,omitempty"`
	// Text is one of the Text constants, or empty when all is well.
	Text  string    `json:"text,omitempty"`
	Since time.Time `json:"since"`
}

// What State.Text can say; a screen has the sentence for each.
const (
	TextAbsent     = "absent"
	TextSilent     = "no-answer"
	TextCoverOpen  = "cover-open"
	TextPaperOut   = "paper-out"
	TextNearEnd    = "paper-near-end"
	TextCutter     = "cutter-jam"
	TextFault      = "fault"
	TextOffline    = "offline"
	TextPrinting   = "printing"
	TextWaiting    = "job-waiting"
	TextDrawerOpen = "drawer-open"
)
