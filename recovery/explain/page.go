package explain

import (
	"fmt"

	"github.com/choba-os/choba/drivers/display/notice"
)

// Page is what stands on the screen when nothing could be booted.
func Page(troubles []Trouble) notice.Page {
	page := notice.New("このレジは起動できません", "This register cannot start")
	for _, t := range troubles {
		ja, en := t.words.Japanese, t.words.English
		if t.Slot != "" {
			ja, en = fmt.Sprintf("スロット %s: %s", t.Slot, ja), fmt.Sprintf("Slot %s: %s", t.Slot, en)
		}
		page = page.With(ja+"。", en+".", fmt.Sprint(t.Cause))
	}
	return page.
		With("売上の記録は安全です。消えていません。", "Sales data is safe. Nothing of it was touched.", "").
		With("電源を入れ直してください。もう一度この画面が出たら、販売店に連絡して、内容を読み上げてください。",
			"Switch the register off and on again. If this page comes back, call your dealer and read it out.", "")
}
