package explain

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/display/fonts/message"
	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/trust"
)

// TestEverySentenceCanBeSet: the typeface of the boot image has every character that may stand on the page.
func TestEverySentenceCanBeSet(t *testing.T) {
	font, err := message.Font()
	require.NoError(t, err)
	for _, k := range kinds {
		for _, l := range Page([]Trouble{{Slot: slot.A, Cause: errors.New("cause"), words: k.words}}) {
			require.Empty(t, string(font.Missing(l.Text)), l.Text)
		}
	}
}

// TestEveryKindHasBothTongues: A61 wants plain Japanese; technicians read English.
func TestEveryKindHasBothTongues(t *testing.T) {
	for _, k := range kinds {
		require.NotEmpty(t, k.words.Japanese)
		require.NotEmpty(t, k.words.English)
		require.False(t, strings.HasSuffix(k.words.Japanese, "。") || strings.HasSuffix(k.words.English, "."), "the page ends the sentence")
		require.Contains(t, k.words.Japanese, strings.TrimFunc(k.words.Japanese, func(r rune) bool { return r < 0x3000 }), "Japanese")
	}
	require.Nil(t, kinds[len(kinds)-1].cause, "the last line fits everything")
}

func TestWords(t *testing.T) {
	tr := InSlot(slot.A, fmt.Errorf("opening verity device: %w", dm.ErrStranger))
	require.Equal(t, "its contents are not signed by the vendor (opening verity device: "+dm.ErrStranger.Error()+")", tr.English())
	require.Equal(t, "内容に販売元の署名がありません", tr.Japanese())
	require.Equal(t, "it could not be started (odd)", General(errors.New("odd")).English())
}

func TestNotChosen(t *testing.T) {
	c := slot.Candidate{Slot: slot.B, Reason: "slot b is what the record says"}
	id := slot.Manifest{1}
	for _, row := range []struct {
		name    string
		in      slot.Slot
		problem error
		want    string
	}{
		{"never written", slot.Slot{}, nil, "it is empty"},
		{"empty", slot.Slot{State: slot.Empty}, trust.ErrStranger, "it is empty"},
		{"refused", slot.Slot{State: slot.Refused, Manifest: id}, nil, "failed its trial"},
		{"trials used up", slot.Slot{State: slot.Trial, Manifest: id}, nil, "failed its trial"},
		{"unready", slot.Slot{State: slot.Good, Unready: slot.UnreadyLimit, Manifest: id}, trust.ErrStranger, "too often"},
		{"problem", slot.Slot{State: slot.Good, Manifest: id}, trust.ErrStranger, "not signed by the vendor"},
		{"mismatch", slot.Slot{State: slot.Good, Manifest: id}, nil, "another release than was recorded"},
	} {
		got := NotChosen(c, row.in, row.problem)
		require.Contains(t, got.English(), row.want, row.name)
		require.Equal(t, slot.B, got.Slot)
	}
}

func TestPage(t *testing.T) {
	var text []string
	for _, l := range Page([]Trouble{InSlot(slot.A, trust.ErrThreshold), General(errors.New("odd"))}) {
		text = append(text, l.Text)
	}
	require.Equal(t, []string{
		"このレジは起動できません", "This register cannot start",
		"スロット a: 署名の数が足りません。", "Slot a: too few of the vendor's keys have signed it.", trust.ErrThreshold.Error(),
		"起動できませんでした。", "it could not be started.", "odd",
		"売上の記録は安全です。消えていません。", "Sales data is safe. Nothing of it was touched.",
		"電源を入れ直してください。もう一度この画面が出たら、販売店に連絡して、内容を読み上げてください。",
		"Switch the register off and on again. If this page comes back, call your dealer and read it out.",
	}, text)
}
