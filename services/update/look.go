package update

import (
	"context"
	"errors"
	"fmt"

	imagerelease "github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/repository"
	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/keys/trust"
	bootapi "github.com/choba-os/choba/services/boot/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/update/api"
	"github.com/choba-os/choba/services/update/fetch"
	"github.com/choba-os/choba/services/update/stage"
	"github.com/choba-os/choba/services/update/words"
)

// candidate is what a source offers, after its signatures, its hardware and the floor were checked.
type candidate struct {
	imagerelease.Release
	signed []byte
	bundle string
	source string
	from   source.Fetcher
}

// look asks every source and gives the newest release that this register takes, or none. What is wrong with a source
// becomes a warning; failed says that one should be asked again sooner. The stick comes first: of two sources with the
// same release, the one whose bytes cost nothing counts.
func (r *round) look(status bootapi.Status, st *standing) (best *candidate, failed bool) {
	sources := []struct {
		name string
		from source.Fetcher
		on   bool
	}{{api.SourceStick, r.Stick, r.stick && r.Stick != nil}, {api.SourceNetwork, r.Network, r.Network != nil}}
	for _, s := range sources {
		if !s.on {
			continue
		}
		c, note, err := r.ask(status, s.name, s.from)
		if err != nil {
			r.Log.WithError(err).WithField("source", s.name).Info("no release from this source")
			failed = st.warn(s.name, err) || failed
			continue
		}
		if note != "" {
			st.warnings = append(st.warnings, warning{s.name, words.Note(s.name, note)})
		}
		if best == nil || c.Version > best.Version {
			best = &c
		}
	}
	return best, failed
}

func (r *round) ask(status bootapi.Status, name string, from source.Fetcher) (c candidate, note string, err error) {
	offer, err := r.Repository.Latest(r.ctx, from, r.Trust.Product, r.Hardware, r.Now())
	if err != nil {
		return c, "", fmt.Errorf("asking the %s: %w", name, err)
	}
	rel, err := imagerelease.Check(r.Trust, offer.Signed, imagerelease.Register{Hardware: r.Hardware, Floor: status.Floor})
	if err != nil {
		return c, "", fmt.Errorf("asking the %s: %w", name, err)
	}
	return candidate{rel, offer.Signed, offer.Bundle, name, from}, offer.Warning, nil
}

// warn adds what a person should know of an error with a source, and says whether the source should be asked again
// sooner than usual. That a server cannot be reached, or a stick is pulled out, is everyday life: nothing is said.
func (s *standing) warn(name string, err error) (again bool) {
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	add := func(w words.Sentence) { s.warnings = append(s.warnings, warning{name, w}) }
	switch {
	case is(context.Canceled, context.DeadlineExceeded):
	case is(fetch.ErrStranger):
		add(words.Stranger())
	case is(repository.ErrExpired):
		add(words.Expired(name))
		return false
	case is(repository.ErrRollback, imagerelease.ErrFloor):
		add(words.Older(name))
		return false
	case is(repository.ErrThreshold, repository.ErrMixed, repository.ErrForm, repository.ErrAltered, stage.ErrAltered, source.ErrTooLarge,
		trust.ErrThreshold, trust.ErrSignature, trust.ErrStranger, trust.ErrNotNote, imagerelease.ErrManifest):
		add(words.NotGenuine(name))
	case is(repository.ErrProduct, imagerelease.ErrProduct, imagerelease.ErrHardware, source.ErrMissing):
		add(words.NotForThis(name))
		return name == api.SourceNetwork
	case is(fetch.ErrUnreachable) || link.KindOf(err) == link.Unavailable || link.KindOf(err) == link.Unknown:
	default:
		add(words.Unreadable(name))
	}
	return true
}
