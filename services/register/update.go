package register

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	boot "github.com/choba-os/choba/services/boot/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/till/sale"
	update "github.com/choba-os/choba/services/update/api"
)

const (
	updateTime    = 3 * time.Second
	postponeHours = 8 // "later" means: not during this shift
	// lingers is how long a paid sale that nobody has left counts as open: the last customer's may stay on the screen all night.
	lingers = 5 * time.Minute
)

// startUpdates follows the update service and keeps telling it whether a sale is open.
func (r *Register) startUpdates(ctx context.Context) {
	if r.cfg.Update == "" {
		return
	}
	c := update.New(r.cfg.Update)
	go func() {
		for ctx.Err() == nil {
			c.Watch(ctx, func(v update.View) error { return r.tellUpdate(ctx, &v) }) // why it ended is of no account: it is asked again
			if r.tellUpdate(ctx, nil) == nil {
				pause(ctx)
			}
		}
	}()
	go r.lease(ctx, c)
}

func (r *Register) tellUpdate(ctx context.Context, v *update.View) error {
	select {
	case r.updates <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lease says at every change, and every few seconds, whether a sale is open. Who says nothing counts as busy, so that a register that hangs is not restarted
// in the middle of a sale.
func (r *Register) lease(ctx context.Context, c *update.Client) {
	busy := true
	tick := time.NewTicker(update.BusyEvery)
	defer tick.Stop()
	for {
		select {
		case busy = <-r.busyNow:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		call, stop := context.WithTimeout(ctx, updateTime)
		c.Busy(call, busy) // an update service that is away restarts nothing
		stop()
	}
}

// sayBusy hands on whether a restart would spoil something.
func (r *Register) sayBusy() {
	busy := r.isBusy()
	if busy == r.busy || r.cfg.Update == "" {
		return
	}
	select {
	case <-r.busyNow: // an older word that nobody took
	default:
	}
	r.busyNow <- busy
	r.busy = busy
}

func (r *Register) isBusy() bool {
	if !r.started || r.down != nil || len(r.late) > 0 || r.waiting != nil {
		return true
	}
	s := r.book.Sale
	switch s.Phase {
	case sale.Open:
		return len(s.Lines) > 0
	case sale.Tendering:
		return true
	case sale.Complete:
		fresh := r.now().Sub(s.Completed.At) < lingers
		return !s.Dismissed && fresh || s.DrawerState() == sale.DrawerWaiting || s.Printed() == sale.JobAsked && fresh
	}
	return false
}

func (r *Register) setUpdate(v *update.View) {
	if r.update != v && (r.update == nil || v == nil || *r.update != *v) {
		r.update = v
		r.publish()
	}
}

// aboutUpdate hands a wish to the update service, beside the main loop. It is refused while a sale is open.
func (r *Register) aboutUpdate(a api.Act) error {
	var wish func(context.Context, *update.Client) error
	switch version := r.againVersion(); {
	case a.Op == api.OpUpdateNow:
		wish = func(ctx context.Context, c *update.Client) error { return c.Now(ctx) }
	case a.Op == api.OpUpdatePostpone:
		wish = func(ctx context.Context, c *update.Client) error { return c.Postpone(ctx, postponeHours) }
	case a.Op == api.OpUpdateCheck:
		wish = func(ctx context.Context, c *update.Client) error { return c.Check(ctx) }
	case a.Op == api.OpUpdateAgain && version != 0:
		wish = func(ctx context.Context, c *update.Client) error { return c.Again(ctx, version) }
	case a.Op == api.OpUpdateAgain:
		return refusal{msgUpdateNot, nil}
	default:
		return &link.Error{Kind: link.BadRequest, Text: "there is no such operation"}
	}
	switch {
	case r.isBusy():
		return refusal{msgUpdateSale, nil}
	case r.cfg.Update == "":
		return refusal{msgUpdateSilent, nil}
	}
	go func() {
		ctx, stop := context.WithTimeout(r.ctx, updateTime)
		defer stop()
		select {
		case r.told <- wish(ctx, update.New(r.cfg.Update)):
		case <-r.ctx.Done():
		}
	}()
	return nil
}

// answered says when a wish came to nothing. What came of one that was heard, the update's view tells.
func (r *Register) answered(err error) {
	switch link.KindOf(err) {
	case "":
		return
	case link.Conflict, link.BadRequest, link.Denied, link.NotFound:
		r.message = r.say(msgUpdateNot)
	default:
		r.message = r.say(msgUpdateSilent)
	}
	r.cfg.Log.WithError(err).Info("a wish about updates came to nothing")
	r.publish()
}

// againVersion is the release that failed here and could be tried once more; 0 for none.
func (r *Register) againVersion() uint64 {
	switch f := r.fallback(); {
	case r.update != nil && r.update.Phase == update.PhaseRefused && r.update.Offered.Version != 0:
		return r.update.Offered.Version
	case r.update != nil && f != nil:
		return f.Version
	}
	return 0
}

func (r *Register) fallback() *boot.Fallback {
	if r.cfg.Facts == nil {
		return nil
	}
	return r.cfg.Facts.Fallback
}

func (r *Register) software() api.Software {
	var s api.Software
	if f := r.cfg.Facts; f != nil {
		s.Version, s.Name = f.Version, f.Name
	}
	if u := r.update; u != nil {
		can := []string{update.PhaseIdle, update.PhaseRefused, update.PhaseError}
		s.CanCheck = slices.Contains(can, u.Phase) && !r.isBusy()
	}
	return s
}

// updateNotice is what a person should know about updates, shorter than the update service says it: there is little room beside the sale.
func (r *Register) updateNotice() *api.UpdateNotice {
	n := api.UpdateNotice{Phase: api.UpdateNone}
	u := r.update
	if u == nil {
		u = &update.View{}
	}
	switch u.Phase {
	case update.PhaseLoading:
		r.noticeLoading(&n, u)
	case update.PhaseReady:
		r.noticeReady(&n, u)
	case update.PhaseRestarting:
		n.Phase, n.Title, n.TitleEn = api.UpdateRestarting, "再起動しています", "Restarting"
		n.Text, n.TextEn = "新しい版に切り替えます。電源を切らずにお待ちください。", "The new version starts next. Please do not switch off."
	default:
		switch {
		case r.fallback() != nil:
			r.noticeFallback(&n)
		case u.Phase == update.PhaseRefused:
			n.Phase, n.Title, n.TitleEn = api.UpdateRefused, "更新できませんでした", "The update was not taken"
			n.Text, n.TextEn, n.CanAgain = u.Text, u.TextEn, r.againVersion() != 0
		case u.Phase == update.PhaseError:
			n.Phase, n.Title, n.TitleEn = api.UpdateError, "更新の確認が必要です", "Updates need attention"
			n.Text, n.TextEn = u.Text, u.TextEn
		}
	}
	n.Warning, n.WarningEn = u.Warning, u.WarningEn
	if n.Phase == api.UpdateNone && n.Warning == "" {
		return nil
	}
	return &n
}

func (r *Register) noticeLoading(n *api.UpdateNotice, u *update.View) {
	n.Phase, n.Percent = api.UpdateLoading, min(max(u.Percent, 0), 100)
	n.Title, n.TitleEn = "新しい版を読み込んでいます", "Loading a new version"
	n.Text, n.TextEn = "このまま販売を続けられます。", "You can keep selling."
}

func (r *Register) noticeReady(n *api.UpdateNotice, u *update.View) {
	n.Phase, n.CanNow, n.CanPostpone = api.UpdateReady, true, !u.Postponed
	n.Title, n.TitleEn = "新しい版の準備ができました", "A new version is ready"
	n.Text = "再起動すると新しい版に切り替わります。"
	n.TextEn = "It starts with the next restart."
	if u.At.IsZero() {
		return
	}
	n.At = u.At.In(r.zone)
	ja, en := n.At.Format("1月2日 15:04"), n.At.Format("15:04 on 2 Jan")
	n.Text = fmt.Sprintf("%sごろ、自動で再起動します。会計中には再起動しません。", ja)
	n.TextEn = fmt.Sprintf("It restarts by itself at about %s. Never during a sale.", en)
	if u.Postponed {
		n.Title, n.TitleEn = "更新を延期しています", "The update is put off"
	}
}

func (r *Register) noticeFallback(n *api.UpdateNotice) {
	f := r.fallback()
	n.Phase, n.CanAgain = api.UpdateFallback, r.againVersion() != 0
	n.Title, n.TitleEn = "前の版に戻しました", "Back on the version before"
	n.Text = "新しい版は正常に起動しなかったため、前の版に戻しました。販売は通常どおり続けられます。"
	n.TextEn = "The new version did not start properly, so the register is back on the one before. You can sell as usual."
	n.Small, n.SmallEn = "理由："+f.ReasonJa, "Reason: "+f.Reason
	if f.ReasonJa == "" {
		n.Small = "理由：" + f.Reason
	}
}

// insecure names the protection that this boot lacks.
func (r *Register) insecure() *api.Pair {
	if r.cfg.Facts == nil || len(r.cfg.Facts.Insecure) == 0 {
		return nil
	}
	var ja, en []string
	for _, lack := range r.cfg.Facts.Insecure {
		switch lack {
		case boot.NoTPM:
			ja, en = append(ja, "TPMなし"), append(en, "no TPM")
		case boot.NoSecureBoot:
			ja, en = append(ja, "セキュアブート無効"), append(en, "Secure Boot off")
		default:
			ja, en = append(ja, lack), append(en, lack)
		}
	}
	return &api.Pair{
		Text:   "試験用：このレジは保護されていません（" + strings.Join(ja, "・") + "）",
		TextEn: "Test use only: this register is not protected (" + strings.Join(en, ", ") + ")",
	}
}
