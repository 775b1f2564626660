package view

import (
	"fmt"
	"image"
	"slices"
	"strings"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/display/text"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
)

// button is a key at the foot of a dialog.
type button struct {
	id string
	w  words
	c  paintwork
}

// ask draws a dialog with a title, a text and its keys.
func (d *drawing) ask(icon paint.Icon, fill, col paint.Color, title, text string, keys ...button) {
	d.modal()
	const w = 640
	body := d.paragraph(d.r(20), text, w-80)
	r := d.sheet(w, 112+34*len(body)+48+88+24)
	x0 := r.Min.X + 40
	d.Round(paint.Rect(x0, r.Min.Y+32, 56, 56), 28, fill)
	d.Icon(icon, x0+28, r.Min.Y+60, 32, col)
	d.Label(title, x0+76, r.Min.Y+60, w-156, list.Left, ink, d.sizes(bold, 26, 24, 22, 20, 18)...)
	for i, s := range body {
		d.Line(d.r(20), s, x0, r.Min.Y+128+34*i, list.Left, ink2)
	}
	at := grid(image.Rect(r.Min.X+24, r.Max.Y-24-88, r.Max.X-24, r.Max.Y-24), len(keys), 1)
	for i, k := range keys {
		d.labelled(at(i, 0), k.id, k.w, k.c, 22)
	}
}

func (d *drawing) cancelPanel() {
	d.ask(paint.Warning, redPale, red, wCancelTitle.in(d.en), wCancelText.in(d.en),
		button{state.Close, wCancelNo, greyKey}, button{state.CancelYes, wCancelYes, redKey})
}

// message draws what the register has to say: a strip for information, a dialog for what has to be read.
func (d *drawing) message() {
	m := d.ui.Message(d.v)
	if m == nil {
		return
	}
	if _, said := d.aboutReceipt(m.Code); said && slices.Contains([]string{"printer", "reprint?", "drawer"}, m.Code) {
		return
	}
	text := words{m.Text, m.TextEn}.in(d.en)
	ok := button{state.Ack, wOK, blueKey}
	switch {
	case m.Kind == "info":
		d.toast(text, paint.Note, state.Ack)
	case m.Kind == "ask" && m.Code == "reprint?":
		d.ask(paint.Printer, amberPale, amber, d.titleOf(m), text,
			button{state.Print, wReissue, greyKey}, button{state.Ack, wNoReissue, blueKey})
	case m.Kind == "error":
		d.ask(paint.Warning, redPale, red, d.titleOf(m), text, ok)
	default:
		d.ask(paint.Warning, amberPale, amber, d.titleOf(m), text, ok)
	}
}

// titleOf gives the few words over a message.
func (d *drawing) titleOf(m *api.Message) string {
	w := words{"お知らせ", "Please note"}
	switch m.Code {
	case "unknown-code":
		w = words{"登録のない商品です", "Unknown item"}
	case "bad-code":
		w = words{"読み取れない番号です", "Unreadable number"}
	case "in-store-code":
		w = words{"店内用の番号です", "In-store number"}
	case "in-tender":
		w = words{"お支払いの途中です", "Payment under way"}
	case "limit":
		w = words{"上限を超えています", "Over the limit"}
	case "journal":
		w = words{"記録できません", "Cannot record"}
	case "short-cash":
		w = words{"お預りが足りません", "Not enough cash"}
	case "printer":
		w = words{"プリンターを確認してください", "Check the printer"}
	case "drawer":
		w = words{"ドロアを確認してください", "Check the drawer"}
	case "reprint?":
		w = words{"レシートは出ましたか", "Did the receipt come out?"}
	case "interrupted":
		w = words{"途中で電源が切れました", "The power was cut"}
	case "tender-off":
		w = words{"使えないお支払い方法です", "Payment not available"}
	case "not-now", "no-line":
		w = words{"今はできません", "Not possible now"}
	case "scanner-gap":
		w = words{"読み取りを確認してください", "Check the last scans"}
	}
	return w.in(d.en)
}

// notice draws the screen's own sentence.
func (d *drawing) notice() {
	if d.ui.Notice != (state.Notice{}) {
		d.toast(words{d.ui.Notice.Ja, d.ui.Notice.En}.in(d.en), paint.Note, state.Dismiss)
	}
}

// toast draws a dark strip over the foot of the list, where it covers neither the total nor the number keys.
func (d *drawing) toast(text string, icon paint.Icon, id string) {
	f := d.b(20)
	w := d.at.items.Dx() - 16
	lines := d.paragraph(f, text, w-96)
	h := 28 + 32*len(lines)
	r := paint.Rect(d.at.items.Min.X+8, d.at.items.Max.Y-8-h, w, h)
	d.Shadow(r, 16, 16, 6, 0x78000000)
	d.Round(r, 16, night)
	d.Icon(icon, r.Min.X+36, (r.Min.Y+r.Max.Y)/2, 26, sun)
	for i, s := range lines {
		d.Line(f, s, r.Min.X+66, r.Min.Y+30+32*i, list.Left, white)
	}
	d.Hit(r, id)
}

// devicesPanel lists what the sale would use, and says how to go on without what is missing.
func (d *drawing) devicesPanel() {
	d.modal()
	const w = 760
	type entry struct {
		dev  api.Device
		text []string
	}
	var es []entry
	h := 108
	for _, dev := range d.v.Devices {
		var text []string
		if s := (words{dev.Text, dev.TextEn}).in(d.en); s != "" {
			text = d.paragraph(d.r(18), s, w-80-64)
			text = text[:min(len(text), 2)]
		}
		es = append(es, entry{dev, text})
		h += 64 + 28*len(text)
	}
	if d.v.Software.Name != "" {
		h += 64
	}
	r := d.sheet(w, h+24+80+24)
	x0, x1, y := r.Min.X+40, r.Max.X-40, r.Min.Y+54
	a, b := wDevices.pair(d.en)
	x := d.Line(d.b(28), a, x0, y, list.Left, ink)
	d.Line(d.r(18), b, x+14, y+2, list.Left, ink3)
	y = r.Min.Y + 108
	for _, e := range es {
		d.Fill(paint.Rect(x0, y-8, x1-x0, 1), hair)
		c, fill := teal, tealPale
		if e.dev.State != "ready" {
			c, fill = amber, amberPale
		}
		d.Round(paint.Rect(x0, y+4, 44, 44), 22, fill)
		d.Icon(deviceIcon(e.dev.Role), x0+22, y+26, 26, c)
		d.Line(d.b(20), role(e.dev.Role).in(d.en), x0+64, y+26, list.Left, ink)
		d.Line(d.b(18), condition(e.dev.State).in(d.en), x1, y+26, list.Right, c)
		for i, s := range e.text {
			d.Line(d.r(18), s, x0+64, y+58+28*i, list.Left, ink2)
		}
		y += 64 + 28*len(e.text)
	}
	if d.v.Software.Name != "" {
		d.software(x0, x1, y)
	}
	foot := image.Rect(x0+160, r.Max.Y-24-80, x1-160, r.Max.Y-24)
	if d.v.Software.CanCheck {
		at := grid(image.Rect(x0, foot.Min.Y, x1, foot.Max.Y), 2, 1)
		d.labelled(at(0, 0), state.UpdateCheck, wUpdateCheck, greyKey, 22)
		foot = at(1, 0)
	}
	d.labelled(foot, state.Close, wClose, greyKey, 22)
}

// software is the row of the release that runs.
func (d *drawing) software(x0, x1, y int) {
	d.Fill(paint.Rect(x0, y-8, x1-x0, 1), hair)
	d.Round(paint.Rect(x0, y+4, 44, 44), 22, bluePale)
	d.Icon(paint.Register, x0+22, y+26, 26, blue)
	x := d.Line(d.b(20), wSoftware.in(d.en), x0+64, y+26, list.Left, ink)
	s := d.v.Software
	version := words{fmt.Sprintf("%s(第%d版)", s.Name, s.Version), fmt.Sprintf("%s (release %d)", s.Name, s.Version)}.in(d.en)
	d.Name(d.r(18), version, x1, y+26, x1-x-20, list.Right, ink2)
}

// paragraph breaks a text into lines: sentences that fit stay whole when that costs no line, else lines of about the same length.
func (d *drawing) paragraph(f *text.Face, s string, w int) []string {
	room := d.Room(w)
	lines := f.Wrap(s, room)
	if len(lines) < 2 {
		return lines
	}
	if by := f.Wrap(strings.TrimSuffix(sentences.Replace(s), "\n"), room); len(by) <= len(lines) {
		return by
	}
	for narrow := room * 95 / 100; narrow > room/2; narrow = narrow * 95 / 100 {
		next := f.Wrap(s, narrow)
		if len(next) > len(lines) {
			break
		}
		lines = next
	}
	return lines
}

// sentences puts each sentence on a line of its own.
var sentences = strings.NewReplacer("。", "。\n", ". ", ".\n")
