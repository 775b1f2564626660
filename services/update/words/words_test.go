package words

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/update/api"
)

// Every situation, in whole sentences of both languages.
func TestSentences(t *testing.T) {
	r, old := api.Release{Version: 15, Name: "1.5.0"}, api.Release{Version: 14, Name: "1.4.0"}
	at := time.Date(2026, 11, 23, 2, 14, 0, 0, time.FixedZone("JST", 9*3600))
	all := map[string]Sentence{
		"checking": Checking(), "loading": Loading(r, 40), "checked": Checked(r), "ready": Ready(r, at, false),
		"postponed": Ready(r, at, true), "soon": Soon(r), "restarting": Restarting(r),
		"fell back":         FellBack(r, old, Sentence{"画面が応答しませんでした", "the screen did not answer"}),
		"fell back, barely": FellBack(api.Release{}, api.Release{}, Sentence{}),
		"failed before":     FailedBefore(api.Release{Version: 15}), "not taken": NotTaken(r, "it needs data of schema 3"),
		"no restart": NoRestart(), "bad disk": BadDisk(), "no init": NoInit(), "stranger": Stranger(),
	}
	for _, source := range []string{api.SourceNetwork, api.SourceStick} {
		all["expired "+source] = Expired(source)
		all["note "+source] = Note(source, "good only until 2026-12-01")
		all["older "+source] = Older(source)
		all["not genuine "+source] = NotGenuine(source)
		all["not for this "+source] = NotForThis(source)
		all["unreadable "+source] = Unreadable(source)
	}
	for name, s := range all {
		require.NotContains(t, s.Ja+s.En, "%!", name)
		require.NotContains(t, s.Ja+s.En, "  ", name)
		require.True(t, strings.HasSuffix(s.Ja, "。") || strings.HasSuffix(s.Ja, "）"), "%s: %s", name, s.Ja)
		require.True(t, strings.HasSuffix(s.En, ".") || strings.HasSuffix(s.En, ")"), "%s: %s", name, s.En)
		require.True(t, unicode.IsUpper([]rune(s.En)[0]), s.En)
		require.Less(t, len(s.En), 250, "%s is too long to be read at a counter", name)
	}
	require.Contains(t, all["ready"].Ja, "11月23日 02:14 ごろ")
	require.Contains(t, all["ready"].En, "about 02:14 on 23 November")
	require.Equal(t, "新しい版 1.5.0 は正しく動かなかったため、元の版 1.4.0 に戻しました。理由：画面が応答しませんでした。このままお使いいただけます。", all["fell back"].Ja)
	require.Equal(t, "The new version 1.5.0 did not work here, so the register is back on version 1.4.0. Reason: the screen did not answer. You can keep selling.", all["fell back"].En)
	require.Contains(t, all["failed before"].Ja, "（第15版）")
}
