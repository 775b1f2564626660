// Package api is what the register knows of the update service: what it shows of it, and the five things it may tell it.
//
// It is not the update service: it fetches, checks and decides nothing. The rule that keeps it small: one view, values
// only, with the sentences already written; whoever shows it needs to know nothing of updates.
package api

import "time"

// Socket is where the update service listens on the machine.
const Socket = "/run/choba/update.sock"

// BusyLease is how long a word about the open sale counts. The register says it on every change and every BusyEvery;
// a register that says nothing counts as busy.
const (
	BusyLease = 10 * time.Second
	BusyEvery = 3 * time.Second
)

// MaxPostpone is the longest that a manager may put a restart off at once, in hours.
const MaxPostpone = 72

// The phases.
const (
	PhaseOff        = "off"        // this image names no place for updates and no stick is served
	PhaseIdle       = "idle"       // nothing to do; also while there is no network
	PhaseChecking   = "checking"   // looking for a newer release
	PhaseLoading    = "loading"    // writing one into the idle slot; Percent counts
	PhaseReady      = "ready"      // one is in place and checked; it runs from the next start on
	PhaseRestarting = "restarting" // init is stopping everything
	PhaseRefused    = "refused"    // a release failed here, or would not run here; Text says why
	PhaseError      = "error"      // a fault that somebody should see; selling is not touched by it
)

// The sources.
const (
	SourceNetwork = "network"
	SourceStick   = "stick"
)

// Release names a release. The zero Release is none.
type Release struct {
	Version uint64 `json:"version"`
	Name    string `json:"name"` // what people call the version
}

// View is all there is to show. It is comparable with ==: its times are UTC, whole seconds.
type View struct {
	Phase   string  `json:"phase"`
	Running Release `json:"running"`
	Offered Release `json:"offered"` // being loaded, in place, or refused; none otherwise

	Percent int    `json:"percent"` // of the loading, 0 … 100
	Bytes   int64  `json:"bytes"`   // fetched from the source for this release, all attempts of this run together
	Saved   int64  `json:"saved"`   // of the release that did not have to be fetched
	Source  string `json:"source"`  // where it came from: SourceNetwork, SourceStick, or "" for nowhere yet

	At        time.Time `json:"at"`        // the planned restart; zero: none is planned
	Postponed bool      `json:"postponed"` // the manager has put the restart off

	Text   string `json:"text"`   // one sentence in Japanese; empty when there is nothing to say
	TextEn string `json:"textEn"` // the same in English

	Warning   string `json:"warning"` // something that somebody should look after; selling is not touched by it
	WarningEn string `json:"warningEn"`
}

// Now is the body of POST /v1/now, and Check that of POST /v1/check: nothing.
type (
	Now   struct{}
	Check struct{}
)

// Postpone is the body of POST /v1/postpone.
type Postpone struct {
	Hours int `json:"hours"` // 1 … MaxPostpone; 0 takes an earlier wish back
}

// Again is the body of POST /v1/again: a person wants a release tried that failed here before.
type Again struct {
	Version uint64 `json:"version"`
}

// Busy is the body of POST /v1/busy: whether a sale is open, or anything else is under way that a restart would spoil.
type Busy struct {
	Busy bool `json:"busy"`
}
