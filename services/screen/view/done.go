package view

import (
	"image"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/services/screen/state"
)

// done draws the dialog of a paid sale: the change, and what is known of receipt and drawer.
func (d *drawing) done() {
	d.modal()
	r := d.sheet(640, 612)
	x0, x1 := r.Min.X+40, r.Max.X-40
	d.heading(x0, r.Min.Y+62, paint.Check, wDone, x1-x0)
	d.sums(wTotal, Yen(d.v.Total), x0, x1, r.Min.Y+138)
	d.sums(wCashGot, Yen(d.v.Paid), x0, x1, r.Min.Y+180)
	box := image.Rect(r.Min.X+24, r.Min.Y+212, r.Max.X-24, r.Min.Y+212+150)
	d.Round(box, 16, tealPale)
	a, b := wChange.pair(d.en)
	x := d.Line(d.b(28), a, x0, box.Min.Y+56, list.Left, tealDown)
	d.Line(d.r(18), b, x0, box.Min.Y+92, list.Left, tealDown)
	d.Label(Yen(d.v.Change), x1-4, box.Min.Y+75, x1-4-x-20, list.Right, tealDown, d.sizes(digits, 88, 76, 66, 56, 48)...)
	y := box.Max.Y + 34
	p, dr := d.printSays(), d.drawerSays()
	d.status(p, x0, y, x1-x0)
	d.status(dr, x0, y+38, x1-x0)
	d.doneKeys(image.Rect(r.Min.X+24, r.Max.Y-24-92, r.Max.X-24, r.Max.Y-24))
}

// said is one line on what became of the receipt or the drawer.
type said struct {
	icon paint.Icon
	text string
	c    paint.Color
}

func (d *drawing) status(s said, x, y, room int) {
	if s.text == "" {
		return
	}
	d.Icon(s.icon, x+12, y, 24, s.c)
	d.Name(d.b(18), s.text, x+36, y, room-36, list.Left, s.c)
}

// more prefers the register's own sentence, which may say why.
func (d *drawing) more(w words, text, textEn string) string {
	own := words{text, textEn}.in(d.en)
	if own != "" {
		return own
	}
	return w.in(d.en)
}

func (d *drawing) printSays() said {
	p := d.v.Print
	switch p.State {
	case "printing":
		return said{paint.Hourglass, wPrinting.in(d.en), ink2}
	case "done":
		return said{paint.Printer, wPrinted.in(d.en), teal}
	case "not-done":
		return said{paint.Warning, d.more(wNotPrinted, p.Text, p.TextEn), red}
	case "unknown":
		return said{paint.Warning, d.more(wPrintAsk, p.Text, p.TextEn), amber}
	}
	return said{}
}

func (d *drawing) drawerSays() said {
	s := d.v.Drawer
	switch s.State {
	case "opening":
		return said{paint.Hourglass, wDrawerOpens.in(d.en), ink2}
	case "opened":
		return said{paint.Drawer, wDrawerOpen.in(d.en), teal}
	case "failed":
		return said{paint.Warning, d.more(wDrawerShut, s.Text, s.TextEn), red}
	case "unknown":
		return said{paint.Warning, d.more(wDrawerAsk, s.Text, s.TextEn), amber}
	}
	return said{}
}

// doneKeys draws what can be done next: print (again), open the drawer when it did not, go on.
func (d *drawing) doneKeys(r image.Rectangle) {
	at := grid(r, 2, 1)
	print, next, c := wReprint, wNext, greyKey
	switch d.v.Print.State {
	case "printing":
		print, c = wPrinting, offKey
	case "not-done":
		print = wPrintRetry
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
