package update

import (
	"fmt"
	"time"

	"github.com/choba-os/choba/services/update/api"
	"github.com/choba-os/choba/services/update/schedule"
	"github.com/choba-os/choba/services/update/stage"
	"github.com/choba-os/choba/services/update/words"
)

// standing is how things are, as far as a person is concerned.
type standing struct {
	phase    string
	running  api.Release
	offered  api.Release
	manifest string // of offered, in hex
	source   string
	bytes    int64
	saved    int64
	said     words.Sentence
	warnings []warning
	retry    []uint64 // releases that a person may have tried once more

	restartFailed bool
}

// warning is something to look after, and the source that it is about.
type warning struct {
	source string
	words.Sentence
}

func (s *standing) dropWarning(source string) {
	var kept []warning
	for _, w := range s.warnings {
		if w.source != source {
			kept = append(kept, w)
		}
	}
	s.warnings = kept
}

// warns is all warnings as one.
func (s *standing) warns() (out words.Sentence) {
	for _, w := range s.warnings {
		out = join(out, w.Sentence)
	}
	if s.restartFailed {
		out = join(out, words.NoRestart())
	}
	return out
}

func join(a, b words.Sentence) words.Sentence {
	if a == (words.Sentence{}) {
		return b
	}
	return words.Sentence{Ja: a.Ja + b.Ja, En: a.En + " " + b.En}
}

// show is the View of the present state.
func (s *Service) show(d schedule.Decision) api.View {
	st := &s.st
	v := api.View{
		Phase: st.now.phase, Running: st.now.running, Offered: st.now.offered,
		Bytes: st.now.bytes, Saved: st.now.saved, Source: st.now.source,
	}
	said := st.now.said
	switch {
	case s.Network == nil && s.Stick == nil && v.Phase == api.PhaseIdle:
		v.Phase = api.PhaseOff
	case st.leaving:
		v.Phase, said = api.PhaseRestarting, words.Restarting(v.Offered)
	case v.Phase == api.PhaseLoading:
		said = s.showLoading(&v)
	case v.Phase == api.PhaseReady:
		v.Percent, v.At, v.Postponed = 100, minute(d.At), s.st.postponed > s.Mono()
		said = words.Ready(v.Offered, v.At.In(schedule.Zone()), v.Postponed)
		if st.wish {
			said = words.Soon(v.Offered)
		}
	case v.Phase == api.PhaseIdle && st.inRound:
		v.Phase = api.PhaseChecking
		if st.person {
			said = words.Checking()
		}
	}
	warns := st.now.warns()
	v.Text, v.TextEn, v.Warning, v.WarningEn = said.Ja, said.En, warns.Ja, warns.En
	return v
}

func (s *Service) showLoading(v *api.View) words.Sentence {
	c := s.count.Load()
	if c == nil {
		c = &stage.Counts{}
	}
	v.Percent = c.Percent()
	v.Bytes += c.Fetched
	if v.Percent == 100 {
		return words.Checked(v.Offered)
	}
	return words.Loading(v.Offered, v.Percent)
}

// minute is a time without its seconds: a plan that is shown changes once a minute at most.
func minute(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(time.Minute - 1).UTC().Truncate(time.Minute)
}

func reasonOf(r api.Release) string {
	return fmt.Sprintf("starting version %d (%.64s)", r.Version, r.Name)
}
