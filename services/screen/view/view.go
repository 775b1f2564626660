// Package view draws what a register shows: a pure function from the register's View and the screen's own state to a display list with
// the places that answer a touch.
//
// It decides nothing and computes no money: sums, change and what may be done come from the register. Rule that keeps it small: the
// same arguments give the same picture, so that a test or a person with a saved View sees what the cashier saw.
package view

import (
	"image"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
)

// UI is the screen's own state.
type UI = state.UI

// drawing is one picture in the making.
type drawing struct {
	*list.List
	*Theme
	at layout
	v  api.View
	ui UI
	en bool
}

// Draw describes the cashier's screen of w × h pixels.
func Draw(t *Theme, v api.View, ui UI, w, h int) *list.List {
	d := &drawing{List: list.New(t.scale), Theme: t, at: plan(w, h, v), v: v, ui: ui, en: ui.English()}
	d.Fill(d.at.all, ground)
	if Selling(v, ui) {
		d.sale()
	} else {
		d.waiting()
	}
	d.banner()
	return d.List
}

// Selling tells whether Draw shows the sale screen, and not one that asks to wait.
func Selling(v api.View, ui UI) bool {
	switch v.Phase {
	case api.PhaseIdle, api.PhaseSale, api.PhaseTender, api.PhaseDone:
		return !ui.Away
	}
	return false
}

// Render draws the cashier's screen into a picture of its own.
func Render(v api.View, ui UI, w, h int) (*image.RGBA, error) {
	t, err := NewTheme(w, h)
	if err != nil {
		return nil, err
	}
	p := list.NewPainter(w, h)
	p.Paint(Draw(t, v, ui, w, h))
	return p.Canvas().Image(), nil
}

func (d *drawing) sale() {
	d.bar()
	d.items()
	d.functions()
	d.totals()
	d.keypad(d.at.entry, d.at.keys)
	d.tenderKeys()
	switch d.v.Phase {
	case api.PhaseTender:
		d.paying()
	case api.PhaseDone:
		d.done()
	}
	switch d.ui.Panel {
	case state.CancelPanel:
		d.cancelPanel()
	case state.DevicesPanel:
		d.devicesPanel()
	case state.UpdatePanel:
		d.updatePanel()
	}
	d.message()
	d.notice()
}

// modal darkens what was drawn so far and takes its touches away.
func (d *drawing) modal() {
	d.Fill(d.at.all, scrim)
	d.Hits = d.Hits[:0]
}

// sheet draws a dialog's ground of w × h in the middle of the screen.
func (d *drawing) sheet(w, h int) image.Rectangle {
	w, h = min(w, d.at.all.Dx()-2*gap), min(h, d.at.all.Dy()-2*gap)
	x, y := (d.at.all.Dx()-w)/2, (d.at.all.Dy()-h)/2
	r := image.Rect(x, y, x+w, y+h)
	d.Shadow(r, 20, 24, 10, 0x6e000000)
	d.Round(r, 20, panel)
	return r
}
