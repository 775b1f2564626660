package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/display/fonts/message"
	"github.com/choba-os/choba/drivers/display/notice"
)

func complete(t *testing.T, page notice.Page) map[notice.Kind]int {
	t.Helper()
	font, err := message.Font()
	require.NoError(t, err)
	kinds := map[notice.Kind]int{}
	for _, p := range page {
		require.Empty(t, string(font.Missing(p.Text)), p.Text)
		kinds[p.Kind]++
	}
	return kinds
}

// The typeface has every character, both tongues say it, and the reason stands on the page unchanged (A61).
func TestStoppedPage(t *testing.T) {
	page := stopped(errors.New("opening the data key: PCR 13"))
	require.Equal(t, map[notice.Kind]int{notice.Title: 2, notice.Lead: 3, notice.Body: 3, notice.Detail: 1}, complete(t, page))
	require.Contains(t, page, notice.Paragraph{Text: "choba-init: stop: opening the data key: PCR 13", Kind: notice.Detail})
}

func TestFailedTrialPage(t *testing.T) {
	page := failedTrial(13, "screen ended (code 1)")
	require.Equal(t, map[notice.Kind]int{notice.Title: 2, notice.Lead: 2, notice.Body: 2, notice.Detail: 1}, complete(t, page))
	require.Contains(t, page, notice.Paragraph{Text: "choba-init: health: screen ended (code 1)", Kind: notice.Detail})
}
