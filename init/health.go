package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/choba-os/choba/drivers/display/notice"
	"github.com/choba-os/choba/init/system"
	"github.com/choba-os/choba/init/verdict"
)

// This file is how a boot fails: the release that runs did not become ready to sell. Whatever it was, the boot ends by
// itself in bounded time, with the reason written down first, so that recovery can do something about it.

// readRecord finds out whether the running release is on trial, and why the register may be back on an older one.
func (m *machine) readRecord() error {
	rec, past, err := m.loadState()
	m.onTrial.Store(verdict.OnTrial(rec, m.facts.slot))
	m.fallback = verdict.Fallback(rec, past, m.facts.version)
	if m.onTrial.Load() {
		m.console.Say("version %d is on trial", m.facts.version)
	}
	return err
}

// watchPlan ends the trial of a release whose own plan hangs. Once the plan has run to its end the supervision judges.
// Without a trial the watchdog does it: it is fed by steps that come to their end.
func (m *machine) watchPlan(ctx context.Context) {
	limit := time.NewTimer(m.times.ready + m.times.grace)
	defer limit.Stop()
	select {
	case <-ctx.Done():
	case <-m.planned:
	case <-limit.C:
		if m.onTrial.Load() {
			step, _ := m.doing.Load().(string)
			m.gaveUp(fmt.Sprintf("not ready in time: still busy to %s", step))
		}
	}
}

// unhealthy is called on the supervision's goroutine, which must go on.
func (m *machine) unhealthy(reason string) { go m.gaveUp(reason) }

// gaveUp is giveUp for those to whom nobody listens.
func (m *machine) gaveUp(reason string) {
	if err := m.giveUp(reason); err != nil {
		m.console.Say("%v", err)
	}
}

// giveUp ends a boot that did not become ready: the reason is written down, shown for a moment, and the register
// restarts. Each part is bounded; if all of it hangs, the watchdog does the rest.
func (m *machine) giveUp(reason string) error {
	if !m.over.CompareAndSwap(false, true) {
		select {} // it ends already, in another way
	}
	m.console.Say("health: %s", reason)
	m.feed()
	m.fail(reason)
	page := stopped(errors.New(reason))
	if m.onTrial.Load() {
		page = failedTrial(m.facts.version, reason)
	}
	return m.down(wish{system.Reboot, "health: " + reason}, m.times.step, page)
}

// fail writes the reason down, as far as the disk is known.
func (m *machine) fail(reason string) {
	if !m.haveState.Load() {
		return // the try that recovery took stays taken
	}
	m.writeDown(func(b verdict.Boot) error { return verdict.Fail(m.state, b, reason, time.Now()) })
}

// writeDown has the state partition hear how this boot ended.
func (m *machine) writeDown(do func(verdict.Boot) error) {
	m.within(m.times.step, "writing down why", func() error {
		m.stateMu.Lock()
		defer m.stateMu.Unlock()
		return do(verdict.Boot{Slot: m.facts.slot, Version: m.facts.version})
	})
}

// cannotStart ends a boot whose plan broke off. A release on trial gives way at once. Otherwise, and where any release
// would have met the same, the register says for a while what is wrong: recovery has the other slot, its own page, and
// the ways to repair what lies in the machine.
func (m *machine) cannotStart(why error) error {
	switch known := m.haveState.Load(); {
	case m.onTrial.Load() && !verdict.EveryRelease(why):
		return m.giveUp(why.Error())
	case !known:
		return m.stopState(why, m.times.early)
	case verdict.IsKeyShut(why):
		m.writeDown(func(b verdict.Boot) error { return verdict.KeyShut(m.state, b, why.Error(), time.Now()) })
	case m.onTrial.Load():
		m.writeDown(func(b verdict.Boot) error { return verdict.Keep(m.state, b, why.Error(), time.Now()) })
	default:
		m.fail(why.Error())
	}
	return m.stopState(why, m.times.stop)
}

// stopState says why the register cannot sell, on the console and on the screens, and restarts after a while, or
// earlier when somebody asks for it.
func (m *machine) stopState(why error, wait time.Duration) error {
	if !m.over.CompareAndSwap(false, true) {
		select {} // the plan's deadline was faster
	}
	m.console.Say("stop: %v", why)
	m.closeAll(m.times.step) // the screen too: the page wants it
	defer m.page(stopped(why))()
	return m.down(m.wait(wait), m.times.step, nil)
}

// wait waits for a wish, or so long.
func (m *machine) wait(wait time.Duration) wish {
	limit := time.NewTimer(wait)
	defer limit.Stop()
	feed := time.NewTicker(5 * time.Second)
	defer feed.Stop()
	for {
		select {
		case <-feed.C:
			m.feed()
		case w := <-m.wishes:
			return w
		case <-limit.C:
			return wish{system.Reboot, "it could not start"}
		}
	}
}

// end is the end that somebody wished for.
func (m *machine) end(w wish) error {
	if !m.over.CompareAndSwap(false, true) {
		select {} // it ends already, in another way
	}
	if !m.committed.Load() && m.haveState.Load() {
		m.within(m.times.step, "writing down that the boot ends", func() error {
			m.stateMu.Lock()
			defer m.stateMu.Unlock()
			return verdict.End(m.state, m.facts.slot)
		})
	}
	return m.down(w, m.times.all, nil)
}

// down closes what is open, shows the page for a moment if there is one, and ends. It returns only when the power does
// not obey.
func (m *machine) down(w wish, limit time.Duration, page notice.Page) error {
	m.console.Say("%s: %s", w.how, w.why)
	m.journal.Add("boot.end", map[string]string{"how": string(w.how), "why": w.why})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	m.journal.Drain(ctx)
	cancel()
	m.closeAll(limit)
	if page != nil {
		defer m.page(page)()
		time.Sleep(m.times.page)
	}
	m.console.Flush(time.Second)
	if err := m.world.power(w.how); err != nil {
		return fmt.Errorf("%s: %w", w.how, err)
	}
	return nil
}

// closer is something that must be closed before the power goes.
type closer struct {
	what string
	do   func() error
}

// atEnd notes what is to be closed, before what was noted earlier.
func (m *machine) atEnd(what string, do func() error) {
	m.closersMu.Lock()
	defer m.closersMu.Unlock()
	m.closers = append(m.closers, closer{what, do})
}

// closeAll closes everything, the last first, each within limit. The watchdog is fed in between: with all of it hanging
// it has the last word.
func (m *machine) closeAll(limit time.Duration) {
	m.closersMu.Lock()
	all := m.closers
	m.closers = nil
	m.closersMu.Unlock()
	for _, c := range slices.Backward(all) {
		m.feed()
		m.within(limit, c.what, c.do)
	}
	m.feed()
}

// within does something that must not keep the end of a boot from coming.
func (m *machine) within(most time.Duration, what string, do func() error) {
	done := make(chan error, 1)
	go func() { done <- do() }()
	limit := time.NewTimer(most)
	defer limit.Stop()
	select {
	case err := <-done:
		if err != nil {
			m.console.Say("%s: %v", what, err)
		}
	case <-limit.C:
		m.console.Say("%s: takes longer than %v, and is left", what, most)
	}
}

// page shows a page until done is called.
func (m *machine) page(p notice.Page) (done func()) {
	done = func() {}
	shown := make(chan func(), 1)
	m.within(m.times.step, "showing the page", func() error {
		d, err := m.world.show(p)
		shown <- d
		return err
	})
	select {
	case done = <-shown:
	default:
	}
	return done
}

// show lights the screens.
func show(p notice.Page) (done func(), err error) {
	var screens notice.Screens
	err = screens.Show(p)
	return screens.Close, err
}
