package view_test

import (
	"fmt"
	"time"

	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
)

func at(clock string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", "2026-11-21 "+clock, time.FixedZone("JST", 9*3600))
	if err != nil {
		panic(err)
	}
	return t
}

func article(id int, name, en, code string, qty int, unit int64, reduced bool) api.Line {
	return api.Line{ID: id, Name: name, NameEn: en, Code: code, Qty: qty, Unit: unit, Amount: unit * int64(qty), Reduced: reduced}
}

// base is a register with nothing on it.
func base() api.View {
	return api.View{
		Rev: 7, Phase: api.PhaseIdle, Shop: "駅前商店 本店", Register: "02", Receipt: "000482", Business: "2026-11-21", TaxInside: true,
		Operator: api.Operator{ID: "1001", Name: "山田 花子", Role: "cashier"}, Now: at("14:32"),
		Tenders: []api.Tender{
			{ID: "cash", Name: "現金", NameEn: "Cash", Kind: "cash", Enabled: true},
			{ID: "credit", Name: "クレジット", NameEn: "Credit card", Kind: "credit"},
			{ID: "emoney", Name: "電子マネー", NameEn: "E-money / IC", Kind: "emoney"},
			{ID: "qr", Name: "QR決済", NameEn: "QR payment", Kind: "qr"},
		},
		Devices: []api.Device{
			{Role: "scanner", State: "ready"}, {Role: "printer", State: "ready"}, {Role: "drawer", State: "ready"}, {Role: "journal", State: "ready"},
		},
	}
}

// sum fills in what the register would have computed (tax inside, one rounding down a rate).
func sum(v api.View) api.View {
	var by [2]int64
	v.Total, v.Count = 0, 0
	for _, l := range v.Lines {
		i := 0
		if l.Reduced {
			i = 1
		}
		by[i] += l.Amount
		v.Total += l.Amount
		v.Count += l.Qty
	}
	v.Rates = nil
	if by[0] > 0 {
		v.Rates = append(v.Rates, api.RateSum{Percent: 10, Base: by[0], Tax: by[0] * 10 / 110})
	}
	if by[1] > 0 {
		v.Rates = append(v.Rates, api.RateSum{Percent: 8, Reduced: true, Base: by[1], Tax: by[1] * 8 / 108})
	}
	v.Quick = nil
	for _, u := range []int64{500, 1000, 5000, 10000} {
		if n := (v.Total + u - 1) / u * u; n > v.Total && (len(v.Quick) == 0 || n > v.Quick[len(v.Quick)-1]) {
			v.Quick = append(v.Quick, n)
		}
	}
	return v
}

func sale() api.View {
	v := base()
	v.Phase = api.PhaseSale
	bento := article(3, "特製幕の内弁当", "Makunouchi bento", "4903456789016", 1, 698, true)
	bento.Discount, bento.Amount = 140, 558
	v.Lines = []api.Line{
		article(1, "宇治抹茶入り緑茶 500ml", "Uji matcha green tea 500ml", "4901234567894", 2, 138, true),
		article(2, "手巻おにぎり 紅鮭", "Rice ball, red salmon", "4902345678905", 3, 168, true),
		bento,
		article(4, "プレミアム缶ビール 350ml", "Premium beer, can 350ml", "4904567890127", 6, 228, false),
		article(5, "USB-C 充電ケーブル 1.5m", "USB-C charging cable 1.5m", "4905678901238", 1, 1280, false),
		article(6, "北海道牛乳 1L", "Hokkaido milk 1L", "4906789012349", 1, 248, true),
		article(7, "レジ袋(大)", "Carrier bag (large)", "000012", 1, 5, false),
	}
	v.Lines[6].Last = true
	return sum(v)
}

func tender() api.View {
	v := sale()
	v.Phase = api.PhaseTender
	return v
}

func done() api.View {
	v := sale()
	v.Phase, v.Paid = api.PhaseDone, 10000
	v.Change = v.Paid - v.Total
	v.Print.State, v.Drawer.State = "done", "opened"
	return v
}

func long() api.View {
	v := sale()
	v.Lines = nil
	for i := range 500 {
		v.Lines = append(v.Lines, article(i+1, fmt.Sprintf("特選 北海道産小麦使用 もちもち食感の全粒粉入り角食パン 6枚切り %d袋入り", i+1),
			fmt.Sprintf("Whole-grain square bread from Hokkaido wheat, six slices, pack of %d", i+1), "4901234567894", 2, 99999, i%2 == 0))
	}
	v.Lines[499].Last = true
	return sum(v)
}

func dear() api.View {
	v := sale()
	v.Lines = []api.Line{article(1, "業務用大型冷蔵ショーケース", "Refrigerated display case", "4901234567894", 9, 11111111, false)}
	v.Lines[0].Last = true
	v = sum(v)
	v.Total = 99999999
	return v
}

func message(v api.View, kind, code, ja, en string) api.View {
	v.Message = &api.Message{Kind: kind, Code: code, Text: ja, TextEn: en, At: at("14:32")}
	return v
}

func notice(phase, ja, en, text, textEn string) api.View {
	v := base()
	v.Update = &api.UpdateNotice{Phase: phase, Title: ja, TitleEn: en, Text: text, TextEn: textEn, CanAgain: phase == api.UpdateRefused}
	return v
}

func loading() api.View {
	v := notice(api.UpdateLoading, "新しい版を読み込んでいます", "Loading a new version", "このまま販売を続けられます。", "You can keep selling.")
	v.Update.Percent = 42
	return v
}

func ready() api.View {
	v := notice(api.UpdateReady, "新しい版の準備ができました", "A new version is ready",
		"11月22日 02:00ごろ、自動で再起動します。会計中には再起動しません。", "It restarts by itself at about 02:00 on 22 Nov. Never during a sale.")
	v.Update.CanNow, v.Update.CanPostpone = true, true
	return v
}

func fallback() api.View {
	v := notice(api.UpdateFallback, "前の版に戻しました", "Back on the version before",
		"新しい版は正常に起動しなかったため、前の版に戻しました。販売は通常どおり続けられます。",
		"The new version did not start properly, so the register is back on the one before. You can sell as usual.")
	v.Update.Small, v.Update.SmallEn, v.Update.CanAgain = "理由：画面の準備が30秒以内に終わりませんでした", "Reason: the screen was not ready within 30 s", true
	return v
}

func warned() api.View {
	v := notice(api.UpdateNone, "", "", "", "")
	v.Update.Warning = "更新サーバーの更新情報は有効期限が切れています。新しい版は入れません。販売には影響ありません。"
	v.Update.WarningEn = "The update information on the update server is out of date. Nothing new is installed; selling is not affected."
	return v
}

type sample struct {
	name string
	v    api.View
	ui   state.UI
}

// samples are the states of the screen that people meet.
func samples() []sample {
	starting := base()
	starting.Phase = api.PhaseStarting
	starting.Devices[0] = api.Device{Role: "scanner", State: "absent", Text: "スキャナーを待っています。", TextEn: "Waiting for the scanner."}
	paper := sale()
	paper.Devices[1] = api.Device{Role: "printer", State: "error", Text: "用紙がありません。紙を入れると続きを印刷します。それまでも販売は続けられます。",
		TextEn: "Out of paper. Printing goes on when paper is put in; you can keep selling."}
	two := sale()
	two.Devices[0].State, two.Devices[2].State = "absent", "warning"
	unknown := done()
	unknown.Print = api.PrintState{State: "unknown", Text: "レシートが最後まで出たか分かりません。", TextEn: "It is not known whether the receipt came out."}
	failed := done()
	failed.Drawer = api.DrawerState{State: "failed"}
	failed.Print = api.PrintState{State: "not-done", Text: "用紙がありません。", TextEn: "Out of paper."}
	said := message(done(), "ask", "reprint?", "No.000482のレシートが印刷されたか分かりません。出ていなければ再発行してください。", "Receipt No. 000482 may or may not be printed. If it is missing, print a copy.")
	said.Print = unknown.Print
	jam := message(failed, "warning", "printer", "No.000482のレシートを印刷できませんでした。プリンタを確かめて「レシート印刷」を押してください。", "Receipt No. 000482 was not printed. Check the printer and press Print receipt.")
	waits := done()
	waits.Print = api.PrintState{State: "printing", Text: "用紙がありません", TextEn: "Out of paper"}
	waits.Devices = []api.Device{{Role: "printer", State: "error"}}
	exact := done()
	exact.Paid, exact.Change, exact.Print.State = exact.Total, 0, "printing"
	rich := dear()
	rich.Phase, rich.Paid, rich.Print.State, rich.Drawer.State = api.PhaseDone, 99999999, "done", "opening"
	closed := base()
	closed.Phase = api.PhaseClosed
	richTender := dear()
	richTender.Phase = api.PhaseTender
	return append(updates(), []sample{
		{"away", api.View{}, state.UI{Away: true}},
		{"starting", starting, state.UI{}},
		{"closed", closed, state.UI{}},
		{"idle", base(), state.UI{}},
		{"sale", sale(), state.UI{}},
		{"typing", sale(), state.UI{Entry: "25", Line: 4, Pressed: "key:5"}},
		{"code", sale(), state.UI{Entry: "49012345678904901234"}},
		{"long", long(), state.UI{}},
		{"scrolled", long(), state.UI{Pinned: true, Top: 100, Line: 103}},
		{"dear", dear(), state.UI{}},
		{"paper", paper, state.UI{}},
		{"devices", paper, state.UI{Panel: state.DevicesPanel}},
		{"two", two, state.UI{}},
		{"cancel", sale(), state.UI{Panel: state.CancelPanel}},
		{"notice", sale(), state.UI{Notice: state.Notice{Ja: "「クレジット」は、このレジではまだ使えません。", En: "Credit card cannot be used at this register yet."}}},
		{"tender", tender(), state.UI{}},
		{"short", tender(), state.UI{Entry: "1000"}},
		{"enough", tender(), state.UI{Entry: "5000"}},
		{"dear-tender", richTender, state.UI{Entry: "99999999"}},
		{"change", done(), state.UI{}},
		{"exact", exact, state.UI{}},
		{"unknown", unknown, state.UI{}},
		{"failed", failed, state.UI{}},
		{"said", said, state.UI{}},
		{"jam", jam, state.UI{}},
		{"waits", waits, state.UI{}},
		{"dear-done", rich, state.UI{}},
		{"unknown-code", message(sale(), "warning", "unknown-code", "4999999999996 は登録されていません。商品をもう一度確かめてください。", "4999999999996 is not in the catalogue. Please check the item."), state.UI{}},
		{"journal", message(sale(), "error", "journal", "記録に書き込めないため、会計を始められません。電源を切らずに、少し待ってからもう一度お試しください。", "The journal cannot be written, so the payment was not started. Do not switch off; wait a moment and try again."), state.UI{}},
		{"reprint", message(base(), "ask", "reprint?", "レシートが最後まで出たか分かりません。再発行すると「再発行」と印字されます。", "It is not known whether the receipt came out. A copy is marked as such."), state.UI{}},
		{"info", message(sale(), "info", "interrupted", "停電前の取引を復元しました。続けて登録できます。", "The sale from before the power cut was restored. You can go on."), state.UI{}},
	}...)
}

// updates are the states that have to do with updates, and with a register that lacks protection.
func updates() []sample {
	insecure := &api.Pair{Text: "試験用：このレジは保護されていません（TPMなし・セキュアブート無効）",
		TextEn: "Test use only: this register is not protected (no TPM, Secure Boot off)"}
	naked := sale()
	naked.Insecure = insecure
	nakedIdle := ready()
	nakedIdle.Insecure = insecure
	nakedStart := base()
	nakedStart.Phase = api.PhaseStarting
	nakedStart.Insecure = insecure
	software := sale()
	software.Devices[1] = api.Device{Role: "printer", State: "error", Text: "用紙がありません。紙を入れると続きを印刷します。それまでも販売は続けられます。",
		TextEn: "Out of paper. Printing goes on when paper is put in; you can keep selling."}
	software.Software = api.Software{Version: 13, Name: "2026.11-1", CanCheck: true}
	postponed := ready()
	postponed.Update.Title, postponed.Update.TitleEn, postponed.Update.CanPostpone = "更新を延期しています", "The update is put off", false
	return []sample{
		{"update-loading", loading(), state.UI{}},
		{"update", ready(), state.UI{}},
		{"update-postponed", postponed, state.UI{}},
		{"update-ask", ready(), state.UI{Panel: state.UpdatePanel}},
		{"update-restarting", notice("restarting", "再起動しています", "Restarting", "新しい版に切り替えます。電源を切らずにお待ちください。", "The new version starts next. Please do not switch off."), state.UI{}},
		{"fallback", fallback(), state.UI{}},
		{"fallback-read", fallback(), state.UI{ReadUpdate: fallback().Update.Text}},
		{"update-refused", notice("refused", "更新できませんでした", "The update was not taken",
			"新しい版 2027.1-3 はこのレジでは使えないため、入れませんでした。今の版のままお使いいただけます。（詳細：checking the boot image of the idle slot: it is not signed by the certificate that the firmware took）",
			"Version 2027.1-3 cannot be used on this register and was not installed. You can keep selling with the present one. (checking the boot image of the idle slot: it is not signed by the certificate that the firmware took)"), state.UI{}},
		{"update-warning", warned(), state.UI{}},
		{"insecure", naked, state.UI{}},
		{"insecure-idle", nakedIdle, state.UI{}},
		{"insecure-starting", nakedStart, state.UI{}},
		{"insecure-ask", naked, state.UI{Panel: state.CancelPanel}},
		{"insecure-devices", func() api.View { v := software; v.Insecure = insecure; return v }(), state.UI{Panel: state.DevicesPanel}},
		{"software", software, state.UI{Panel: state.DevicesPanel}},
	}
}
