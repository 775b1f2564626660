package view

import (
	"image"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
)

// bar draws the strip at the top: shop, register and operator; devices, language and clock.
func (d *drawing) bar() {
	r := d.at.top
	d.Fill(r, navy)
	x, cy := gap, (r.Min.Y+r.Max.Y)/2
	d.Round(paint.Rect(x, cy-16, 32, 32), 8, teal)
	d.Icon(paint.Register, x+16, cy, 22, white)
	right := d.barRight(cy)
	room := right - x - 44
	x = d.Name(d.b(20), d.v.Shop, x+44, cy, min(room, 280), list.Left, white)
	reg := words{"レジ " + d.v.Register, "Register " + d.v.Register}.in(d.en)
	if w := d.Width(d.r(16), reg); d.v.Register != "" && x+20+w < right {
		x = d.Line(d.r(16), reg, x+20, cy, list.Left, mist)
	}
	if d.v.Operator.Name != "" && right-x > 120 {
		d.Icon(paint.Person, x+31, cy, 18, mist)
		d.Name(d.r(16), d.v.Operator.Name, x+46, cy, right-x-46-16, list.Left, mist)
	}
}

// barRight draws from the right edge and returns where it came to.
func (d *drawing) barRight(cy int) int {
	x := d.at.top.Max.X - gap
	if !d.v.Now.IsZero() {
		clock, day := d.v.Now.Format("15:04"), date(d.v.Now, d.en)
		d.Line(d.n(22), clock, x, cy, list.Right, white)
		x -= d.Width(d.n(22), "00:00") + 14
		d.Line(d.r(16), day, x, cy, list.Right, mist)
		x -= d.Width(d.r(16), day) + 20
	}
	x = d.deviceIcons(x, cy)
	other := words{"English", "日本語"}.in(d.en)
	w := d.Width(d.b(16), other) + 32
	lang := paint.Rect(x-w, cy-18, w, 36)
	d.Round(lang, 18, pill)
	d.Line(d.b(16), other, lang.Min.X+w/2, cy, list.Center, white)
	d.Hit(lang.Inset(-8), state.Language)
	return d.trouble(lang.Min.X-12, cy)
}

func (d *drawing) deviceIcons(x, cy int) int {
	first := x
	for i := len(d.v.Devices) - 1; i >= 0; i-- {
		dev := d.v.Devices[i]
		c := mint
		if dev.State != "ready" {
			c = sun
		}
		d.Icon(deviceIcon(dev.Role), x-11, cy, 22, c)
		if dev.State != "ready" {
			d.Icon(paint.Warning, x-3, cy+8, 13, sun)
		}
		x -= 38
	}
	if first != x {
		d.Hit(image.Rect(x, d.at.top.Min.Y, first+8, d.at.top.Max.Y), state.Devices)
		x -= 4
	}
	return x
}

func deviceIcon(role string) paint.Icon {
	switch role {
	case "scanner":
		return paint.Barcode
	case "printer":
		return paint.Printer
	case "drawer":
		return paint.Drawer
	case "journal":
		return paint.Lock
	}
	return paint.Note
}

// trouble says in a pill which device is not ready, or how many.
func (d *drawing) trouble(right, cy int) int {
	var bad []api.Device
	for _, dev := range d.v.Devices {
		if dev.State != "ready" {
			bad = append(bad, dev)
		}
	}
	if len(bad) == 0 {
		return right
	}
	a, b := role(bad[0].Role), condition(bad[0].State)
	say := words{a.ja + " " + b.ja, a.en + " " + b.en}.in(d.en)
	if len(bad) > 1 {
		n := group(int64(len(bad)))
		say = words{"機器 " + n + "件を確認", n + " devices to check"}.in(d.en)
	}
	w := d.Width(d.b(16), say) + 54
	r := paint.Rect(right-w, cy-18, w, 36)
	d.Round(r, 18, amberPale)
	d.Icon(paint.Warning, r.Min.X+24, cy, 20, amber)
	d.Line(d.b(16), say, r.Min.X+40, cy, list.Left, amber)
	d.Hit(r.Inset(-8), state.Devices)
	return r.Min.X - 8
}
