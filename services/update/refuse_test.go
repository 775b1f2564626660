package update

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"crypto/rand"

	bootapi "github.com/choba-os/choba/services/boot/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/update/api"
)

// A source that breaks off is asked for the rest; one that breaks off for good, at the next check, with what is there.
func TestBreaksOff(t *testing.T) {
	w := newWorld(t)
	two := w.publish(2)
	var left atomic.Int64
	w.faults(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/bundles/") {
			return false
		}
		if n := left.Add(-1); n < 0 {
			rw.WriteHeader(503)
			return true
		} else if n%2 == 0 { // every second answer is cut
			http.NewResponseController(rw).SetWriteDeadline(time.Now().Add(-time.Second))
		}
		return false
	})
	left.Store(2)
	w.on()
	w.pass(2 * time.Minute)
	w.until("it gave up", func(v api.View) bool { return w.count(kindFound) == 1 && v.Phase == api.PhaseIdle })
	require.Empty(t, w.view().Warning, "a server that cannot be reached is no news")
	clears, _, _ := w.desk.asked()
	require.Equal(t, 1, clears)
	left.Store(1000)
	w.pass(3 * time.Minute)
	w.untilPhase(api.PhaseReady)
	w.requireOffered(two)
}

func (w *world) count(kind string) (n int) {
	for _, k := range w.journal.kinds() {
		if k == kind {
			n++
		}
	}
	return n
}

// A source that lies: a warning, one event, no release; and the same register takes the good one later.
func TestSourcesThatLie(t *testing.T) {
	cases := map[string]struct {
		prepare func(w *world)
		says    string
	}{
		"blocks of another": {func(w *world) {
			w.faults(func(rw http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.URL.Path, "/bundles/") && r.Header.Get("Range") != "" {
					bad := append([]byte(nil), w.running.Bundle...)
					http.ServeContent(rw, r, "", time.Time{}, strings.NewReader(string(bad)))
					return true
				}
				return false
			})
		}, "正規のものと確認できない"},
		"metadata of nobody": {func(w *world) {
			w.faults(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/metadata/timestamp.json" {
					rw.Write([]byte(`{"signed":{},"signatures":[]}`))
					return true
				}
				return false
			})
		}, "正規のものと確認できない"},
		"an endless file": {func(w *world) {
			w.faults(func(rw http.ResponseWriter, r *http.Request) bool {
				for r.Context().Err() == nil {
					if _, err := rw.Write(make([]byte, 4096)); err != nil {
						break
					}
				}
				return true
			})
		}, "正規のものと確認できない"},
		"no bundle": {func(w *world) {
			w.faults(func(rw http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.URL.Path, "/bundles/") {
					http.NotFound(rw, r)
					return true
				}
				return false
			})
		}, "このレジ用の版がありません"},
		"a login page": {func(w *world) {
			w.faults(func(rw http.ResponseWriter, r *http.Request) bool {
				http.Redirect(rw, r, "/login", http.StatusFound)
				return true
			})
		}, "読み出せません"},
		"out of date": {func(w *world) { w.pass(91 * 24 * time.Hour) }, "有効期限が切れています"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			two := w.publish(2)
			c.prepare(w)
			w.on()
			w.pass(2 * time.Minute)
			v := w.until("a warning", func(v api.View) bool { return v.Warning != "" })
			require.Contains(t, v.Warning, c.says)
			require.Contains(t, v.Phase, api.PhaseIdle)
			for range 5 {
				w.pass(5 * time.Hour)
				w.untilPhase(api.PhaseIdle)
			}
			require.Equal(t, 1, w.count(kindWarning), "%v", w.journal.kinds())
			require.Zero(t, w.count(kindOffered))
			w.faults(nil)
			if name == "out of date" { // the vendor renews
				_, err := w.folder.Advance(w.ring, termsAt(w.clock()))
				require.NoError(t, err)
			}
			require.NoError(t, told(w, func(struct{}) error { w.svc.check(); return nil }, struct{}{}))
			v = w.untilPhase(api.PhaseReady)
			require.Empty(t, v.Warning)
			w.requireOffered(two)
		})
	}
}

// A release whose own signatures do not count here, and one below the floor, are refused before a byte of them is loaded.
func TestReleasesThatAreNotTaken(t *testing.T) {
	w := newWorld(t)
	secret, _, err := note.GenerateKey(rand.Reader, "stranger")
	require.NoError(t, err)
	stranger, err := note.NewSigner(secret)
	require.NoError(t, err)
	w.publishAs(2, stranger)
	w.on()
	w.pass(2 * time.Minute)
	w.until("a warning", func(v api.View) bool { return strings.Contains(v.Warning, "正規のものと確認できない") })
	w.publish(3)
	w.desk.set(func() { w.desk.floor = 9 })
	w.pass(5 * time.Hour)
	w.until("below the floor", func(v api.View) bool { return strings.Contains(v.Warning, "より古い") })
	clears, _, _ := w.desk.asked()
	require.Zero(t, clears)
}

// Init's dry run says no: said in two languages, remembered over a restart, never tried again by itself, but by a person.
func TestRefusedByTheDryRun(t *testing.T) {
	w := newWorld(t)
	two := w.publish(2)
	w.desk.fail = map[string]error{"offer": &bootapi.Error{Kind: bootapi.Refused, Text: "it cannot read data of schema 1"}}
	w.on()
	w.pass(2 * time.Minute)
	v := w.untilPhase(api.PhaseRefused)
	require.Contains(t, v.Text, "新しい版 1.2.0 はこのレジでは使えないため、入れませんでした")
	require.Contains(t, v.TextEn, "it cannot read data of schema 1")
	require.Equal(t, uint64(2), v.Offered.Version)
	for range 3 {
		w.off()
		w.on()
		w.untilPhase(api.PhaseRefused)
		for range 3 {
			w.pass(5 * time.Hour)
			w.untilPhase(api.PhaseRefused)
		}
	}
	clears, _, _ := w.desk.asked()
	require.Equal(t, 1, clears, "it was loaded once")
	require.Equal(t, 1, w.count(kindRefused), "%v", w.journal.kinds())

	require.Equal(t, link.Conflict, link.KindOf(told(w, w.svc.tryAgain, api.Again{Version: 7})))
	require.Equal(t, link.Conflict, link.KindOf(told(w, w.svc.tryAgain, api.Again{Version: 1})))
	w.desk.set(func() { w.desk.fail = nil })
	require.NoError(t, told(w, w.svc.tryAgain, api.Again{Version: 2}))
	w.untilPhase(api.PhaseReady)
	w.requireOffered(two)
	_, anew, _ := w.desk.asked()
	require.Equal(t, []bool{false, true}, anew)

	w.desk.set(func() { w.desk.fail = map[string]error{"offer": &bootapi.Error{Kind: bootapi.Refused, Text: "no"}} })
	w.publish(3) // a newer one is another matter
	w.pass(5 * time.Hour)
	w.until("3 is refused", func(v api.View) bool { return v.Phase == api.PhaseRefused && v.Offered.Version == 3 })
	require.Equal(t, 2, w.count(kindRefused))
}

// A release that failed its trial: the register is back, says why, and never takes the same one again by itself. A newer
// one it takes.
func TestFellBack(t *testing.T) {
	w := newWorld(t)
	w.publish(2)
	w.on()
	w.pass(2 * time.Minute)
	w.untilPhase(api.PhaseReady)
	w.off()
	w.desk.crash(t, "the screen did not answer", "画面が応答しませんでした")
	w.on()
	v := w.untilPhase(api.PhaseRefused)
	require.Equal(t, uint64(2), v.Offered.Version)
	require.Contains(t, v.Text, "理由：画面が応答しませんでした。")
	require.Contains(t, v.TextEn, "Reason: the screen did not answer.")
	for range 10 {
		w.pass(5 * time.Hour)
		w.until("refused", func(v api.View) bool { return v.Phase == api.PhaseRefused && strings.Contains(v.Text, "理由") })
	}
	clears, _, _ := w.desk.asked()
	require.Equal(t, 1, clears)
	require.Equal(t, 1, w.count(kindRefused))

	w.off() // much later, init has forgotten why, but not that
	w.desk.set(func() { w.desk.fallback = nil })
	w.on()
	w.pass(2 * time.Minute)
	v = w.untilPhase(api.PhaseRefused)
	require.Contains(t, v.Text, "以前このレジで正しく動かなかった")

	require.NoError(t, told(w, w.svc.tryAgain, api.Again{Version: 2}))
	w.untilPhase(api.PhaseReady)
	_, anew, _ := w.desk.asked()
	require.Equal(t, []bool{false, true}, anew)
	w.off()
	w.desk.crash(t, "again", "また")
	w.on()
	three := w.publish(3)
	w.pass(2 * time.Minute)
	w.untilPhase(api.PhaseReady)
	w.requireOffered(three)
}
