// Package api is what a screen may know of the register and ask of it: the View it draws and the Acts it sends.
//
// It is not the sale: nothing here computes. A View is complete in itself, so a screen that missed ten of them needs only the newest;
// an Act carries an identity, so that a touch sent twice happens once. The rule that keeps the package small: fields exist because a
// screen draws them, words for people come ready-made in Japanese and English, and amounts are whole yen.
package api

import "time"

// Phase is what the register is doing, and with it which Acts make sense.
type Phase string

const (
	PhaseStarting Phase = "starting" // the journal is being replayed, or the journal does not answer: nothing can be sold
	PhaseIdle     Phase = "idle"     // waiting for the first article
	PhaseSale     Phase = "sale"     // articles are being registered
	PhaseTender   Phase = "tender"   // payment is being taken; articles are refused until "back"
	PhaseDone     Phase = "done"     // paid: the change is shown; a scan or "next" goes on
	PhaseClosed   Phase = "closed"   // the day is closed (not reached yet: opening and closing a day comes later)
)

// View is everything a screen shows. Rev rises with every change while the register runs; it starts again at 1 when it restarts.
type View struct {
	Rev       uint64      `json:"rev"`
	Phase     Phase       `json:"phase"`
	Shop      string      `json:"shop"`
	Register  string      `json:"register"` // "02"
	Operator  Operator    `json:"operator"`
	Receipt   string      `json:"receipt"`            // number of the sale on the screen, or of the next one: "000482"
	Business  string      `json:"business,omitempty"` // calendar date in the shop's time zone: "2026-11-21"
	Lines     []Line      `json:"lines"`
	Count     int         `json:"count"` // pieces, not lines
	Total     int64       `json:"total"` // tax included
	Rates     []RateSum   `json:"rates"` // highest rate first
	Tenders   []Tender    `json:"tenders"`
	Quick     []int64     `json:"quick"` // amounts worth a key, rising, above Total; "exact" is not among them
	Paid      int64       `json:"paid"`
	Change    int64       `json:"change"`
	Print     PrintState  `json:"print"`
	Drawer    DrawerState `json:"drawer"`
	Message   *Message    `json:"message,omitempty"`
	Devices   []Device    `json:"devices"`
	Now       time.Time   `json:"now"` // in the shop's time zone; a new View comes at each full minute
	TaxInside bool        `json:"taxInside"`

	Software Software      `json:"software"`
	Update   *UpdateNotice `json:"update,omitempty"`   // something to say about updates; most of the time nothing
	Insecure *Pair         `json:"insecure,omitempty"` // which protection this boot lacks; always on show while it is there
}

// Pair is one thing said in both languages.
type Pair struct {
	Text   string `json:"text"`
	TextEn string `json:"textEn"`
}

// Software is the release that runs. Zero while it is not known.
type Software struct {
	Version  uint64 `json:"version"`
	Name     string `json:"name"`
	CanCheck bool   `json:"canCheck"` // OpUpdateCheck makes sense now
}

// The phases of an UpdateNotice.
const (
	UpdateLoading    = "loading"    // Percent counts
	UpdateReady      = "ready"      // a release waits for the restart
	UpdateRestarting = "restarting" // it comes now
	UpdateRefused    = "refused"    // a release is not taken; Text says why
	UpdateError      = "error"      // somebody should look after it
	UpdateFallback   = "fallback"   // the register is back on the release before
	UpdateNone       = "none"       // there is only a Warning
)

// UpdateNotice is what a person at the register should know about updates. It is for the idle screen: selling is never touched by it.
type UpdateNotice struct {
	Phase     string    `json:"phase"`
	Title     string    `json:"title"`
	TitleEn   string    `json:"titleEn"`
	Text      string    `json:"text"`
	TextEn    string    `json:"textEn"`
	Small     string    `json:"small,omitempty"` // the reason, for whoever wants to know
	SmallEn   string    `json:"smallEn,omitempty"`
	Warning   string    `json:"warning,omitempty"`
	WarningEn string    `json:"warningEn,omitempty"`
	Percent   int       `json:"percent"`
	At        time.Time `json:"at"` // of the planned restart, in the shop's time zone; zero: none is planned

	CanNow      bool `json:"canNow"`
	CanPostpone bool `json:"canPostpone"`
	CanAgain    bool `json:"canAgain"`
}

type Operator struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Role string `json:"role"`
}

type Line struct {
	ID       int    `json:"id"` // stays the same while the sale lasts; what Act.Line names
	Name     string `json:"name"`
	NameEn   string `json:"nameEn"`
	Code     string `json:"code"` // the JAN, or the shop's own number
	Unit     int64  `json:"unit"`
	Qty      int    `json:"qty"`
	Amount   int64  `json:"amount"`
	Reduced  bool   `json:"reduced"`            // print ※
	Discount int64  `json:"discount,omitempty"` // yen taken off, already inside Amount; always 0 for now
	Note     string `json:"note,omitempty"`
	Last     bool   `json:"last,omitempty"` // the line that was touched last
}

// RateSum is one tax rate's part of the sale. Base is what the goods cost at that rate (with tax inside when View.TaxInside).
type RateSum struct {
	Percent int   `json:"percent"`
	Reduced bool  `json:"reduced"`
	Base    int64 `json:"base"`
	Tax     int64 `json:"tax"`
}

// Tender is one way to pay. A key that is not Enabled is drawn grey: the shop has it, this register cannot take it yet.
type Tender struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	NameEn  string `json:"nameEn"`
	Kind    string `json:"kind"` // "cash", "credit", "emoney", "qr"
	Enabled bool   `json:"enabled"`
}

// PrintState says what is known about the receipt of the sale on the screen.
// State: "" not asked, "printing", "done", "not-done" (Act "print" tries again), "unknown" (paper may have come out: ask a person; Act
// "print" prints a copy marked 再発行, "next" leaves it).
type PrintState struct {
	State  string `json:"state"`
	Text   string `json:"text,omitempty"`
	TextEn string `json:"textEn,omitempty"`
}

// DrawerState: "" not asked, "opening", "opened", "failed", "unknown".
type DrawerState struct {
	State  string `json:"state"`
	Text   string `json:"text,omitempty"`
	TextEn string `json:"textEn,omitempty"`
}

// Message is a sentence for the person at the register. Kind: "info", "warning", "error", or "ask" (a decision is wanted).
// Code is for programs and tests: "unknown-code", "bad-code", "in-store-code", "in-tender", "limit", "journal", "short-cash", "printer",
// "drawer", "update", "reprint?", "interrupted", "tender-off", "not-now", "no-line", "scanner-gap".
type Message struct {
	Kind   string    `json:"kind"`
	Code   string    `json:"code"`
	Text   string    `json:"text"`
	TextEn string    `json:"textEn"`
	At     time.Time `json:"at"`
}

// Device is one piece of hardware the sale would use. Role: "scanner", "printer", "drawer", "journal". State: "ready", "absent", "error", "warning".
// Text says, unless all is well, what is missing and how to go on without it.
type Device struct {
	Role   string `json:"role"`
	State  string `json:"state"`
	Text   string `json:"text,omitempty"`
	TextEn string `json:"textEn,omitempty"`
}

// The operations of an Act.
const (
	OpCode     = "code"     // Code typed by hand: JAN or shop's number; Qty pieces (0 = 1)
	OpQuantity = "quantity" // Qty of Line (0 = the last line)
	OpRemove   = "remove"   // Line (0 = the last line)
	OpTender   = "tender"   // go to payment
	OpBack     = "back"     // from payment back to the goods; money entered so far is void
	OpCash     = "cash"     // Amount received (0 = exact); from the goods as well as from payment
	OpNext     = "next"     // leave the finished sale
	OpPrint    = "print"    // the receipt of the finished sale, again if need be; opens the drawer too if it never opened
	OpDrawer   = "drawer"   // only when the drawer did not open for the finished sale
	OpCancel   = "cancel"   // give up the whole open sale
	OpAck      = "ack"      // the message was read

	// About updates; refused while a sale is open.
	OpUpdateNow      = "update-now"      // restart into the release that waits
	OpUpdatePostpone = "update-postpone" // not during this shift
	OpUpdateAgain    = "update-again"    // try a release once more that failed here
	OpUpdateCheck    = "update-check"    // look for a newer one
)

// Act is one touch. ID is made by the screen, unique for each touch (1–64 of A–Z a–z 0–9 . _ -): an Act that arrives again with the same ID changes nothing
// and is answered with the View as it is. An Act that was refused leaves no trace and may be sent again.
type Act struct {
	ID     string `json:"id"`
	Op     string `json:"op"`
	Code   string `json:"code,omitempty"`
	Qty    int    `json:"qty,omitempty"`
	Line   int    `json:"line,omitempty"`
	Amount int64  `json:"amount,omitempty"`
	Lang   string `json:"lang,omitempty"` // "ja" or "en": the language of the screen, kept for the record only
}
