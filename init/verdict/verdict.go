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

// Evidence is what stands in the history for something that init itself saw.
const Evidence = "init"

// OnTrial says whether the record has the running slot on trial. A record that cannot be read has nothing on trial.
func OnTrial(rec slot.Record, n slot.Name) bool { return rec.Slot(n).State == slot.Trial }

// Refuse refuses the running release, which is on trial, and keeps the reason. The history comes second: without the
// refusal the register would come back to the same release.
func Refuse(d frame.Device, b Boot, reason string, at time.Time) error {
	rec, _, err := slot.Load(d)
	if err != nil {
		return errors.Join(err, Keep(d, b, reason, at))
	}
	rec, err = slot.Refuse(rec, b.Slot, fmt.Sprintf("version %d in slot %s: %s", b.Version, b.Slot, reason))
	if err == nil {
		err = slot.Store(d, rec)
	}
	return errors.Join(err, Keep(d, b, reason, at))
}

// Keep writes the reason why the running release did not become ready into the history.
func Keep(d frame.Device, b Boot, reason string, at time.Time) error {
	return history.Append(d, history.Entry{Kind: history.Failed, Wall: at, Text: history.Text(
		"slot", string(b.Slot), "version", strconv.FormatUint(b.Version, 10), "reason", reason, "evidence", Evidence)})
}

// everyRelease are causes that lie in the disk, the board or its firmware, so that the older release would meet them
// too: going back to it would refuse a good release and explain nothing.
var everyRelease = []error{
	seal.ErrOtherTPM, seal.ErrSecureBoot, seal.ErrDamaged,
	data.ErrKeyLost, data.ErrForeign, data.ErrHeader, data.ErrKey,
}

// EveryRelease says whether the cause would stop any release on this register. In doubt it is the release's own.
func EveryRelease(cause error) bool {
	for _, e := range everyRelease {
		if errors.Is(cause, e) {
			return true
		}
	}
	return false
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
	out.ReasonJa = Japanese(out.Version)
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

// Japanese is the sentence for the shop. The technical reason is the dealer's and stays as it was written.
func Japanese(version uint64) string {
	return fmt.Sprintf("新しいバージョン %d は正しく動作しなかったため、前のバージョンに戻しました。", version)
}
