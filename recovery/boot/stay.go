package boot

import (
	"github.com/choba-os/choba/drivers/display/notice"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/plan"
)

// stay is what is done when no slot could be booted; show puts the page on the screens.
func (b *Boot) stay(troubles []explain.Trouble, show func(notice.Page) error) plan.Plan {
	return plan.Plan{Title: "stay in recovery", Steps: []plan.Step{
		{Name: "measure recovery into PCR 13, so that the data key stays shut", Do: func() error {
			return b.noteError("recovery is not measured", b.measure(seal.Recovery()))
		}},
		{Name: "let slots that only missed ready try once more after the next switch-on", Do: func() error {
			return b.noteError("the slot record is not changed", b.forgive())
		}},
		{Name: "say on the console why", Do: func() error {
			for _, l := range explain.Page(troubles) {
				b.say("stop: %s", l.Text)
			}
			return nil
		}},
		{Name: "show it on the screens", Do: func() error {
			return b.noteError("nothing can be shown on a screen", show(explain.Page(troubles)))
		}},
		{Name: "feed the watchdog until the power goes", Do: b.world.KeepWatchdog},
	}}
}

// Stay explains why nothing was booted, and keeps doing so for ever.
func (b *Boot) Stay(troubles []explain.Trouble, show func(notice.Page) error) error {
	return b.stay(troubles, show).Run()
}

// forgive gives every slot that is refused only because it missed ready too often
// one boot more. Recovery has stopped the loop by staying; a person who then
// switches the register off and on wants it tried again, and until redeploying is
// there nothing else would ever bring the register back.
func (b *Boot) forgive() error {
	rec := b.record
	changed := false
	for _, s := range []*slot.Slot{&rec.A, &rec.B} {
		if s.Unready >= slot.UnreadyLimit {
			s.Unready, changed = slot.UnreadyLimit-1, true
		}
	}
	if !changed {
		return nil
	}
	rec.Reason = "stopped in recovery; the next switch-on tries once more"
	return b.storeRecord(rec)
}
