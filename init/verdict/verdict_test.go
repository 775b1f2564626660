package verdict

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/init/data"
	"github.com/choba-os/choba/keys/seal"
	bootapi "github.com/choba-os/choba/services/boot/api"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func id(b byte) (m slot.Manifest) { m[0] = b; return m }

func state(t *testing.T, rec slot.Record) *frametest.Disk {
	t.Helper()
	d := frametest.New(int(layout.HistoryStart + layout.HistorySize))
	require.NoError(t, slot.Store(d, rec))
	return d
}

func onTrial() slot.Record {
	return slot.Record{Preferred: slot.A, A: slot.Slot{State: slot.Good, Version: 7, Manifest: id(7)},
		B: slot.Slot{State: slot.Trial, Version: 8, Tries: 2, Manifest: id(8)}}
}

// A failed trial is refused at once, whatever tries are left, and the next boot knows why (A49).
func TestFailedTrial(t *testing.T) {
	d := state(t, onTrial())
	require.True(t, OnTrial(onTrial(), slot.B))
	require.False(t, OnTrial(onTrial(), slot.A))
	require.NoError(t, Fail(d, Boot{slot.B, 8}, "screen ended (code 1)", noon))
	rec, _, err := slot.Load(d)
	require.NoError(t, err)
	require.Equal(t, slot.Refused, rec.B.State)
	require.Equal(t, []slot.Failure{{Version: 8, Manifest: id(8)}}, rec.Failed)
	require.Equal(t, "version 8 in slot b: screen ended (code 1)", rec.Reason)
	past, err := history.Load(d)
	require.NoError(t, err)
	require.Len(t, past, 1)
	require.Equal(t, history.Failed, past[0].Kind)
	require.Equal(t, `{"evidence":"health","reason":"screen ended (code 1)","slot":"b","version":"8"}`, past[0].Text)

	require.Equal(t, &bootapi.Fallback{Version: 8, Reason: "screen ended (code 1)", ReasonJa: "バージョン 8 はプログラムが異常終了しました（画面）。"}, Fallback(rec, past, 7))
	require.Equal(t, "it did not become ready to sell", Fallback(rec, nil, 7).Reason)
	require.Nil(t, Fallback(rec, past, 8), "it runs now")
	require.Nil(t, Fallback(rec, past, 9))
	require.Nil(t, Fallback(onTrial(), past, 7), "offered anew")
}

// Cut at any write, the record is the old or the new one, and refusing again finishes it.
func TestFailedTrialIsCut(t *testing.T) {
	for cut := range 12 {
		d := state(t, onTrial())
		d.Left = cut
		err := Fail(d, Boot{slot.B, 8}, "x", noon)
		d.Left = -1
		rec, _, loaded := slot.Load(d)
		require.NoError(t, loaded)
		require.Contains(t, []slot.State{slot.Trial, slot.Refused}, rec.B.State)
		if err == nil {
			require.Equal(t, slot.Refused, rec.B.State)
			return
		}
	}
	t.Fatal("it was never finished")
}

// What is not on trial is not refused, but its reason is kept.
func TestNothingToFail(t *testing.T) {
	d := state(t, slot.Record{A: slot.Slot{State: slot.Empty}})
	require.Error(t, Fail(d, Boot{slot.A, 7}, "x", noon), "no boot of it is open")
	past, err := history.Load(d)
	require.NoError(t, err)
	require.Len(t, past, 1)
	clear(d.Data[:layout.RecordCopy2+layout.RecordSize])
	require.Error(t, Fail(d, Boot{slot.A, 7}, "y", noon), "a lost record is nobody's to change")
	past, err = history.Load(d)
	require.NoError(t, err)
	require.Len(t, past, 2)
}

// A committed release that init saw fail uses up its boots sooner than one whose mains were cut; the end of a boot on
// purpose is no failure.
func TestCommittedFails(t *testing.T) {
	rec := slot.Record{Preferred: slot.A, Departed: slot.A, A: slot.Slot{State: slot.Good, Version: 7, Unready: 1, Manifest: id(7)}}
	d := state(t, rec)
	require.NoError(t, Fail(d, Boot{slot.A, 7}, "opening the data key", noon))
	got, _, err := slot.Load(d)
	require.NoError(t, err)
	require.Equal(t, slot.Good, got.A.State)
	require.Equal(t, 3, got.A.Unready)
	require.Empty(t, got.Departed)

	d = state(t, rec)
	require.NoError(t, End(d, slot.A))
	require.NoError(t, End(d, slot.A))
	got, _, err = slot.Load(d)
	require.NoError(t, err)
	require.Equal(t, 1, got.A.Unready)
	require.Empty(t, got.Departed)

	require.NoError(t, AskRecovery(d, "update", noon))
	got, _, err = slot.Load(d)
	require.NoError(t, err)
	require.Equal(t, slot.AskedByPerson, got.Asked)
	past, err := history.Load(d)
	require.NoError(t, err)
	require.Equal(t, `{"by":"update"}`, past[0].Text)
}

// However often a key does not open, the history hears of it once, also when it holds less than the whole reason.
func TestKeyShutIsToldOnce(t *testing.T) {
	for _, reason := range []string{"short", strings.Repeat("the older copy: ", 40)} {
		d := state(t, slot.Record{Preferred: slot.A, A: slot.Slot{State: slot.Good, Version: 7, Manifest: id(7)}})
		for range 3 {
			require.NoError(t, KeyShut(d, Boot{slot.A, 7}, reason, noon))
		}
		rec, _, err := slot.Load(d)
		require.NoError(t, err)
		require.Equal(t, slot.AskedForKey, rec.Asked)
		past, err := history.Load(d)
		require.NoError(t, err)
		require.Len(t, past, 1)
		require.NoError(t, KeyShut(d, Boot{slot.A, 7}, "something else", noon))
		past, err = history.Load(d)
		require.NoError(t, err)
		require.Len(t, past, 2)
	}
}

func TestEveryRelease(t *testing.T) {
	for _, e := range []error{seal.ErrOtherTPM, data.ErrForeign, seal.ErrDamaged} {
		require.True(t, EveryRelease(fmt.Errorf("opening: %w", e)))
	}
	for _, e := range []error{nil, errors.New("table"), seal.ErrSignature, seal.ErrRelease, seal.ErrBootImage, seal.ErrFloor} {
		require.False(t, EveryRelease(e), "%v", e)
	}
}

// A61: plain Japanese for each way in which a release fails here.
func TestJapanese(t *testing.T) {
	for reason, want := range map[string]string{
		"not ready in time: screen, register":                                       "バージョン 2 は時間内に準備が整いませんでした（画面、レジ）。",
		"silent for 10s after being ready: printer":                                 "バージョン 2 は準備のあと、応答がなくなりました（プリンター）。",
		"register ended 3 times (code 0) before the register was ready":             "バージョン 2 はプログラムが異常終了しました（レジ）。",
		"journal ended (signal killed) within 10s of the register being ready":      "バージョン 2 はプログラムが異常終了しました（取引の記録）。",
		"version 2 in slot b did not reach ready in its trials":                     "バージョン 2 は起動に続けて失敗しました。",
		"version 2 in slot b failed: the i6300ESB timer watchdog reset the machine": "バージョン 2 は起動の途中で応答がなくなりました。",
		"something new": "バージョン 2 は正しく動作しませんでした。",
	} {
		require.Equal(t, want, Japanese(2, reason))
	}
}
