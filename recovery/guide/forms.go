package guide

import (
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/keys/escrow"
	"github.com/choba-os/choba/recovery/face"
)

func (g *Guide) netPage() face.Page {
	return face.Page{Menu: true, Title: say("ネットワーク設定", "Network settings"),
		Foot: &face.Note{Icon: paint.Note, Words: say("電源を切ると元に戻ります。", "Forgotten when the power goes.")},
		Buttons: []face.Button{
			{ID: idDHCP, Icon: paint.Wave, Look: face.Green, Words: say("自動設定（DHCP）", "Automatic (DHCP)"),
				More: say("ほとんどの店ではこちらです", "Right for most shops")},
			{ID: idTyped, Icon: paint.Code2D, Words: say("アドレスを入力する", "Type an address"),
				More: say("アドレス、ゲートウェイ、DNSを入力します", "Address, gateway and name server")},
			{ID: idBack, Icon: paint.Backspace, Look: face.Grey, Words: say("戻る", "Back"), More: say("メニューに戻ります", "Back to the menu")},
		}}
}

func (g *Guide) exportPage() face.Page {
	return face.Page{
		Tone: face.Care, Icon: paint.Ticket, Title: say("データを書き出す", "Export data"),
		Notes: []face.Note{
			{Icon: paint.Lock, Words: say("データは暗号化されたまま写されます。このUSBメモリーを見ても、売上の内容は分かりません。",
				"The data is copied as it is: encrypted. Nobody can read sales from the stick.")},
			{Icon: paint.Ticket, Tone: face.Quiet, Words: say("空きのあるUSBメモリー（FAT形式）を差してください。",
				"Plug in a USB stick (FAT) with enough room.")},
			{Icon: paint.Hourglass, Tone: face.Quiet, Words: say("容量によっては、1時間以上かかることがあります。",
				"Depending on the size it may take an hour or more.")},
			{Icon: paint.Note, Tone: face.Quiet, Words: say("書き出しは記録に残ります。", "The export is recorded.")},
		},
		Buttons: []face.Button{backButton(), {ID: idYes, Words: say("書き出しを始める", "Start the export"), Icon: paint.Ticket, Look: face.Blue}},
	}
}

func (g *Guide) rebindPage() face.Page {
	return face.Page{Menu: true, Title: say("鍵を登録し直す", "Re-bind the key"), Foot: safe(), Buttons: []face.Button{
		{ID: idLetter, Icon: paint.Ticket, Words: say("1. 依頼書を書き出す", "1. Write the request"),
			More: say("USBメモリーに書き出して、販売店に送ります", "Onto a USB stick, for the vendor")},
		{ID: idCode, Icon: paint.Code2D, Look: face.Green, Words: say("2. 復旧コードを入力する", "2. Type the recovery code"),
			More: say("販売店から聞いた48桁の数字です", "The 48 digits that the vendor told you")},
		{ID: idBack, Icon: paint.Backspace, Look: face.Grey, Words: say("戻る", "Back"), More: say("メニューに戻ります", "Back to the menu")},
	}}
}

func (g *Guide) ticketPage() face.Page {
	return face.Page{
		Tone: face.Alarm, Icon: paint.Bin, Title: say("初期化する（売上データを消去）", "Factory reset (erases sales data)"),
		Facts: []face.Fact{
			{Name: say("レジの番号", "Register"), Value: g.facts.Register},
			{Name: say("確認番号", "Nonce"), Value: g.nonce()},
		},
		Notes: []face.Note{
			{Icon: paint.Person, Tone: face.Quiet, Words: say("この2つの番号を販売店に伝えてください。販売店の2人が署名した許可書が必要です。",
				"Tell the vendor both numbers. Two of its people must sign a ticket for them.")},
			{Icon: paint.Ticket, Tone: face.Quiet, Words: say("受け取った許可書（choba.ticket）をUSBメモリーに入れて差してください。",
				"Put the ticket (choba.ticket) on a USB stick and plug it in.")},
		},
		Buttons: []face.Button{backButton(), {ID: idReset, Words: say("許可書を差しました", "The ticket is plugged in"), Look: face.Red}},
	}
}

func (g *Guide) nonce() string {
	if g.facts.Nonce == nil {
		return ""
	}
	return g.facts.Nonce()
}

func (g *Guide) resetPage() face.Page {
	return face.Page{
		Tone: face.Alarm, Icon: paint.Warning, Title: say("売上データをすべて消去しますか", "Erase all sales data?"),
		Notes: []face.Note{
			{Icon: paint.Bin, Tone: face.Alarm, Words: say("このレジに残っている売上、会計記録、設定がすべて消えます。元に戻せません。",
				"All sales, records and settings of this register are erased. There is no way back.")},
			{Icon: paint.Note, Tone: face.Quiet, Words: say("初期化したことと、許可した2人の名前は記録に残ります。",
				"The reset, and who allowed it, is recorded.")},
		},
		Buttons: []face.Button{backButton(), {ID: idYes, Words: say("すべて消去する", "Erase everything"), Icon: paint.Bin, Look: face.Red}},
	}
}

func (g *Guide) echoPage() face.Page {
	return face.Page{
		Icon: paint.Note, Title: say("入力を試す", "Try the input"), Dots: g.dots, Keys: g.keys,
		Notes: []face.Note{
			{Icon: paint.Check, Words: say("触れた場所に青い点が出ます。", "A blue dot appears where you touch.")},
			{Icon: paint.Check, Words: say("押したキーが下に表示されます。", "Keys that you press appear below.")},
		},
		Buttons: []face.Button{backButton()},
	}
}

// field is what is being typed on this page, nil on a page without a keypad.
func (g *Guide) field() *face.Field {
	const address = "1234567890./"
	done := face.Button{ID: idDone, Words: say("決定", "OK"), Look: face.Green, Off: !g.valid()}
	switch g.at {
	case code:
		return &face.Field{Text: g.typed, Groups: escrow.Groups, Size: escrow.GroupDigits, Wrong: wrong(g.typed), Keys: "1234567890", Done: done,
			Hint: say("販売店から聞いた復旧コード（48桁）を入力してください。", "Type the recovery code (48 digits) that the vendor told you.")}
	case netAddress:
		return &face.Field{Text: g.typed, Keys: address, Done: done,
			Hint: say("このレジのアドレスとネットワークの長さ（例：192.168.1.50/24）", "This register's address and prefix (192.168.1.50/24)")}
	case netGateway:
		return &face.Field{Text: g.typed, Keys: address, Done: g.orSkip(done),
			Hint: say("ゲートウェイ（例：192.168.1.1）。なければ空のまま進みます。", "Gateway (192.168.1.1). Leave it empty when there is none.")}
	case netDNS:
		return &face.Field{Text: g.typed, Keys: address, Done: g.orSkip(done),
			Hint: say("DNSサーバー（例：192.168.1.1）。なければ空のまま進みます。", "Name server (192.168.1.1). Leave it empty when there is none.")}
	}
	return nil
}

// orSkip lets an empty field be left empty.
func (g *Guide) orSkip(done face.Button) face.Button {
	if g.typed == "" {
		return face.Button{ID: idSkip, Words: say("なしで進む", "None"), Look: face.Blue}
	}
	return done
}

func (g *Guide) fieldPage() face.Page {
	p := face.Page{Icon: paint.Wave, Field: g.field(), Buttons: []face.Button{backButton()}}
	switch g.at {
	case code:
		p.Tone, p.Icon, p.Title = face.Care, paint.Lock, say("鍵を登録し直す", "Re-bind the key")
	case netAddress:
		p.Title = say("アドレス", "Address")
	case netGateway:
		p.Title = say("ゲートウェイ", "Gateway")
	case netDNS:
		p.Title = say("DNSサーバー", "Name server")
	}
	return p
}
