package view

import (
	"fmt"
	"strconv"
	"time"
)

// Yen writes an amount.
func Yen(n int64) string {
	s := group(n)
	if n < 0 {
		return "-¥" + s[1:]
	}
	return "¥" + s
}

func group(n int64) string {
	s := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// words is one thing said in both languages.
type words struct{ ja, en string }

// in gives the words of the language that comes first.
func (w words) in(english bool) string {
	if english {
		return w.en
	}
	return w.ja
}

// pair gives both, the working language first.
func (w words) pair(english bool) (first, second string) {
	if english {
		return w.en, w.ja
	}
	return w.ja, w.en
}

func date(t time.Time, english bool) string {
	if english {
		return t.Format("Mon 2 Jan")
	}
	day := [...]string{"日", "月", "火", "水", "木", "金", "土"}[t.Weekday()]
	return fmt.Sprintf("%d月%d日(%s)", t.Month(), t.Day(), day)
}

var (
	wItems      = words{"お買上明細", "Items"}
	wTotal      = words{"合計", "Total"}
	wTaxInside  = words{"税込", "Tax incl."}
	wSubtotal   = words{"小計", "Subtotal"}
	wIncluded   = words{"小計(税込)", "Subtotal (tax incl.)"}
	wExcluded   = words{"小計(税抜)", "Subtotal (tax excl.)"}
	wScan       = words{"商品をスキャン", "Scan item"}
	wScanPlease = words{"商品をスキャンしてください", "Please scan an item"}
	wScanHelp   = words{"バーコードがない商品は、番号を入れて「登録」", "No barcode? Type its number, then Enter"}
	wReduced    = words{"※は軽減税率(8%)対象商品", "※ Reduced tax rate (8%)"}
	wQuantity   = words{"数量", "Qty ×"}
	wEnter      = words{"登録", "Enter"}
	wExact      = words{"ちょうど", "Exact"}
	wRemove     = words{"行取消", "Remove"}
	wLess       = words{"1つ減らす", "Less"}
	wMore       = words{"1つ増やす", "More"}
	wUp         = words{"前へ", "Up"}
	wDown       = words{"次へ", "Down"}
	wCancel     = words{"取引中止", "Cancel"}
	wDiscount   = words{"値引", "Discount"}

	wCashPay  = words{"現金でお支払い", "Cash payment"}
	wReceived = words{"お預り", "Received"}
	wChange   = words{"お釣り", "Change"}
	wShort    = words{"不足", "Still due"}
	wBack     = words{"商品に戻る", "Back to items"}
	wPay      = words{"会計する", "Pay"}
	wPayHint  = words{"受け取った金額を入れるか、\n右上の金額に触れてください。", "Type the amount received,\nor touch one at the upper right."}

	wDone        = words{"お会計完了", "Payment complete"}
	wCashGot     = words{"お預り", "Cash received"}
	wNext        = words{"次のお客様", "Next customer"}
	wPrint       = words{"レシート印刷", "Print receipt"}
	wReprint     = words{"レシート再発行", "Print a copy"}
	wPrinting    = words{"レシート印刷中", "Printing"}
	wPrinted     = words{"レシート印刷済み", "Receipt printed"}
	wNotPrinted  = words{"レシートを印刷できません", "Receipt not printed"}
	wPrintAsk    = words{"レシートが出たか確認してください", "Did the receipt come out?"}
	wReissue     = words{"再発行する", "Print a copy"}
	wNoReissue   = words{"再発行しない", "No copy"}
	wDrawerOpens = words{"ドロアを開けています", "Opening the drawer"}
	wDrawerOpen  = words{"ドロアを開けました", "Drawer opened"}
	wDrawerShut  = words{"ドロアが開きません", "Drawer did not open"}
	wDrawerAsk   = words{"ドロアを確認してください", "Check the drawer"}
	wDrawerRetry = words{"ドロアを開ける", "Open drawer"}

	wCancelTitle = words{"この取引を中止しますか", "Cancel this sale?"}
	wCancelText  = words{"登録した商品はすべて取り消されます。中止したことは記録に残ります。", "All items are taken off. That the sale was cancelled is recorded."}
	wCancelYes   = words{"中止する", "Cancel sale"}
	wCancelNo    = words{"戻る", "Go back"}
	wOK          = words{"確認", "OK"}
	wClose       = words{"閉じる", "Close"}
	wDevices     = words{"機器の状態", "Devices"}

	wUpdateNow   = words{"今すぐ更新して再起動", "Restart now"}
	wUpdateLater = words{"あとで", "Later"}
	wUpdateAgain = words{"もう一度試す", "Try again"}
	wUpdateCheck = words{"更新を確認", "Check for updates"}
	wUpdateAsk   = words{"再起動して新しい版に切り替えますか", "Restart into the new version?"}
	wUpdateText  = words{"再起動のあいだ、1分ほど販売できません。登録済みの売上は保存されています。", "Nothing can be sold for about a minute. Recorded sales are safe."}
	wUpdateYes   = words{"再起動する", "Restart"}
	wUpdateNo    = words{"やめる", "Not now"}
	wUpdateWarn  = words{"更新についてのお知らせ", "About updates"}
	wSoftware    = words{"ソフトウェア", "Software"}

	wGetReady  = words{"準備中", "Getting ready"}
	wWaitAway  = words{"レジの準備をしています", "The register is getting ready"}
	wWaitText  = words{"しばらくお待ちください。", "Please wait a moment."}
	wClosed    = words{"本日の営業は終了しました", "Closed for today"}
	wClosedTxt = words{"精算が済んでいます。", "The day has been closed."}
	wPowerSafe = words{"登録済みの売上は保存されています。", "Recorded sales are safe."}

	wWelcome = words{"いらっしゃいませ", "Welcome"}
	wThanks  = words{"ありがとうございました", "Thank you"}
	wHowPay  = words{"お支払い方法をお選びください", "Please choose how to pay"}
	wMoney   = words{"お釣りをお確かめください", "Please check your change"}
)

func pieces(n int, english bool) (number, unit string) {
	if !english {
		return group(int64(n)) + "点", ""
	}
	if n == 1 {
		return "1", "item"
	}
	return group(int64(n)), "items"
}

// role and condition name a device and its state in a few letters.
func role(r string) words {
	switch r {
	case "scanner":
		return words{"スキャナー", "Scanner"}
	case "printer":
		return words{"プリンター", "Printer"}
	case "drawer":
		return words{"ドロア", "Drawer"}
	case "journal":
		return words{"記録", "Journal"}
	}
	return words{"機器", "Device"}
}

func condition(s string) words {
	switch s {
	case "ready":
		return words{"正常", "Ready"}
	case "absent":
		return words{"未接続", "not connected"}
	case "error":
		return words{"使えません", "not working"}
	case "warning":
		return words{"要確認", "check"}
	}
	return words{"不明", "unknown"}
}
