package boot

import (
	"github.com/choba-os/choba/drivers/display/notice"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/plan"
)

// stay is what is done when nothing could be booted and nothing was redeployed; show
// puts the page on the screens.
func (b *Boot) stay(s Stopped, show func(notice.Page) error) plan.Plan {
	return plan.Plan{Title: "stay in recovery", Steps: []plan.Step{
		{Name: "let slots that only missed ready try once more after the next switch-on", Do: func() error {
			return b.noteError("the slot record is not changed", s.Forgive())
		}},
		{Name: "say on the console why", Do: func() error {
			for _, l := range explain.Page(s.Troubles) {
				b.say("stop: %s", l.Text)
			}
			return nil
		}},
		{Name: "show it on the screens", Do: func() error {
			return b.noteError("nothing can be shown on a screen", show(explain.Page(s.Troubles)))
		}},
		{Name: "feed the watchdog until the power goes", Do: b.world.KeepWatchdog},
	}}
}

// Stay explains why nothing was booted, and keeps doing so for ever.
func (b *Boot) Stay(s Stopped, show func(notice.Page) error) error {
	return b.stay(s, show).Run()
}

// Forgive gives every slot that is refused only because it missed ready too often one
// boot more (slot.Forgive). Recovery has stopped the loop; who then switches the
// register off and on wants it tried again.
func (s *Stopped) Forgive() error {
	rec, changed := slot.Forgive(s.Record)
	if !changed {
		return nil
	}
	return s.StoreRecord(rec)
}
