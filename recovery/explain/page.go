package explain

import "fmt"

// Line is one paragraph of the page.
type Line struct {
	Text string
	Kind Kind
}

// Kind says how a paragraph looks.
type Kind int

// The kinds of paragraphs.
const (
	Body   Kind = iota // plain
	Lead               // plain, and begins a group
	Title              // large
	Detail             // small: for the technician
)

// Page is what stands on the screen when nothing could be booted.
func Page(troubles []Trouble) []Line {
	lines := []Line{
		{"このレジは起動できません", Title},
		{"This register cannot start", Title},
	}
	for _, t := range troubles {
		ja, en := t.words.japanese, t.words.english
		if t.Slot != "" {
			ja, en = fmt.Sprintf("スロット %s: %s", t.Slot, ja), fmt.Sprintf("Slot %s: %s", t.Slot, en)
		}
		lines = append(lines, Line{ja + "。", Lead}, Line{en + ".", Body}, Line{fmt.Sprint(t.Cause), Detail})
	}
	return append(lines,
		Line{"売上の記録は安全です。消えていません。", Lead},
		Line{"Sales data is safe. Nothing of it was touched.", Body},
		Line{"電源を入れ直してください。もう一度この画面が出たら、販売店に連絡して、内容を読み上げてください。", Lead},
		Line{"Switch the register off and on again. If this page comes back, call your dealer and read it out.", Body},
	)
}
