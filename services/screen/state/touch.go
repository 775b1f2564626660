package state

import (
	"strconv"
	"strings"

	"github.com/choba-os/choba/services/register/api"
)

// The names of places that answer a touch. Those with a colon carry a value: "key:7", "tender:cash", "quick:5000", "line:12".
const (
	Key        = "key:" // 0–9, 00, back, clear, quantity, enter
	TenderKey  = "tender:"
	Quick      = "quick:"
	LineTouch  = "line:"
	List       = "list"
	Exact      = "exact"
	Pay        = "pay"
	Back       = "back"
	Next       = "next"
	Print      = "print"
	OpenDrawer = "drawer"
	Remove     = "remove"
	Less       = "less"
	More       = "more"
	PageUp     = "up"
	PageDown   = "down"
	Cancel     = "cancel"
	CancelYes  = "cancel-yes"
	Close      = "close"
	Devices    = "devices"
	Language   = "language"
	Ack        = "ack"
	Dismiss    = "dismiss" // the screen's own sentence

	UpdateAsk   = "update"      // the notice's key to restart, which asks first
	UpdateRead  = "update-read" // the notice was read
	UpdateNow   = "update-now"
	UpdateLater = "update-postpone"
	UpdateAgain = "update-again"
	UpdateCheck = "update-check"
)

// Touch is a finger lifted over the place id. The Act, if any, has no ID and no Lang yet. rows is how many lines the list shows.
func (u UI) Touch(v api.View, id string, rows int) (UI, *api.Act) {
	u.Notice = Notice{}
	if u.Away && id != Language {
		return u, nil
	}
	name, value, _ := strings.Cut(id, ":")
	switch name + ":" {
	case Key:
		return u.key(v, value)
	case TenderKey:
		return u.tender(v, value)
	case Quick:
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return u.cash(v, n)
		}
		return u, nil
	case LineTouch:
		if n, err := strconv.Atoi(value); err == nil {
			u.Line = n
		}
		return u, nil
	}
	return u.plain(v, id, rows)
}

// plain handles the places without a value.
func (u UI) plain(v api.View, id string, rows int) (UI, *api.Act) {
	switch id {
	case Exact:
		return u.cash(v, 0)
	case Pay:
		return u.pay(v)
	case Back, Next, Print, OpenDrawer, Ack:
		u.Entry = ""
		return u, &api.Act{Op: id}
	case UpdateNow, UpdateLater, UpdateAgain, UpdateCheck:
		u.Panel = NoPanel
		return u, &api.Act{Op: id}
	case UpdateAsk:
		u.Panel = UpdatePanel
	case UpdateRead:
		return u.confirm(v), nil
	case Remove, Less, More:
		return u.line(v, id)
	case PageUp:
		return u.Scroll(v, rows, -max(rows-1, 1)), nil
	case PageDown:
		return u.Scroll(v, rows, max(rows-1, 1)), nil
	case Cancel:
		if len(v.Lines) == 0 {
			return u.say("取り消す商品がありません。", "There is nothing to cancel."), nil
		}
		u.Panel = CancelPanel
	case CancelYes:
		u.Panel, u.Entry = NoPanel, ""
		return u, &api.Act{Op: api.OpCancel}
	case Devices:
		u.Panel = DevicesPanel
	case Close:
		u.Panel = NoPanel
	case Language:
		if u.English() {
			u.Lang = Japanese
		} else {
			u.Lang = English
		}
	}
	return u, nil
}

// Scroll moves the list by n lines.
func (u UI) Scroll(v api.View, rows, n int) UI {
	first, _ := u.Window(v, rows)
	return u.ScrollTo(v, rows, first+n)
}

func (u UI) say(ja, en string) UI {
	u.Notice = Notice{Ja: ja, En: en}
	return u
}

func (u UI) key(v api.View, k string) (UI, *api.Act) {
	switch k {
	case "back":
		if n := len(u.Entry); n > 0 {
			u.Entry = u.Entry[:n-1]
		}
	case "clear":
		u.Entry = ""
	case "quantity":
		return u.quantity(v)
	case "enter":
		if u.Entry == "" {
			return u.say("商品の番号を入れてから「登録」に触れてください。", "Type the item's number, then touch Enter."), nil
		}
		a := &api.Act{Op: api.OpCode, Code: u.Entry}
		u.Entry = ""
		return u, a
	default:
		return u.digits(v, k), nil
	}
	return u, nil
}

func (u UI) digits(v api.View, d string) UI {
	if d == "" || strings.Trim(d, "0123456789") != "" {
		return u
	}
	limit := MaxCode
	if v.Phase == api.PhaseTender {
		limit = MaxAmount
		d = strings.TrimLeft(u.Entry+d, "0")
	} else {
		d = u.Entry + d
	}
	if len(d) > limit {
		return u.say("これ以上は入力できません。", "No more digits can be typed.")
	}
	u.Entry = d
	return u
}

// quantity sets the selected line to the number typed before.
func (u UI) quantity(v api.View) (UI, *api.Act) {
	line, ok := u.Selected(v)
	switch {
	case !ok:
		return u.say("先に商品を登録してください。", "Register an item first."), nil
	case u.Entry == "":
		return u.say("個数を入れてから「数量」に触れてください。", "Type the number of pieces, then touch Qty."), nil
	}
	n, err := strconv.Atoi(u.Entry)
	if err != nil || n < 1 || n > MaxQty {
		u.Entry = ""
		return u.say("個数は 1 から 999 までです。", "The quantity must be from 1 to 999."), nil
	}
	u.Entry = ""
	return u, &api.Act{Op: api.OpQuantity, Line: line.ID, Qty: n}
}

// line handles the keys that change the selected line.
func (u UI) line(v api.View, id string) (UI, *api.Act) {
	line, ok := u.Selected(v)
	switch {
	case !ok:
		return u.say("先に商品を登録してください。", "Register an item first."), nil
	case id == Remove:
		u.Line = 0
		return u, &api.Act{Op: api.OpRemove, Line: line.ID}
	case id == More:
		return u, &api.Act{Op: api.OpQuantity, Line: line.ID, Qty: line.Qty + 1}
	case line.Qty <= 1:
		return u.say("残り1点です。取り消すときは「行取消」に触れてください。", "Only one is left. Touch Remove to take it off."), nil
	}
	return u, &api.Act{Op: api.OpQuantity, Line: line.ID, Qty: line.Qty - 1}
}

func (u UI) tender(v api.View, id string) (UI, *api.Act) {
	for _, t := range v.Tenders {
		switch {
		case t.ID != id:
		case !t.Enabled:
			return u.say("「"+t.Name+"」は、このレジではまだ使えません。", t.NameEn+" cannot be used at this register yet."), nil
		case len(v.Lines) == 0:
			return u.say("先に商品を登録してください。", "Register an item first."), nil
		case v.Phase != api.PhaseSale:
			return u, nil
		default:
			u.Entry = strings.TrimLeft(u.Entry, "0")
			return u, &api.Act{Op: api.OpTender}
		}
	}
	return u, nil
}

// pay takes the amount typed.
func (u UI) pay(v api.View) (UI, *api.Act) {
	n, err := strconv.ParseInt(u.Entry, 10, 64)
	if err != nil {
		return u.say("お預かりした金額を入れてください。", "Type the amount received."), nil
	}
	return u.cash(v, n)
}

// cash takes an amount; 0 is exact.
func (u UI) cash(v api.View, amount int64) (UI, *api.Act) {
	switch {
	case len(v.Lines) == 0:
		return u.say("先に商品を登録してください。", "Register an item first."), nil
	case amount != 0 && amount < v.Total:
		return u.say("お預かりが合計に足りません。", "The amount received is less than the total."), nil
	}
	return u, &api.Act{Op: api.OpCash, Amount: amount}
}
