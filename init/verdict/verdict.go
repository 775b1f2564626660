// Package verdict writes down how a boot ended that did not become ready, and reads it again for people.
//
// A release on trial that fails is refused in the slot record, with the reason in the history; a release that was kept
// before only leaves its reason there. It ends no boot, stops no service and shows nothing: init does, afterwards,
// so that what was found out is on the disk whatever happens next.
//
// The rule that keeps it small: one reason, one line in the history, one change of the slot record.
package verdict

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/init/data"
	"github.com/choba-os/choba/keys/seal"
	bootapi "github.com/choba-os/choba/services/boot/api"
)

// Boot is the running release, as far as it is known.
type Boot struct {
	Slot    slot.Name
	Version uint64
}

// OnTrial says whether the record has the running slot on trial. A record that cannot be read has nothing on trial.
func OnTrial(rec slot.Record, n slot.Name) bool { return rec.Slot(n).State == slot.Trial }

// Fail writes down that the running release did not become ready, and why: on trial it is refused for good, otherwise
// the boot counts against its slot with all its weight. The history comes second: without the slot record's word the
// register would come back to the same release.
func Fail(d frame.Device, b Boot, reason string, at time.Time) error {
	return errors.Join(failed(d, b, reason), Keep(d, b, reason, at))
}

func failed(d frame.Device, b Boot, reason string) error {
	rec, _, err := slot.Load(d)
	if err != nil {
		return err
	}
	why := fmt.Sprintf("version %d in slot %s: %s", b.Version, b.Slot, reason)
	if OnTrial(rec, b.Slot) {
		rec, err = slot.Refuse(rec, b.Slot, why)
	} else {
		rec, err = slot.Fail(rec, b.Slot, slot.Health, why)
	}
	if err != nil {
		return err
	}
	return slot.Store(d, rec)
}

// Keep writes the reason why the running release did not become ready into the history, and nothing else.
func Keep(d frame.Device, b Boot, reason string, at time.Time) error {
	return history.Append(d, entry(b, reason, at))
}

// entry is the history's, which may hold less of the reason than was said.
func entry(b Boot, reason string, at time.Time) history.Entry {
	return history.Entry{Kind: history.Failed, Wall: at, Text: history.Text(
		"slot", string(b.Slot), "version", strconv.FormatUint(b.Version, 10), "reason", reason, "evidence", string(slot.Health))}
}

// End writes down that a boot ends on purpose before it is ready: a watchdog that fires from then on says nothing
// against the release.
func End(d frame.Device, n slot.Name) error {
	rec, _, err := slot.Load(d)
	if err != nil {
		return err
	}
	if rec, changed := slot.End(rec, n); changed {
		return slot.Store(d, rec)
	}
	return nil
}

// AskRecovery has the next boot stop in recovery, once.
func AskRecovery(d frame.Device, by string, at time.Time) error {
	rec, _, err := slot.Load(d)
	if err != nil {
		return err
	}
	if err := slot.Store(d, slot.AskRecovery(rec, by)); err != nil {
		return err
	}
	return history.Append(d, history.Entry{Kind: history.Asked, Wall: at, Text: history.Text("by", by)})
}

// KeyShut ends a boot in which the data key did not open, for a reason that no release mends: the next boot stops in
// recovery and says so, where a recovery code can be typed. The history hears of it once, however often it is tried.
func KeyShut(d frame.Device, b Boot, reason string, at time.Time) error {
	rec, _, err := slot.Load(d)
	if err != nil {
		return err
	}
	if err := slot.Store(d, slot.AskForKey(rec, b.Slot, reason)); err != nil {
		return err
	}
	past, err := history.Load(d)
	if err != nil {
		return err
	}
	e := entry(b, reason, at)
	if slices.ContainsFunc(history.Fresh(past), func(x history.Entry) bool { return x.Kind == e.Kind && x.Text == e.Text }) {
		return nil
	}
	return history.Append(d, e)
}

// shut are the causes for which a recovery code is the remedy, or a TPM that comes back.
var shut = []error{
	seal.ErrOtherTPM, seal.ErrSecureBoot, seal.ErrBootImage, seal.ErrDamaged, data.ErrKeyLost, data.ErrTPMGone,
}

// IsKeyShut says whether the cause is that the data key does not open on this machine as it is now.
func IsKeyShut(cause error) bool {
	return slices.ContainsFunc(shut, func(e error) bool { return errors.Is(cause, e) })
}

// everyRelease are causes that lie in the disk, the board or its firmware, so that the older release would meet them
// too: going back to it would refuse a good release and explain nothing.
var everyRelease = []error{
	seal.ErrOtherTPM, seal.ErrSecureBoot, seal.ErrDamaged,
	data.ErrKeyLost, data.ErrForeign, data.ErrHeader, data.ErrKey, data.ErrTPMGone,
}

// EveryRelease says whether the cause would stop any release on this register. In doubt it is the release's own.
func EveryRelease(cause error) bool {
	return slices.ContainsFunc(everyRelease, func(e error) bool { return errors.Is(cause, e) })
}

// Fallback is why an older release runs: the newest version above the running one that failed here, with the last
// reason that the history has for it. nil when none failed.
func Fallback(rec slot.Record, past []history.Entry, running uint64) *bootapi.Fallback {
	var out *bootapi.Fallback
	for _, f := range rec.Failed {
		if f.Version > running && (out == nil || f.Version > out.Version) {
			out = &bootapi.Fallback{Version: f.Version}
		}
	}
	if out == nil {
		return nil
	}
	out.Reason = reasonOf(past, out.Version)
	if out.Reason == "" {
		out.Reason = "it did not become ready to sell"
	}
	out.ReasonJa = Japanese(out.Version, out.Reason)
	return out
}

func reasonOf(past []history.Entry, version uint64) (reason string) {
	for _, e := range past {
		var said struct{ Version, Reason string }
		if e.Kind == history.Failed && json.Unmarshal([]byte(e.Text), &said) == nil &&
			said.Version == strconv.FormatUint(version, 10) && said.Reason != "" {
			reason = said.Reason
		}
	}
	return reason
}
