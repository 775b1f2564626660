package main

import (
	"fmt"

	"github.com/choba-os/choba/drivers/display/notice"
)

// stopped is the page of a register whose boot ended before it could sell. After a while it restarts by itself, for
// recovery to do something about it; what the dealer needs to know comes back then.
func stopped(why error) notice.Page {
	return notice.New("このレジは起動できません", "This register cannot start").
		With("販売の準備が終わる前に停止しました。", "It stopped before it was ready to sell.", "choba-init: stop: "+why.Error()).
		With("売上の記録は変更されていません。", "Its sales data was not changed.", "").
		With("電源を切らずに、販売店に連絡して、内容を読み上げてください。しばらくすると自動的に再起動します。",
			"Leave it on, call your dealer and read this page out. After a while it restarts by itself.", "")
}

// failedTrial is the page of a register that goes back to the release that it had before.
func failedTrial(version uint64, reason string) notice.Page {
	return notice.New("新しい版は正常に動作しませんでした", "The new version did not work here").
		With("前の版に戻します。自動的に再起動します。", fmt.Sprintf("Version %d is given up; the register restarts with the one before.", version), "choba-init: health: "+reason).
		With("電源を切らないでください。", "Leave it on.", "")
}
