package guide

import (
	"time"

	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/face"
	"github.com/choba-os/choba/recovery/redeploy"
)

func say(ja, en string) face.Words { return face.Say(ja, en) }

func safe() *face.Note {
	return &face.Note{Icon: paint.Lock, Words: say("売上の記録は安全です。復旧しても消えません。", "Sales data is safe. A repair does not erase it.")}
}

func backButton() face.Button {
	return face.Button{ID: idBack, Words: say("戻る", "Back"), Look: face.White}
}

func menuButton() face.Button {
	return face.Button{ID: idMenu, Words: say("メニュー", "Menu"), Look: face.White}
}

// Page is what is to be shown.
func (g *Guide) Page() face.Page {
	switch g.at {
	case stopped:
		return g.stoppedPage()
	case menu:
		return g.menuPage()
	case sources:
		return g.sourcesPage()
	case working:
		return g.workingPage()
	case reported:
		return g.reportPage()
	case waiting:
		return g.waitingPage()
	case restart:
		return g.restartPage()
	case netChoice:
		return g.netPage()
	case exportAsk:
		return g.exportPage()
	case rebindAsk:
		return g.rebindPage()
	case ticketAsk:
		return g.ticketPage()
	case resetAsk:
		return g.resetPage()
	case colours:
		c := testColours()[g.fill]
		return face.Page{Fill: &c}
	case echo:
		return g.echoPage()
	}
	return g.fieldPage()
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// kindWords names the sources for people.
func kindWords(k redeploy.Kind) face.Words {
	return map[redeploy.Kind]face.Words{
		redeploy.OtherSlot: say("このレジに残っている版", "A version still on this register"),
		redeploy.Factory:   say("工場出荷時の版", "The factory version"),
		redeploy.Stick:     say("USBメモリー", "USB stick"),
		redeploy.Network:   say("ネットワーク", "Network"),
	}[k]
}

func (g *Guide) troubles() (notes []face.Note) {
	for _, t := range g.facts.Troubles {
		w, tone := t.Words(), face.Alarm
		ja, en := w.Japanese+"。", sentence(w.English)
		if t.Slot != "" {
			ja, en = "スロット "+string(t.Slot)+"："+ja, "Slot "+string(t.Slot)+": "+w.English+"."
		}
		notes = append(notes, face.Note{Tone: tone, Icon: paint.Cross, Words: say(ja, en), Detail: t.Cause.Error()})
	}
	return notes
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return string(s[0]&^0x20) + s[1:] + "."
}

func (g *Guide) stoppedPage() face.Page {
	p := face.Page{
		Tone: face.Alarm, Icon: paint.Warning, Title: say("このレジは起動できません", "This register cannot start"),
		Notes: g.troubles(), Foot: safe(),
		Count: &face.Count{
			Title: say("自動で復旧します", "It will repair itself"), Seconds: seconds(g.left),
			Hint: say("画面に触れるかキーを押すと止まります", "A touch or a key stops the countdown"),
		},
		Buttons: []face.Button{
			{ID: idNow, Words: say("今すぐ復旧する", "Repair now"), Icon: paint.Register, Look: face.Green},
			{ID: idMenu, Words: say("止めてメニューを開く", "Stop and open the menu"), Icon: paint.Note, Look: face.White},
		},
	}
	for _, k := range redeploy.Order() {
		p.Count.Steps = append(p.Count.Steps, face.Note{Words: kindWords(k)})
	}
	if g.facts.beyond() {
		p.Count.Title = say("もう一度起動します", "It will start again")
		p.Count.Steps = []face.Note{{Words: say("本体の故障かもしれません", "The machine may be broken")},
			{Words: say("販売店に連絡してください", "Call your dealer")}}
		p.Buttons[0] = face.Button{ID: idNow, Words: say("今すぐ再起動する", "Restart now"), Icon: paint.Register, Look: face.Green}
	}
	if g.facts.keyShut() {
		p.Count.Steps = []face.Note{{Words: say("販売店に連絡してください", "Call your dealer")},
			{Words: say("復旧コードを入力する", "Type the recovery code")}}
		p.Buttons[1] = face.Button{ID: idRebind, Words: say("鍵を登録し直す", "Re-bind the key"), Icon: paint.Lock, Look: face.Blue}
	}
	if g.facts.Asked {
		p.Tone, p.Icon, p.Title, p.Notes = face.Care, paint.Note, say("復旧メニューが選ばれました", "Recovery was asked for"), nil
		p.Count.Title, p.Count.Steps = say("再起動します", "It will restart"), nil
		p.Buttons = p.Buttons[1:]
	}
	return p
}

func (g *Guide) menuPage() face.Page {
	return face.Page{Menu: true, Title: say("復旧メニュー", "Recovery menu"), Foot: safe(), Buttons: []face.Button{
		{ID: idAuto, Icon: paint.Register, Look: face.Green, Words: say("自動で復旧する", "Repair automatically"),
			More: say("使える版を順に探して入れ直します", "Finds a good version and installs it")},
		{ID: idSources, Icon: paint.Drawer, Words: say("復旧元を選ぶ", "Choose the source"),
			More: say("工場出荷時、USBメモリー、ネットワーク", "Factory, USB stick or network")},
		{ID: idSelfTest, Icon: paint.Check, Words: say("自己診断", "Self-test"),
			More: say("ディスク、画面、接続を調べます", "Checks disk, screen and connections")},
		{ID: idNetwork, Icon: paint.Wave, Words: say("ネットワーク設定", "Network settings"),
			More: say("復旧のためだけに使う設定です", "Used for this recovery only")},
		{ID: idExport, Icon: paint.Ticket, Words: say("データを書き出す", "Export data"),
			More: say("販売店用に暗号化されたまま写します", "Encrypted copy for the vendor")},
		{ID: idRebind, Icon: paint.Lock, Words: say("鍵を登録し直す", "Re-bind the key"),
			More: say("基板やファームウェアの交換後に", "After a new board or firmware")},
		{ID: idReset, Icon: paint.Bin, Look: face.Pale, Words: say("初期化する", "Factory reset"),
			More: say("売上データを消します。2人の許可が必要です", "Erases sales data. Needs two persons")},
		{ID: idRestart, Icon: paint.Hourglass, Words: say("再起動する", "Restart"),
			More: say("復旧せずにもう一度起動します", "Starts again without repairing")},
	}}
}

func (g *Guide) sourcesPage() face.Page {
	p := face.Page{Menu: true, Title: say("どこから復旧しますか", "Repair from where?"), Foot: safe()}
	icons := map[redeploy.Kind]paint.Icon{
		redeploy.OtherSlot: paint.Register, redeploy.Factory: paint.Drawer, redeploy.Stick: paint.Ticket, redeploy.Network: paint.Wave,
	}
	more := map[redeploy.Kind]face.Words{
		redeploy.OtherSlot: say("検査して、問題なければもう一度使います", "Checks it and uses it once more"),
		redeploy.Factory:   say("出荷時に保存された版を入れます", "Installs the version saved when it was made"),
		redeploy.Stick:     say("販売店の署名がある最も新しい版を入れます", "Installs the newest version signed by the vendor"),
		redeploy.Network:   say("販売店のサーバーから受け取ります", "Fetches it from the vendor's server"),
	}
	for _, k := range redeploy.Order() {
		p.Buttons = append(p.Buttons, face.Button{ID: idFrom + string(k), Icon: icons[k], Words: kindWords(k), More: more[k]})
	}
	p.Buttons = append(p.Buttons, face.Button{ID: idBack, Icon: paint.Backspace, Look: face.Grey, Words: say("戻る", "Back"), More: say("メニューに戻ります", "Back to the menu")})
	return p
}

// doing names an action while it runs.
func doing(a act.Action) face.Words {
	return map[act.Action]face.Words{
		act.Redeploy: say("復旧しています", "Repairing"),
		act.SelfTest: say("診断しています", "Testing"),
		act.Network:  say("接続しています", "Connecting"),
		act.Export:   say("データを書き出しています", "Exporting data"),
		act.Rebind:   say("鍵を登録し直しています", "Re-binding the key"),
		act.Reset:    say("初期化しています", "Resetting"),
	}[a]
}

func (g *Guide) workingPage() face.Page {
	p := face.Page{Icon: paint.Hourglass, Foot: &face.Note{
		Tone: face.Care, Icon: paint.Warning,
		Words: say("電源を切らないでください。切れた場合は最初からやり直します。", "Keep the power on. If it goes, this starts over; nothing is lost."),
	}}
	if g.running != nil {
		p.Title = doing(g.running.Action)
		if g.running.Action == act.Redeploy && g.progress.How == (face.Words{}) {
			p.Lead = say("売上の記録には触れません。", "Sales data is not touched.")
		}
	}
	what := g.progress.What
	if what == (face.Words{}) {
		what = say("準備しています", "Getting ready")
	}
	p.Bar = &face.Bar{What: what, How: g.progress.How, Done: g.progress.Done, Total: g.progress.Total}
	if g.canStop() {
		p.Buttons = []face.Button{{ID: idStop, Words: say("中止する", "Stop"), Icon: paint.Cross, Look: face.White}}
	}
	return p
}

// rows turns a report's lines into notes.
func rows(lines []act.Line) (notes []face.Note) {
	for _, l := range lines {
		n := face.Note{Words: l.Words, Detail: l.Detail, Icon: paint.Check}
		switch l.Level {
		case act.Known:
			n.Tone, n.Icon = face.Quiet, paint.Note
		case act.Doubtful:
			n.Tone, n.Icon = face.Care, paint.Warning
		case act.Bad:
			n.Tone, n.Icon = face.Alarm, paint.Cross
		}
		notes = append(notes, n)
	}
	return notes
}

func (g *Guide) reportPage() face.Page {
	r := g.report
	p := face.Page{Tone: face.Alarm, Icon: paint.Cross, Title: r.Title, Notes: rows(r.Lines), Buttons: []face.Button{menuButton()}}
	if r.OK {
		p.Tone, p.Icon = face.Calm, paint.Check
	}
	if r.Action == act.SelfTest {
		p.Buttons = append(p.Buttons,
			face.Button{ID: idColours, Words: say("画面の色を見る", "Screen colours")},
			face.Button{ID: idEcho, Words: say("入力を試す", "Try the input")})
	}
	return p
}

func (g *Guide) waitingPage() face.Page {
	return face.Page{
		Tone: face.Alarm, Icon: paint.Warning, Title: say("復旧できませんでした", "It could not be repaired"),
		Notes: rows(g.report.Lines), Foot: safe(),
		Count: &face.Count{
			Title: say("もう一度探します", "It will look again"), Seconds: seconds(g.left),
			Hint: say("画面に触れるかキーを押すと止まります", "A touch or a key stops the countdown"),
			Steps: []face.Note{
				{Words: say("復旧用のUSBメモリーを差してください", "Plug in a recovery USB stick")},
				{Words: say("またはLANケーブルをつないでください", "Or connect the network cable")},
				{Words: say("販売店に連絡してください", "Call your dealer")},
			},
		},
		Buttons: []face.Button{
			{ID: idNow, Words: say("今すぐ探す", "Look now"), Icon: paint.Register, Look: face.Green},
			{ID: idMenu, Words: say("止めてメニューを開く", "Stop and open the menu"), Icon: paint.Note, Look: face.White},
		},
	}
}

func (g *Guide) restartPage() face.Page {
	return face.Page{
		Tone: face.Calm, Icon: paint.Check, Title: g.report.Title, Notes: rows(g.report.Lines), Foot: safe2(g.report),
		Count: &face.Count{
			Title: say("再起動します", "It will restart"), Seconds: seconds(g.left),
			Hint: say("このままお待ちください", "Please wait"),
		},
		Buttons: []face.Button{{ID: idRestart, Words: say("今すぐ再起動する", "Restart now"), Icon: paint.Register, Look: face.Green}},
	}
}

// safe2 leaves the promise out when the data was erased on purpose.
func safe2(r act.Report) *face.Note {
	if r.Action == act.Reset {
		return nil
	}
	return safe()
}

func testColours() []paint.Color {
	return []paint.Color{paint.RGB(0xff0000), paint.RGB(0x00ff00), paint.RGB(0x0000ff), paint.RGB(0xffffff), paint.RGB(0x000000)}
}
