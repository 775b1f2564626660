package view

import (
	"image"
	"strings"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
)

// The dialog of a paid sale has always the same size, so that its keys do not move when the printer has something to say.
const (
	doneW = 640
	doneH = 630
	sumsH = 362 // title, sums and change
)

// Paid is the part of the screen, in pixels, that shows a paid sale's sums and change, and nothing of the devices.
func Paid(w, h int) image.Rectangle {
	all := plan(w, h, api.View{}).all
	r := paint.Rect((all.Dx()-doneW)/2, (all.Dy()-doneH)/2, doneW, sumsH)
	return list.New(scale(w, h)).Pixels(r.Inset(2))
}

// done draws the dialog of a paid sale: the change, and what is known of receipt and drawer.
func (d *drawing) done() {
	d.modal()
	var says []said
	for _, s := range []said{d.printSays(), d.drawerSays()} {
		if s.text != "" {
			says = append(says, s)
		}
	}
	lines := make([][]string, len(says))
	for i, s := range says {
		lines[i] = d.paragraph(d.b(18), s.text, doneW-80-36)
		lines[i] = lines[i][:min(len(lines[i]), 2)]
	}
	r := d.sheet(doneW, doneH)
	x0, x1 := r.Min.X+40, r.Max.X-40
	d.heading(x0, r.Min.Y+62, paint.Check, wDone, x1-x0)
	d.sums(wTotal, Yen(d.v.Total), x0, x1, r.Min.Y+138)
	d.sums(wCashGot, Yen(d.v.Paid), x0, x1, r.Min.Y+180)
	box := image.Rect(r.Min.X+24, r.Min.Y+212, r.Max.X-24, r.Min.Y+sumsH)
	d.Round(box, 16, tealPale)
	a, b := wChange.pair(d.en)
	x := d.Line(d.b(28), a, x0, box.Min.Y+56, list.Left, tealDown)
	d.Line(d.r(18), b, x0, box.Min.Y+92, list.Left, tealDown)
	d.Label(Yen(d.v.Change), x1-4, box.Min.Y+75, x1-4-x-20, list.Right, tealDown, d.sizes(digits, 88, 76, 66, 56, 48)...)
	y := box.Max.Y + 30
	for i, s := range says {
		d.Icon(s.icon, x0+12, y, 24, s.c)
		for _, line := range lines[i] {
			d.Line(d.b(18), line, x0+36, y, list.Left, s.c)
			y += 26
		}
		y += 12
	}
	d.doneKeys(image.Rect(r.Min.X+24, r.Max.Y-24-92, r.Max.X-24, r.Max.Y-24))
}

// said is one line on what became of the receipt or the drawer.
type said struct {
	icon paint.Icon
	text string
	c    paint.Color
}

// more prefers the register's own sentence, which may say why.
func (d *drawing) more(w words, text, textEn string) string {
	own := words{text, textEn}.in(d.en)
	if own != "" {
		return own
	}
	return w.in(d.en)
}

// aboutReceipt tells whether the register's message says something about this sale's receipt or drawer that the dialog of the paid
// sale says in its place, and does not hide behind another dialog.
func (d *drawing) aboutReceipt(code string) (string, bool) {
	m := d.v.Message
	if d.v.Phase != api.PhaseDone || m == nil || m.Code != code || code != "drawer" && !strings.Contains(m.Text, d.v.Receipt) {
		return "", false
	}
	return words{m.Text, m.TextEn}.in(d.en), true
}

func (d *drawing) printSays() said {
	p := d.v.Print
	switch p.State {
	case "printing":
		s := said{paint.Hourglass, d.more(wPrinting, p.Text, p.TextEn), ink2}
		if d.device("printer").State != "ready" {
			s.icon, s.c = paint.Warning, amber
		}
		return s
	case "done":
		return said{paint.Printer, d.more(wPrinted, p.Text, p.TextEn), teal}
	case "not-done":
		if text, ok := d.aboutReceipt("printer"); ok {
			return said{paint.Warning, text, red}
		}
		return said{paint.Warning, d.more(wNotPrinted, p.Text, p.TextEn), red}
	case "unknown":
		if text, ok := d.aboutReceipt("reprint?"); ok {
			return said{paint.Warning, text, amber}
		}
		return said{paint.Warning, d.more(wPrintAsk, p.Text, p.TextEn), amber}
	}
	return said{}
}

// device finds the device of a role; one that the register does not name is taken for ready.
func (d *drawing) device(role string) api.Device {
	for _, dev := range d.v.Devices {
		if dev.Role == role {
			return dev
		}
	}
	return api.Device{Role: role, State: "ready"}
}

func (d *drawing) drawerSays() said {
	s := d.v.Drawer
	switch s.State {
	case "opening":
		return said{paint.Hourglass, d.more(wDrawerOpens, s.Text, s.TextEn), ink2}
	case "opened":
		return said{paint.Drawer, d.more(wDrawerOpen, s.Text, s.TextEn), teal}
	case "failed", "unknown":
		w, c := wDrawerShut, red
		if s.State == "unknown" {
			w, c = wDrawerAsk, amber
		}
		if text, ok := d.aboutReceipt("drawer"); ok {
			return said{paint.Warning, text, c}
		}
		return said{paint.Warning, d.more(w, s.Text, s.TextEn), c}
	}
	return said{}
}

// doneKeys draws what can be done next: print (again), open the drawer when it did not, go on.
func (d *drawing) doneKeys(r image.Rectangle) {
	at := grid(r, 2, 1)
	print, next, c := wPrint, wNext, greyKey
	switch d.v.Print.State {
	case "printing":
		print, c = wPrinting, offKey
	case "done":
		print = wReprint
	case "unknown":
		print, next = wReissue, wNoReissue
	}
	if d.v.Drawer.State == "failed" || d.v.Drawer.State == "unknown" {
		at = grid(r, 3, 1)
		d.labelled(at(1, 0), state.OpenDrawer, wDrawerRetry, greyKey, 20)
		d.labelled(at(0, 0), state.Print, print, c, 20)
		d.labelled(at(2, 0), state.Next, next, blueKey, 22)
		return
	}
	d.labelled(at(0, 0), state.Print, print, c, 20)
	d.labelled(at(1, 0), state.Next, next, blueKey, 22)
}
