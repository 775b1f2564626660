package view

import (
	"image"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/services/register/api"
)

// waiting draws the screen of a register that cannot sell yet, or any more today, with the reasons.
func (d *drawing) waiting() {
	d.bar()
	title, text := wGetReady, wWaitText
	switch {
	case d.ui.Away || d.v.Phase == "":
		title = wWaitAway
	case d.v.Phase == api.PhaseClosed:
		title, text = wClosed, wClosedTxt
	}
	reasons := d.reasons()
	h := 330 + 40*len(reasons)
	x := d.at.all.Dx() / 2
	y := (d.at.all.Dy() - h + d.at.top.Max.Y) / 2
	r := image.Rect(x-340, y, x+340, y+h)
	d.Shadow(r, 20, 16, 6, shade)
	d.Round(r, 20, panel)
	d.Round(paint.Rect(x-48, r.Min.Y+40, 96, 96), 24, teal)
	d.Icon(paint.Register, x, r.Min.Y+88, 60, white)
	a, b := title.pair(d.en)
	d.Label(a, x, r.Min.Y+184, 620, list.Center, ink, d.sizes(bold, 36, 32, 28)...)
	d.Label(b, x, r.Min.Y+226, 620, list.Center, ink3, d.sizes(regular, 20, 18)...)
	d.Label(text.in(d.en), x, r.Min.Y+278, 620, list.Center, ink2, d.sizes(regular, 20, 18)...)
	for i, s := range reasons {
		cy := r.Min.Y + 328 + 40*i
		d.Icon(s.icon, r.Min.X+72, cy, 24, s.c)
		d.Name(d.r(18), s.text, r.Min.X+100, cy, 540, list.Left, ink2)
	}
}

// reasons says what the register waits for.
func (d *drawing) reasons() []said {
	var out []said
	if d.ui.Away {
		return nil
	}
	if m := d.v.Message; m != nil && m.Kind != "info" {
		out = append(out, said{paint.Warning, words{m.Text, m.TextEn}.in(d.en), amber})
	}
	for _, dev := range d.v.Devices {
		switch {
		case dev.State == "ready":
			out = append(out, said{paint.Check, role(dev.Role).in(d.en) + words{"：", ": "}.in(d.en) + condition("ready").in(d.en), teal})
		case words{dev.Text, dev.TextEn}.in(d.en) != "":
			out = append(out, said{paint.Hourglass, words{dev.Text, dev.TextEn}.in(d.en), amber})
		default:
			a, b := role(dev.Role), condition(dev.State)
			out = append(out, said{paint.Hourglass, words{a.ja + "：" + b.ja, a.en + ": " + b.en}.in(d.en), amber})
		}
	}
	return out
}
