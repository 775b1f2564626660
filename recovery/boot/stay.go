package boot

import (
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/plan"
)

// stay is what is done when no slot could be booted; show puts the page on the screens.
func (b *Boot) stay(troubles []explain.Trouble, show func([]explain.Line) error) plan.Plan {
	return plan.Plan{Title: "stay in recovery", Steps: []plan.Step{
		{Name: "measure recovery into PCR 13, so that the data key stays shut", Do: func() error {
			return b.noteError("recovery is not measured", b.measure(seal.Recovery()))
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
func (b *Boot) Stay(troubles []explain.Trouble, show func([]explain.Line) error) error {
	return b.stay(troubles, show).Run()
}
