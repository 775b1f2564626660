package update

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	bootapi "github.com/choba-os/choba/services/boot/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/update/api"
	"github.com/choba-os/choba/services/update/memory"
)

// The whole way: a release at the vendor's server, found at the first check, loaded with the running slot's blocks,
// offered, and started at night when nobody uses the register.
func TestByNetwork(t *testing.T) {
	w := newWorld(t)
	two := w.publish(2)
	w.on()
	v := w.untilPhase(api.PhaseIdle)
	require.Empty(t, v.Text+v.Warning)
	w.pass(59 * time.Second)
	require.Empty(t, w.journal.kinds(), "nothing in the first minute")
	w.pass(10 * time.Second)
	v = w.untilPhase(api.PhaseReady)
	w.requireOffered(two)
	require.Equal(t, api.Release{Version: 1, Name: "1.1.0"}, v.Running)
	require.Equal(t, api.Release{Version: 2, Name: "1.2.0"}, v.Offered)
	require.Equal(t, api.SourceNetwork, v.Source)
	total := two.Manifest.EROFS.Size + two.Manifest.Tree.Size
	require.Equal(t, total, v.Bytes+v.Saved)
	require.Less(t, v.Bytes, total/5, "one program of three changed")
	require.Equal(t, 100, v.Percent)
	require.True(t, v.At.Equal(time.Date(2026, 11, 23, 2, 30, 0, 0, noon.Location())), "%v", v.At)
	require.Contains(t, v.Text, "11月23日 02:30 ごろ")
	require.Contains(t, v.Text, "電源を切った場合は、次に入れたときに新しい版になります")
	require.Eventually(t, func() bool { return len(w.journal.kinds()) == 3 }, time.Second, time.Millisecond)
	require.Equal(t, []string{kindFound, kindStaged, kindOffered}, w.journal.kinds())
	require.EqualValues(t, v.Saved, w.journal.last(t, kindStaged)["saved"])

	w.pass(14*time.Hour + 29*time.Minute) // 02:30, but the register does not say whether a sale is open
	_, _, restarts := w.desk.asked()
	require.Empty(t, restarts)
	w.sell(false)
	for range 200 { // it says so every three seconds
		w.pass(3 * time.Second)
		w.sell(false)
	}
	w.untilPhase(api.PhaseRestarting)
	require.Eventually(t, func() bool { _, _, r := w.desk.asked(); return len(r) == 1 }, time.Second, time.Millisecond)
	_, _, restarts = w.desk.asked()
	require.Equal(t, []string{"starting version 2 (1.2.0)"}, restarts)
	require.Equal(t, kindRestart, w.journal.kinds()[3])
	w.pass(time.Hour)
	_, _, restarts = w.desk.asked()
	require.Len(t, restarts, 1, "once")
}

// A49: no restart while a sale is open, whoever wants it; a manager may put it off and take it back.
func TestNowAndPostpone(t *testing.T) {
	w := newWorld(t)
	s := w.on()
	require.Equal(t, link.Conflict, link.KindOf(told(w, s.wishNow, api.Now{})), "nothing is in place")
	w.publish(2)
	require.NoError(t, told(w, func(struct{}) error { s.check(); return nil }, struct{}{}))
	w.untilPhase(api.PhaseReady)

	require.Equal(t, link.BadRequest, link.KindOf(told(w, s.putOff, api.Postpone{Hours: api.MaxPostpone + 1})))
	require.Equal(t, link.BadRequest, link.KindOf(told(w, s.putOff, api.Postpone{Hours: -1})))
	require.NoError(t, told(w, s.putOff, api.Postpone{Hours: 48}))
	v := w.until("put off", func(v api.View) bool { return v.Postponed })
	require.True(t, v.At.Equal(time.Date(2026, 11, 25, 2, 30, 0, 0, noon.Location())), "%v", v.At)
	require.Contains(t, v.Text, "延期")
	require.NoError(t, told(w, s.putOff, api.Postpone{}))
	w.until("taken back", func(v api.View) bool { return !v.Postponed })

	w.sell(true)
	require.NoError(t, told(w, s.wishNow, api.Now{}))
	w.until("soon", func(v api.View) bool { return strings.HasPrefix(v.Text, "会計が終わりしだい") })
	for range 10 {
		w.pass(3 * time.Second)
		w.sell(true)
	}
	_, _, restarts := w.desk.asked()
	require.Empty(t, restarts, "a sale is open")
	w.pass(30 * time.Second)
	_, _, restarts = w.desk.asked()
	require.Empty(t, restarts, "the register says nothing any more: that counts as busy")
	w.sell(false)
	w.pass(4 * time.Second)
	w.untilPhase(api.PhaseRestarting)
	require.Equal(t, link.Conflict, link.KindOf(told(w, s.putOff, api.Postpone{Hours: 1})), "too late")
}

func TestInitWillNotRestart(t *testing.T) {
	w := newWorld(t)
	w.publish(2)
	w.desk.fail = map[string]error{"restart": &bootapi.Error{Kind: bootapi.Unavailable, Text: "not now"}}
	s := w.on()
	w.pass(2 * time.Minute)
	w.untilPhase(api.PhaseReady)
	w.sell(false)
	require.NoError(t, told(w, s.wishNow, api.Now{}))
	w.pass(4 * time.Second)
	w.until("a warning", func(v api.View) bool {
		return strings.Contains(v.WarningEn, "could not restart") && v.Phase == api.PhaseReady
	})
	w.desk.set(func() { w.desk.fail = nil })
	w.pass(restartRetry + time.Second)
	w.sell(false)
	w.pass(4 * time.Second)
	w.untilPhase(api.PhaseRestarting)
}

// A stick goes before the network: it is looked at when it comes, even while the network's release is being loaded.
func TestByStick(t *testing.T) {
	w := newWorld(t)
	two := w.publish(2)
	blocked, release := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	w.faults(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/bundles/") && once.CompareAndSwap(false, true) {
			close(blocked)
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		return false
	})
	defer close(release)
	w.on()
	w.pass(2 * time.Minute)
	<-blocked // the network hangs in the middle of it
	w.untilPhase(api.PhaseLoading)
	w.stick.plug(w.copyFolder())
	v := w.untilPhase(api.PhaseReady)
	require.Equal(t, api.SourceStick, v.Source)
	w.requireOffered(two)
	require.Equal(t, "stick", w.journal.last(t, kindStaged)["source"])
}

func TestSticksWithoutUse(t *testing.T) {
	w := newWorld(t)
	w.faults(func(rw http.ResponseWriter, _ *http.Request) bool { rw.WriteHeader(503); return true })
	old := w.copyFolder()
	w.on()
	w.stick.plug(w.folder)
	w.until("looked", func(v api.View) bool { return v.Phase == api.PhaseIdle && v.Text == "" })

	w.publish(2)
	w.stick.plug(w.folder)
	w.untilPhase(api.PhaseReady)
	w.stick.plug(nil)
	w.stick.plug(old)
	v := w.until("a warning", func(v api.View) bool { return v.Warning != "" })
	require.Contains(t, v.Warning, "前に確認したものより古い")
	require.Equal(t, api.PhaseReady, v.Phase, "what is in place stays")
	w.stick.plug(nil)
	w.until("the warning goes with the stick", func(v api.View) bool { return v.Warning == "" })
	empty := w.copyFolder()
	require.NoError(t, os.RemoveAll(filepath.Join(empty.Dir, "metadata")))
	w.stick.plug(empty)
	w.until("nothing on it", func(v api.View) bool { return strings.Contains(v.Warning, "このレジ用の版がありません") })
}

// No network is everyday life: not a word, not an event, and soon asked again when it is back.
func TestNoNetwork(t *testing.T) {
	w := newWorld(t)
	two := w.publish(2)
	var tries atomic.Int32
	w.faults(func(rw http.ResponseWriter, _ *http.Request) bool { tries.Add(1); rw.WriteHeader(503); return true })
	w.on()
	for range 48 {
		w.pass(30 * time.Minute)
		v := w.until("not a round", func(v api.View) bool { return v.Phase == api.PhaseIdle })
		require.Empty(t, v.Text+v.Warning)
	}
	require.Empty(t, w.journal.kinds())
	require.Less(t, int(tries.Load()), 25, "ever less often")
	require.Greater(t, int(tries.Load()), 5)
	w.faults(nil)
	w.cable.plug(true)
	for range 3 {
		w.pass(time.Minute)
	}
	w.untilPhase(api.PhaseReady)
	w.requireOffered(two)
}

// What was in place before a restart of the service is in place after it, and a newer release replaces it.
func TestReadyOverARestart(t *testing.T) {
	w := newWorld(t)
	w.publish(2)
	w.on()
	w.pass(2 * time.Minute)
	w.untilPhase(api.PhaseReady)
	w.off()
	w.on()
	v := w.untilPhase(api.PhaseReady)
	require.Equal(t, "1.2.0", v.Offered.Name)
	w.pass(2 * time.Minute)
	w.pass(5 * time.Hour)
	w.untilPhase(api.PhaseReady)
	clears, _, _ := w.desk.asked()
	require.Equal(t, 1, clears)
	three := w.publish(3)
	w.pass(5 * time.Hour)
	w.until("3 is ready", func(v api.View) bool { return v.Phase == api.PhaseReady && v.Offered.Version == 3 })
	w.requireOffered(three)
}

// The running release must have proved itself before the other slot is touched.
func TestNotBeforeTheCommit(t *testing.T) {
	w := newWorld(t)
	w.publish(2)
	w.desk.committed = false
	w.on()
	w.pass(2 * time.Minute)
	w.pass(time.Hour)
	clears, _, _ := w.desk.asked()
	require.Zero(t, clears)
	require.Empty(t, w.view().Text+w.view().Warning)
	w.desk.set(func() { w.desk.committed = true })
	w.pass(11 * time.Second)
	w.untilPhase(api.PhaseReady)
}

func TestFaultsOfTheRegister(t *testing.T) {
	t.Run("init does not answer", func(t *testing.T) {
		w := newWorld(t)
		w.publish(2)
		w.desk.fail = map[string]error{"status": &bootapi.Error{Kind: bootapi.Unavailable, Text: "no"}}
		w.on()
		w.pass(2 * time.Minute)
		w.untilPhase(api.PhaseError)
		w.desk.set(func() { w.desk.fail = nil })
		w.pass(2 * time.Minute)
		w.untilPhase(api.PhaseReady)
	})
	t.Run("init will not clear", func(t *testing.T) {
		w := newWorld(t)
		w.publish(2)
		w.desk.fail = map[string]error{"clear": &bootapi.Error{Kind: bootapi.Conflict, Text: "no"}}
		w.on()
		w.pass(2 * time.Minute)
		w.untilPhase(api.PhaseError)
		w.desk.set(func() { w.desk.fail = nil })
		w.pass(2 * time.Minute)
		w.untilPhase(api.PhaseReady)
	})
	t.Run("init's answer to the offer is lost", func(t *testing.T) {
		w := newWorld(t)
		w.publish(2)
		w.desk.fail = map[string]error{"after offer": &bootapi.Error{Kind: bootapi.Unknown, Text: "lost"}}
		w.on()
		w.pass(2 * time.Minute)
		w.untilPhase(api.PhaseReady)
		require.Eventually(t, func() bool { return w.count(kindOffered) == 1 }, time.Second, time.Millisecond)
	})
	t.Run("the disk", func(t *testing.T) {
		w := newWorld(t)
		w.publish(2)
		w.desk.disk.Left = 300
		w.on()
		w.pass(2 * time.Minute)
		v := w.untilPhase(api.PhaseError)
		require.Contains(t, v.Text, "ディスクの故障")
	})
	t.Run("too large for the slot", func(t *testing.T) {
		w := newWorld(t)
		w.publish(2)
		w.svcSize(300 << 10)
		w.on()
		w.pass(2 * time.Minute)
		v := w.untilPhase(api.PhaseRefused)
		require.Contains(t, v.TextEn, "does not fit")
	})
	t.Run("the journal", func(t *testing.T) {
		w := newWorld(t)
		w.publish(2)
		w.journal.down = &link.Error{Kind: link.Unavailable, Text: "no"}
		w.on()
		w.pass(2 * time.Minute)
		w.untilPhase(api.PhaseReady)
		w.journal.mu.Lock()
		w.journal.down = nil
		w.journal.mu.Unlock()
		require.Eventually(t, func() bool { return w.count(kindOffered) == 1 }, 5*time.Second, time.Millisecond)
	})
	t.Run("damaged notes", func(t *testing.T) {
		w := newWorld(t)
		w.publish(2)
		require.NoError(t, os.WriteFile(filepath.Join(w.data, "notes"), []byte("torn"), 0o600))
		w.on()
		w.pass(2 * time.Minute)
		w.untilPhase(api.PhaseReady)
		_, err := memory.At(w.data).Notes()
		require.Error(t, err, "there was nothing to remember")
	})
}

// A register that was off for a year: what it knows is out of date, it sells, and it takes the next good release.
func TestOffForAYear(t *testing.T) {
	w := newWorld(t)
	w.on()
	w.pass(2 * time.Minute)
	w.off()
	w.pass(365 * 24 * time.Hour)
	w.on()
	w.pass(2 * time.Minute)
	v := w.until("a warning", func(v api.View) bool { return v.Warning != "" })
	require.Contains(t, v.Warning, "販売には影響ありません")
	two := w.publish(2)
	w.pass(5 * time.Hour)
	w.untilPhase(api.PhaseReady)
	w.requireOffered(two)
}

// The power goes at any of many moments of the whole way; after each, the next start brings the release into place.
func TestPowerCutsOnTheWholeWay(t *testing.T) {
	w := newWorld(t)
	two := w.publish(2)
	stick := w.copyFolder()
	points := 0
	for cut := 0; cut < 400; cut += 13 {
		w.desk.set(func() {
			clear(w.desk.disk.Data)
			w.desk.disk.Left = cut
			w.desk.rec.B = slotEmpty
			w.desk.rec.Failed = nil
		})
		w.on()
		w.stick.plug(stick)
		w.until("the power is gone", func(v api.View) bool { return v.Phase == api.PhaseError || v.Phase == api.PhaseReady })
		w.off()
		w.desk.set(func() { w.desk.disk.Left = -1 })
		w.stick.plug(stick)
		w.on()
		w.untilPhase(api.PhaseReady)
		w.requireOffered(two)
		w.off()
		points++
	}
	t.Logf("%d cut points", points)
}

// Every call over the socket, as the register makes it.
func TestOverTheSocket(t *testing.T) {
	w := newWorld(t)
	w.publish(2)
	s := w.on()
	path := filepath.Join(t.TempDir(), "u.sock")
	ln, err := net.Listen("unix", path)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- link.Serve(ctx, ln, func(uint32) string { return "register" }, s.Handler()) }()
	defer func() { stop(); <-served }()
	c := api.New(path)
	require.NoError(t, c.Busy(ctx, false))
	require.Equal(t, link.Conflict, link.KindOf(c.Now(ctx)))
	require.Equal(t, link.Conflict, link.KindOf(c.Again(ctx, 2)))
	require.Equal(t, link.BadRequest, link.KindOf(c.Postpone(ctx, 1000)))
	require.NoError(t, c.Check(ctx))
	seen := map[string]bool{}
	enough := errors.New("enough")
	err = c.Watch(ctx, func(v api.View) error {
		seen[v.Phase] = true
		if v.Phase == api.PhaseReady {
			return enough
		}
		return nil
	})
	require.ErrorIs(t, err, enough)
	require.NoError(t, c.Postpone(ctx, 5))
	require.NoError(t, c.Busy(ctx, true))
	require.NoError(t, c.Now(ctx))
	require.True(t, seen[api.PhaseReady])
}
