package main

import "github.com/choba-os/choba/drivers/display/notice"

// stopped is the page of a register whose boot ended before it could sell. Unlike recovery's it asks nobody to switch
// off: the next boot would end in the same place, and what the dealer needs to know would be gone meanwhile.
func stopped(why error) notice.Page {
	return notice.New("このレジは起動できません", "This register cannot start").
		With("販売の準備が終わる前に停止しました。", "It stopped before it was ready to sell.", "choba-init: stop: "+why.Error()).
		With("売上の記録は変更されていません。", "Its sales data was not changed.", "").
		With("電源を切らずに、販売店に連絡して、内容を読み上げてください。", "Leave it on, call your dealer and read this page out.", "")
}
