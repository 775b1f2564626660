package update

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	imagerelease "github.com/choba-os/choba/image/release"
	bootapi "github.com/choba-os/choba/services/boot/api"
	"github.com/choba-os/choba/services/update/api"
	"github.com/choba-os/choba/services/update/memory"
	"github.com/choba-os/choba/services/update/schedule"
	"github.com/choba-os/choba/services/update/stage"
	"github.com/choba-os/choba/services/update/words"
)

// round is one look at the sources and what follows from it. It runs beside the loop and touches no state of it.
type round struct {
	*Service
	ctx   context.Context
	again uint64 // the release that a person wants tried once more
	stick bool   // one is plugged in
}

// outcome is what a round leaves.
type outcome struct {
	standing
	failed bool   // a source was not reached, or broke off: ask again sooner
	soon   bool   // init is not that far yet
	tried  uint64 // the release that was tried once more, as a person wished; 0: none
}

// firstLook is how things stand when the service starts.
func (r *round) firstLook() (standing, bool) {
	status, err := r.Boot.Status(r.ctx)
	if err != nil {
		r.Log.WithError(err).Info("init does not say how the slots are")
		return standing{}, false
	}
	return r.stand(status), true
}

func (r *round) run() outcome {
	status, err := r.Boot.Status(r.ctx)
	if err != nil {
		r.Log.WithError(err).Error("init does not say how the slots are")
		return outcome{standing: standing{phase: api.PhaseError, said: words.NoInit()}, failed: true}
	}
	out := outcome{standing: r.stand(status)}
	if !status.Committed {
		out.soon = true
		return out
	}
	best, failed := r.look(status, &out.standing)
	out.failed = failed
	if best != nil && (best.Version > status.Version || best.Version == r.again) {
		r.take(status, *best, &out)
	}
	r.tellChanges(out.standing)
	return out
}

// stand is how things stand by what init and the service itself remember.
func (r *round) stand(status bootapi.Status) standing {
	st := standing{phase: api.PhaseIdle, running: api.Release{Version: status.Version, Name: status.Name}}
	idle := slotOf(status, status.Idle)
	notes := r.notes()
	switch f := status.Fallback; {
	case idle.State == "trial" && idle.Tries > 0 && slotOf(status, status.Slot).State != "trial":
		st.phase, st.manifest = api.PhaseReady, idle.Manifest
		st.offered = api.Release{Version: idle.Version, Name: r.nameOf(status, idle)}
	case f != nil:
		st.phase, st.offered = api.PhaseRefused, api.Release{Version: f.Version}
		st.said = words.FellBack(st.offered, st.running, words.Sentence{Ja: f.ReasonJa, En: f.Reason})
	case notes.Refused.Version > status.Version:
		st.refuse(api.Release{Version: notes.Refused.Version, Name: notes.Refused.Name}, notes.Refused.Why)
		st.manifest = notes.Refused.Manifest
	}
	st.retry = retriable(status, notes)
	return st
}

// retriable are the releases that failed here, or would not run here, and are newer than the running one.
func retriable(status bootapi.Status, notes memory.Notes) (out []uint64) {
	for _, f := range status.Failed {
		out = append(out, f.Version)
	}
	if status.Fallback != nil {
		out = append(out, status.Fallback.Version)
	}
	out = append(out, notes.Refused.Version)
	return slices.DeleteFunc(out, func(v uint64) bool { return v <= status.Version })
}

// refuse is for a release that the dry run would not take.
func (s *standing) refuse(r api.Release, why string) {
	s.phase, s.offered, s.said = api.PhaseRefused, r, words.NotTaken(r, why)
}

func slotOf(status bootapi.Status, name string) bootapi.SlotStatus {
	for _, s := range status.Slots {
		if s.Name == name {
			return s
		}
	}
	return bootapi.SlotStatus{}
}

// nameOf is what people call the release that waits in the idle slot: its head says so, when it is that release's.
func (r *round) nameOf(status bootapi.Status, idle bootapi.SlotStatus) string {
	slot, err := r.Idle(status.IdleDevice)
	if err != nil {
		return fmt.Sprint(idle.Version)
	}
	defer slot.Close()
	signed, err := imagerelease.ReadHead(slot, status.IdleSize)
	if err != nil {
		return fmt.Sprint(idle.Version)
	}
	rel, err := imagerelease.Check(r.Trust, signed, imagerelease.Register{Hardware: r.Hardware})
	if err != nil || hex.EncodeToString(rel.ID[:]) != idle.Manifest {
		return fmt.Sprint(idle.Version)
	}
	return rel.Name
}

func (r *round) notes() memory.Notes {
	n, err := r.Memory.Notes()
	if err != nil {
		r.Log.WithError(err).Error("what was remembered is lost")
	}
	return n
}

func (r *round) remember(n memory.Notes) {
	if err := r.Memory.SetNotes(n); err != nil {
		r.Log.WithError(err).Error("nothing can be remembered")
	}
}

// take brings a release that is newer into the idle slot and has init put it on trial, unless that was tried before.
func (r *round) take(status bootapi.Status, c candidate, out *outcome) {
	id := hex.EncodeToString(c.ID[:])
	rel := api.Release{Version: c.Version, Name: c.Name}
	anew, tried := false, uint64(0)
	if r.again == c.Version {
		anew, tried = true, c.Version
	}
	if out.phase == api.PhaseReady && out.manifest == id {
		out.offered, out.tried = rel, tried
		return
	}
	if !anew && r.knownBad(status, rel, id, out) {
		return
	}
	r.record(kindFound, foundEvent{releaseOf(rel), id, c.source})
	out.tried = tried
	loading := standing{phase: api.PhaseLoading, running: out.running, offered: rel, manifest: id, source: c.source, warnings: out.warnings}
	r.count.Store(nil)
	r.tell(r.ctx, func() {
		r.st.now, r.st.loading = loading, c.source
	})
	counts, err := r.load(status, c)
	if err == nil {
		r.record(kindStaged, stagedEvent{releaseOf(rel), c.source, counts.Fetched, counts.Saved(), counts.Written})
		err = r.offer(rel, id, anew)
	}
	warnings := out.warnings
	if now, ok := r.firstLook(); ok {
		out.standing = now
	}
	out.warnings, out.source, out.bytes, out.saved = warnings, c.source, counts.Fetched, counts.Saved()
	if err != nil {
		r.Log.WithError(err).WithField("version", c.Version).Error("the release is not in place")
		r.failed(err, c, rel, id, out)
		return
	}
	out.offered = rel
}

// knownBad says whether a release failed here, or was not taken, before; then nothing is fetched.
func (r *round) knownBad(status bootapi.Status, rel api.Release, id string, out *outcome) bool {
	for _, f := range status.Failed {
		if f.Manifest == id {
			if status.Fallback == nil || status.Fallback.Version != rel.Version {
				out.phase, out.said = api.PhaseRefused, words.FailedBefore(rel)
			}
			out.offered, out.manifest = rel, id
			return true
		}
	}
	if n := r.notes(); n.Refused.Manifest == id {
		out.refuse(rel, n.Refused.Why)
		out.manifest = id
		return true
	}
	return false
}

// load writes a release into the idle slot.
func (r *round) load(status bootapi.Status, c candidate) (counts stage.Counts, err error) {
	if err := r.Boot.Clear(r.ctx); err != nil {
		return counts, fmt.Errorf("clearing the idle slot: %w", err)
	}
	slot, err := r.Idle(status.IdleDevice)
	if err != nil {
		return counts, fmt.Errorf("%w: %w", stage.ErrDisk, err)
	}
	defer func() { err = errors.Join(err, slot.Close()) }()
	s := stage.Stager{
		Source: c.from, Slot: slot, Size: status.IdleSize, Memory: r.Memory,
		Retry: r.resume, Breathe: r.breathe, Report: func(c stage.Counts) { r.count.Store(&c) },
	}
	if running := r.openRunning(); running != nil {
		defer running.Close()
		s.Running = running
	}
	counts, err = s.Put(r.ctx, stage.Release{Signed: c.signed, Manifest: c.Manifest, Bundle: c.bundle})
	r.count.Store(&counts)
	return counts, err
}

// openRunning is the running slot, or nothing: then its blocks are fetched, which costs bytes and nothing else.
func (r *round) openRunning() Volume {
	if r.Running == nil {
		return nil
	}
	v, err := r.Running()
	if err != nil {
		r.Log.WithError(err).Info("the running slot cannot be read; its blocks are fetched")
		return nil
	}
	return v
}

func (r *round) resume(ctx context.Context, failures int) error {
	wait, ok := schedule.Resume(failures, r.Dice())
	if !ok {
		return errors.New("it broke off too often")
	}
	return r.Wait(ctx, wait)
}

// breath is what loading gives up after each few MiB while a sale is open, so that the sale's own writes come first.
const breath = 500 * time.Millisecond

func (r *round) breathe(ctx context.Context) error {
	if !r.busy.Load() {
		return nil
	}
	return r.Wait(ctx, breath)
}

// offer has init check the slot and put it on trial.
func (r *round) offer(rel api.Release, id string, anew bool) error {
	err := r.Boot.Offer(r.ctx, anew)
	if bootapi.KindOf(err) == bootapi.Unknown {
		if status, serr := r.Boot.Status(r.ctx); serr == nil {
			if idle := slotOf(status, status.Idle); idle.State == "trial" && idle.Manifest == id {
				err = nil // it was done; only the answer was lost
			}
		}
	}
	if err != nil {
		return &offerError{err}
	}
	r.record(kindOffered, offeredEvent{releaseOf(rel), id, anew})
	if n := r.notes(); n.Refused != (memory.Refusal{}) {
		n.Refused = memory.Refusal{}
		r.remember(n)
	}
	return nil
}

// offerError is init's answer to an offer.
type offerError struct{ error }

func (e *offerError) Unwrap() error { return e.error }

// failed says what follows from an error on the way.
func (r *round) failed(err error, c candidate, rel api.Release, id string, out *outcome) {
	var offered *offerError
	atOffer := errors.As(err, &offered)
	switch {
	case atOffer && bootapi.KindOf(err) == bootapi.Refused, errors.Is(err, stage.ErrRoom):
		why := reason(err)
		n := r.notes()
		n.Refused = memory.Refusal{Version: rel.Version, Name: rel.Name, Manifest: id, Why: why}
		r.remember(n)
		out.refuse(rel, why)
		out.manifest = id
		return
	case errors.Is(err, stage.ErrDisk):
		out.phase, out.offered, out.said = api.PhaseError, rel, words.BadDisk()
	case errors.As(err, new(*bootapi.Error)): // init's own, and not about this release
		out.phase, out.offered, out.said = api.PhaseError, rel, words.NoInit()
	case r.ctx.Err() != nil:
	default:
		out.warn(c.source, err)
	}
	out.failed = true
}

// reason is init's sentence without the kind.
func reason(err error) string {
	var e *bootapi.Error
	if errors.As(err, &e) {
		return e.Text
	}
	return err.Error()
}

// tellChanges records a refusal or a warning that is new.
func (r *round) tellChanges(now standing) {
	n := r.notes()
	told := n.Told
	if now.phase == api.PhaseRefused {
		if told = fmt.Sprintf("%d %.200s", now.offered.Version, now.said.En); told != n.Told {
			r.record(kindRefused, refusedEvent{releaseOf(now.offered), now.said.En})
		}
	} else if now.phase == api.PhaseReady {
		told = ""
	}
	if told != n.Told {
		n.Told = told
		r.remember(n)
	}
	if w := now.warns(); w != r.warned {
		r.warned = w
		if w != (words.Sentence{}) {
			r.record(kindWarning, warningEvent{w.Ja, w.En})
		}
	}
}
