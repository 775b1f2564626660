package register

import (
	"context"

	devices "github.com/choba-os/choba/services/devices/api"
	"github.com/choba-os/choba/services/register/api"
)

// Roles of what a sale uses.
const (
	roleScanner = "scanner"
	rolePrinter = "printer"
	roleDrawer  = "drawer"
	roleJournal = "journal"
)

// health is news of a device.
type health struct {
	role  string
	state devices.State
}

// watchDevice follows a device's state; a service that does not answer is a device that is not there.
func (r *Register) watchDevice(ctx context.Context, role string, watch func(context.Context, func(devices.State) error) error) {
	tell := func(s devices.State) error {
		select {
		case r.health <- health{role, s}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for ctx.Err() == nil {
		watch(ctx, tell) // why it ended is of no account: it is asked again
		if tell(devices.State{Connection: devices.Absent, Text: devices.TextAbsent}) != nil {
			return
		}
		pause(ctx)
	}
}

func (r *Register) setHealth(h health) {
	if old, known := r.devices[h.role]; known && old == h.state {
		return
	}
	r.devices[h.role] = h.state
	r.publish()
}

type words struct{ ja, en string }

// deviceWords has the sentence for each thing that a printer or scanner can say of itself, and how to go on.
var deviceWords = map[string]words{
	devices.TextSilent:     {"プリンターが応答しません。電源とケーブルを確かめてください。販売は続けられます", "The printer does not answer. Check power and cable. Selling goes on"},
	devices.TextCoverOpen:  {"プリンターのカバーが開いています。閉めると印刷されます", "The printer's cover is open. Close it to print"},
	devices.TextPaperOut:   {"用紙がありません。用紙を入れると印刷されます", "The printer is out of paper. Load paper to print"},
	devices.TextNearEnd:    {"用紙が残り少なくなっています", "The paper is nearly used up"},
	devices.TextCutter:     {"カッターが詰まっています。用紙を取り除いてください", "The cutter is jammed. Remove the paper"},
	devices.TextFault:      {"プリンターの異常です。電源を入れ直してください。販売は続けられます", "The printer has a fault. Switch it off and on. Selling goes on"},
	devices.TextOffline:    {"プリンターがオフラインです。販売は続けられます", "The printer is offline. Selling goes on"},
	devices.TextPrinting:   {"", ""},
	devices.TextWaiting:    {"印刷待ちのレシートがあります", "A receipt waits for the printer"},
	devices.TextDrawerOpen: {"", ""},
}

var (
	noScanner = words{"スキャナがありません。商品番号を入力して登録できます", "No scanner. Type the article's number instead"}
	noPrinter = words{"プリンターがありません。販売は続けられます。レシートは後で印刷できます", "No printer. Selling goes on; print the receipt later"}
	noDrawer  = words{"ドロアを動かせません。鍵で開けてください", "The drawer cannot be moved. Open it with the key"}
	noJournal = words{"記録装置が応答しません。回復するまで会計できません", "The journal does not answer. Nothing can be sold until it does"}
)

func (r *Register) deviceViews() []api.Device {
	printer := r.devices[rolePrinter]
	drawer := api.Device{Role: roleDrawer, State: "ready"}
	if printer.Connection != devices.Ready {
		drawer = api.Device{Role: roleDrawer, State: "absent", Text: noDrawer.ja, TextEn: noDrawer.en}
	}
	journal := api.Device{Role: roleJournal, State: "ready"}
	if r.down != nil {
		journal = api.Device{Role: roleJournal, State: "absent", Text: noJournal.ja, TextEn: noJournal.en}
	}
	return []api.Device{deviceView(roleScanner, r.devices[roleScanner], noScanner), deviceView(rolePrinter, printer, noPrinter), drawer, journal}
}

func deviceView(role string, s devices.State, absent words) api.Device {
	w := deviceWords[s.Text]
	d := api.Device{Role: role, State: "ready", Text: w.ja, TextEn: w.en}
	switch {
	case s.Connection == devices.Error && role == roleScanner:
		return api.Device{Role: role, State: "error", Text: absent.ja, TextEn: absent.en}
	case s.Connection == devices.Error:
		d.State = "error"
	case s.Connection != devices.Ready: // also while nothing is known yet
		return api.Device{Role: role, State: "absent", Text: absent.ja, TextEn: absent.en}
	case w.ja != "":
		d.State = "warning"
	}
	return d
}
