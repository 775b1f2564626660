package register

import (
	"errors"
	"fmt"

	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/till/book"
	"github.com/choba-os/choba/services/till/sale"
)

// sentencePair is a message in both languages. Each says what is the matter and what to do next.
type sentencePair struct{ kind, code, ja, en string }

var (
	msgStarting       = sentencePair{"info", "journal", "起動しています。しばらくお待ちください。", "Starting. Please wait."}
	msgJournal        = sentencePair{"error", "journal", "記録装置が応答しません。会計を止めています。回復するまでお待ちください。", "The journal does not answer. Selling is stopped until it is back; please wait."}
	msgJournalFull    = sentencePair{"error", "journal", "記録の空きがありません。会計を止めています。保守担当者に連絡してください。", "The journal is full. Selling is stopped; please call maintenance."}
	msgJournalContent = sentencePair{"error", "journal", "売上記録の整合がとれません。会計を止めています。保守担当者に連絡してください。", "The sales record does not fit together. Selling is stopped; please call maintenance."}
	msgRefused        = sentencePair{"error", "journal", "記録できない内容のため、登録していません。", "This cannot be recorded, so it was not registered."}

	msgBadScan     = sentencePair{"warning", "bad-code", "読み取れないコードです。もう一度読み取るか、番号を入力してください。", "The code cannot be used. Scan it again, or type the number."}
	msgBadCode     = sentencePair{"warning", "bad-code", "商品コードではありません: %s。もう一度読み取るか、番号を入力してください。", "Not an article code: %s. Scan it again, or type the number."}
	msgCheckDigit  = sentencePair{"warning", "bad-code", "コードの検査数字が合いません: %s。もう一度読み取ってください。", "The code's check digit is wrong: %s. Scan it again."}
	msgUnknownCode = sentencePair{"warning", "unknown-code", "登録のない商品です: %s。責任者に確認してください。", "Unknown article: %s. Please ask the manager."}
	msgInStore     = sentencePair{"warning", "in-store-code", "店内コードはまだ設定されていません: %s。番号を入力してください。", "In-store codes are not set up: %s. Type the article's number."}
	msgInTender    = sentencePair{"warning", "in-tender", "お会計中のため登録していません: %[1]s。追加するには「戻る」を押してください。", "Not added while paying: %[2]s. Press Back to add goods."}
	msgScansLost   = sentencePair{"error", "scanner-gap", "スキャンが%d件失われました。商品と明細を確かめてください。", "%d scan(s) were lost. Check the goods against the list."}

	msgUpdateSilent = sentencePair{"info", "update", "更新の担当が応答しません。しばらくしてからもう一度お試しください。販売は続けられます。", "Updates do not answer. Please try again in a while; selling goes on."}
	msgUpdateNot    = sentencePair{"info", "update", "いまはその操作ができません。更新の状態が変わりました。", "That is not possible now: the update's state has changed."}
	msgUpdateSale   = sentencePair{"info", "update", "会計が終わってから操作してください。", "Please finish the sale first."}

	msgPhase         = sentencePair{"info", "not-now", "いまはその操作ができません。", "That is not possible now."}
	msgNoLine        = sentencePair{"info", "no-line", "対象の明細がありません。", "There is no such line."}
	msgEmpty         = sentencePair{"info", "no-line", "商品が登録されていません。", "No goods are registered."}
	msgQuantity      = sentencePair{"warning", "limit", "数量は1~999で入力してください。", "Enter a quantity of 1 to 999."}
	msgLines         = sentencePair{"warning", "limit", "1回の会計は500行までです。いったん会計してください。", "A sale has at most 500 lines. Please take payment first."}
	msgTotal         = sentencePair{"warning", "limit", "1回の会計は99,999,999円までです。会計を分けてください。", "A sale is at most ¥99,999,999. Please split it."}
	msgChange        = sentencePair{"warning", "limit", "お預り金額が大きすぎます。金額を確かめてください。", "The amount received is too large. Please check it."}
	msgShort         = sentencePair{"warning", "short-cash", "お預りが%s不足しています。", "%s short."}
	msgStillPrinting = sentencePair{"info", "printer", "レシートを印刷しています。", "The receipt is being printed."}

	msgInterrupted   = sentencePair{"warning", "interrupted", "お会計の途中で中断しました。お預りは取り消されています。もう一度お会計してください。", "Payment was interrupted and is void. Please take payment again."}
	msgCompleted     = sentencePair{"info", "interrupted", "この会計は完了しています。レシートかドロアが必要なら「レシート印刷」、なければ「次のお客様」を押してください。", "This sale is complete. Press Print receipt if paper or drawer is needed, else Next customer."}
	msgReprint       = sentencePair{"ask", "reprint?", "No.%sのレシートが印刷されたか分かりません。出ていなければ再発行してください。", "Receipt No. %s may or may not be printed. If it is missing, print a copy."}
	msgNotPrinted    = sentencePair{"warning", "printer", "No.%sのレシートを印刷できませんでした。プリンターを確かめて「レシート印刷」を押してください。", "Receipt No. %s was not printed. Check the printer and press Print receipt."}
	msgDrawerFailed  = sentencePair{"warning", "drawer", "ドロアが開きませんでした。鍵で開けてください。", "The drawer did not open. Open it with the key."}
	msgDrawerUnknown = sentencePair{"warning", "drawer", "ドロアが開いたか確認できません。開いていなければ鍵で開けてください。", "The drawer may not have opened. If it is shut, use the key."}
)

// say makes a message of now. The arguments fill both sentences.
func (r *Register) say(p sentencePair, args ...any) *api.Message {
	return &api.Message{Kind: p.kind, Code: p.code, Text: fill(p.ja, args), TextEn: fill(p.en, args), At: r.now()}
}

func fill(text string, args []any) string {
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// refusal is a reason with its sentence.
type refusal struct {
	pair sentencePair
	args []any
}

func (f refusal) Error() string { return fill(f.pair.en, f.args) }

// reasons gives the sentence for each reason of the sale.
var reasons = []struct {
	err  error
	pair sentencePair
}{
	{sale.ErrPhase, msgPhase}, {sale.ErrSale, msgPhase}, {book.ErrBusy, msgPhase}, {sale.ErrNoLine, msgNoLine}, {sale.ErrEmpty, msgEmpty},
	{sale.ErrQuantity, msgQuantity}, {sale.ErrLines, msgLines}, {sale.ErrTotal, msgTotal}, {sale.ErrChange, msgChange}, {errRefused, msgRefused},
}

// explainError gives the message for an error; nil when there is none for people.
func (r *Register) explainError(err error) *api.Message {
	var f refusal
	if errors.As(err, &f) {
		return r.say(f.pair, f.args...)
	}
	for _, one := range reasons {
		if errors.Is(err, one.err) {
			return r.say(one.pair)
		}
	}
	var l *link.Error
	if !errors.As(err, &l) {
		r.cfg.Log.WithError(err).Error("an operation was refused for a reason that has no sentence")
		return r.say(msgPhase)
	}
	return nil
}

// kindOf sorts an error for the caller.
func kindOf(err error) link.Kind {
	var f refusal
	var l *link.Error
	switch {
	case errors.As(err, &l):
		return l.Kind
	case errors.As(err, &f) && f.pair == msgUnknownCode, errors.Is(err, sale.ErrNoLine):
		return link.NotFound
	}
	return link.Conflict
}

func sentence(m *api.Message, err error) string {
	if m != nil {
		return m.TextEn
	}
	var l *link.Error
	if errors.As(err, &l) {
		return l.Text
	}
	return err.Error()
}

// explain makes a message of what became of paper and drawer, when that was not what was wanted.
func (r *Register) explain(e sale.Event) {
	switch e := e.(type) {
	case sale.PrintResult:
		switch e.State {
		case sale.JobNotDone:
			r.message = r.say(msgNotPrinted, e.Sale)
		case sale.JobUnknown:
			r.message = r.say(msgReprint, e.Sale)
		}
	case sale.DrawerResult:
		switch e.State {
		case sale.DrawerFailed:
			r.message = r.say(msgDrawerFailed)
		case sale.DrawerUnknown:
			r.message = r.say(msgDrawerUnknown)
		}
	}
	r.publish()
}
