package register

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	boot "github.com/choba-os/choba/services/boot/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/register/api"
	update "github.com/choba-os/choba/services/update/api"
)

// playedUpdate is an update service that shows what the test wants and remembers what it was told.
type playedUpdate struct {
	mu      sync.Mutex // guards what follows
	view    update.View
	changed chan struct{}
	said    []string
	busy    []bool
	refuse  bool
}

func playUpdate(c *counter) *playedUpdate {
	u := &playedUpdate{changed: make(chan struct{}), view: update.View{Phase: update.PhaseIdle, Running: update.Release{Version: 13, Name: "1.3"}}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/view", func(w http.ResponseWriter, q *http.Request) {
		send := link.Lines(w)
		for {
			u.mu.Lock()
			v, changed := u.view, u.changed
			u.mu.Unlock()
			if send(v) != nil {
				return
			}
			select {
			case <-changed:
			case <-q.Context().Done():
				return
			}
		}
	})
	hear(mux, u, "now", func(update.Now) {})
	hear(mux, u, "check", func(update.Check) {})
	hear(mux, u, "postpone", func(p update.Postpone) { require.Equal(c.t, postponeHours, p.Hours) })
	hear(mux, u, "again", func(a update.Again) { require.EqualValues(c.t, 14, a.Version) })
	hear(mux, u, "busy", func(b update.Busy) { u.busy = append(u.busy, b.Busy) })
	c.update = c.at("update")
	played(c.t, c.update, mux)
	return u
}

// hear answers one call.
func hear[T any](mux *http.ServeMux, u *playedUpdate, verb string, fn func(T)) {
	mux.HandleFunc("POST /v1/"+verb, func(w http.ResponseWriter, q *http.Request) {
		var body T
		if !link.Read(w, q, &body) {
			return
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.refuse && verb != "busy" {
			link.Refuse(w, link.Conflict, "no")
			return
		}
		fn(body)
		if verb != "busy" {
			u.said = append(u.said, verb)
		}
		link.Reply(w, struct{}{})
	})
}

func (u *playedUpdate) show(v update.View) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.view = v
	close(u.changed)
	u.changed = make(chan struct{})
}

func (u *playedUpdate) heard() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.said)
}

func (u *playedUpdate) lastBusy() (busy, any bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.busy) == 0 {
		return false, false
	}
	return u.busy[len(u.busy)-1], true
}

func (u *playedUpdate) untilBusy(t *testing.T, want bool) {
	t.Helper()
	require.Eventually(t, func() bool { busy, any := u.lastBusy(); return any && busy == want }, 10*time.Second, 10*time.Millisecond)
}

func phaseOf(v api.View) string {
	if v.Update == nil {
		return ""
	}
	return v.Update.Phase
}

// The way of an update past the person at the register.
func TestUpdateIsShownAndSteered(t *testing.T) {
	t.Parallel()
	c := set(t)
	u := playUpdate(c)
	c.on()
	v := c.until("it is idle and updates can be looked for", func(v api.View) bool { return v.Phase == api.PhaseIdle && v.Software.CanCheck })
	require.Nil(t, v.Update, "nothing to say")
	c.must(api.Act{Op: api.OpUpdateCheck})
	u.show(update.View{Phase: update.PhaseLoading, Offered: update.Release{Version: 14, Name: "1.4"}, Percent: 42})
	v = c.until("it loads", func(v api.View) bool { return phaseOf(v) == api.UpdateLoading })
	require.Equal(t, 42, v.Update.Percent)
	at := time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)
	u.show(update.View{Phase: update.PhaseReady, Offered: update.Release{Version: 14, Name: "1.4"}, Percent: 100, At: at})
	v = c.until("it is ready", func(v api.View) bool { return phaseOf(v) == api.UpdateReady })
	require.True(t, v.Update.CanNow && v.Update.CanPostpone && !v.Update.CanAgain)
	require.Equal(t, "11月22日 02:00ごろ、自動で再起動します。会計中には再起動しません。", v.Update.Text)
	require.Equal(t, "It restarts by itself at about 02:00 on 22 Nov. Never during a sale.", v.Update.TextEn)
	require.True(t, at.Equal(v.Update.At))
	c.must(api.Act{Op: api.OpUpdatePostpone})
	u.show(update.View{Phase: update.PhaseReady, Offered: update.Release{Version: 14}, At: at, Postponed: true})
	v = c.until("it is put off", func(v api.View) bool { return v.Update != nil && !v.Update.CanPostpone })
	require.True(t, v.Update.CanNow)
	require.Eventually(t, func() bool { return len(u.heard()) == 2 }, 5*time.Second, 10*time.Millisecond)
	c.must(api.Act{Op: api.OpUpdateNow})
	require.Eventually(t, func() bool { return slices.Equal([]string{"check", "postpone", "now"}, u.heard()) }, 5*time.Second, 10*time.Millisecond)

	u.mu.Lock()
	u.refuse = true
	u.mu.Unlock()
	c.must(api.Act{Op: api.OpUpdateNow})
	c.until("it says that it was not done", func(v api.View) bool { return v.Message != nil && v.Message.Code == "update" })
}

// While a sale is open nobody restarts the register, and the update service knows.
func TestNoUpdateInASale(t *testing.T) {
	t.Parallel()
	c := set(t)
	u := playUpdate(c)
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	u.untilBusy(t, false)
	c.must(api.Act{Op: api.OpCode, Code: codeTea})
	u.untilBusy(t, true)
	for _, op := range []string{api.OpUpdateNow, api.OpUpdatePostpone, api.OpUpdateCheck} {
		_, err := c.act(api.Act{Op: op})
		require.Equal(t, link.Conflict, link.KindOf(err), op)
	}
	c.must(api.Act{Op: api.OpTender})
	u.untilBusy(t, true)
	c.must(api.Act{Op: api.OpCash, Amount: 500})
	u.untilBusy(t, true)
	c.must(api.Act{Op: api.OpNext})
	u.untilBusy(t, false)
	require.Empty(t, u.heard())
}

// After a release that failed: words, the reason, and a way to try it once more.
func TestFallbackIsSaid(t *testing.T) {
	t.Parallel()
	c := set(t)
	u := playUpdate(c)
	c.facts = &boot.Facts{Version: 13, Name: "1.3", Slot: "a", Fallback: &boot.Fallback{Version: 14, Reason: "screen was not ready", ReasonJa: "画面が準備できませんでした"}}
	c.on()
	v := c.until("it says so", func(v api.View) bool { return phaseOf(v) == api.UpdateFallback && v.Update.CanAgain })
	require.Equal(t, "新しい版は正常に起動しなかったため、前の版に戻しました。販売は通常どおり続けられます。", v.Update.Text)
	require.Equal(t, "理由：画面が準備できませんでした", v.Update.Small)
	require.Equal(t, "Reason: screen was not ready", v.Update.SmallEn)
	require.Equal(t, api.Software{Version: 13, Name: "1.3", CanCheck: true}, v.Software)
	c.must(api.Act{Op: api.OpUpdateAgain})
	require.Eventually(t, func() bool { return slices.Equal([]string{"again"}, u.heard()) }, 5*time.Second, 10*time.Millisecond)
	u.show(update.View{Phase: update.PhaseIdle, Warning: "期限が切れています。", WarningEn: "Expired."})
	c.until("a warning beside it", func(v api.View) bool { return phaseOf(v) == api.UpdateFallback && v.Update.WarningEn == "Expired." })
}

// A register without an update service sells, and says nothing of updates.
func TestNoUpdateService(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.update = c.at("nobody")
	c.facts = &boot.Facts{Insecure: []string{boot.NoTPM, boot.NoSecureBoot}}
	c.on()
	v := c.until("it is idle", inPhase(api.PhaseIdle))
	require.Nil(t, v.Update)
	require.False(t, v.Software.CanCheck)
	require.Equal(t, "試験用：このレジは保護されていません（TPMなし・セキュアブート無効）", v.Insecure.Text)
	require.Equal(t, "Test use only: this register is not protected (no TPM, Secure Boot off)", v.Insecure.TextEn)
	_, err := c.act(api.Act{Op: api.OpUpdateAgain})
	require.Equal(t, link.Conflict, link.KindOf(err), "there is nothing to try again")
	c.must(api.Act{Op: api.OpUpdateNow})
	c.until("it says that nobody answers", func(v api.View) bool { return v.Message != nil && v.Message.Code == "update" })
	require.Equal(t, 1, c.must(api.Act{Op: api.OpCode, Code: codeTea}).Count)
}

// A paid sale that nobody leaves does not put an update off for ever: the last customer's may stay on the screen all night.
func TestPaidSaleLingers(t *testing.T) {
	t.Parallel()
	c := set(t)
	u := playUpdate(c)
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	c.must(api.Act{Op: api.OpCode, Code: codeTea})
	c.must(api.Act{Op: api.OpCash, Amount: 500})
	c.until("paper and drawer are settled", func(v api.View) bool { return v.Print.State == "done" && v.Drawer.State == "opened" })
	u.untilBusy(t, true)
	c.later.Store(int64(lingers) + int64(time.Second))
	u.untilBusy(t, false)
	c.until("the change is still shown", inPhase(api.PhaseDone))

	// an open sale is another matter
	c.must(api.Act{Op: api.OpCode, Code: codeBeer})
	u.untilBusy(t, true)
	c.later.Store(int64(24 * time.Hour))
	time.Sleep(600 * time.Millisecond)
	busy, _ := u.lastBusy()
	require.True(t, busy)
}
