package act

import (
	"context"
	"errors"
	"fmt"

	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/redeploy"
)

// Why a source cannot be asked.
var (
	ErrNoStick = errors.New("no USB stick is plugged in")
	ErrNoNet   = errors.New("this register has no network")
)

func (a *Actor) redeploy(ctx context.Context, r Request) Report {
	d := &redeploy.Deployer{Register: a.m.Register, Report: a.deploying}
	var lines []Line
	var stick Stick
	defer func() {
		if stick != nil {
			_ = stick.Close()
		}
	}()
	open := func(ctx context.Context) (redeploy.Folder, error) {
		if a.m.Sticks == nil {
			return nil, ErrNoStick
		}
		var err error
		stick, err = a.m.Sticks.Open(ctx, false)
		return stick, err
	}
	for _, k := range r.From {
		done, err := d.From(ctx, a.source(k, r.Anew, open), r.Anew)
		if err == nil {
			return deployed(done)
		}
		lines = append(lines, refusals(k, err)...)
		a.m.Say("redeploy: " + err.Error())
		if ctx.Err() != nil {
			return Report{Title: Say("中止しました", "Stopped"), Lines: lines}
		}
	}
	if err := a.Forgive(); err != nil {
		a.m.Say("note: the slot record is not changed: " + err.Error())
	}
	return Report{Title: Say("復旧できませんでした", "It could not be repaired"), Lines: lines}
}

func (a *Actor) source(k redeploy.Kind, anew bool, open func(context.Context) (redeploy.Folder, error)) redeploy.Source {
	reg := a.m.Register
	switch k {
	case redeploy.OtherSlot:
		return redeploy.Slots(reg, anew)
	case redeploy.Factory:
		return redeploy.FactoryOf(reg)
	case redeploy.Stick:
		return redeploy.StickOf(reg.Root.Product, reg.Hardware, open)
	}
	return redeploy.NetworkOf(reg.Root.Product, reg.Hardware, func(ctx context.Context) (redeploy.Server, error) {
		if a.m.Net == nil {
			return nil, ErrNoNet
		}
		server, _, err := a.m.Net.Connect(ctx, a.setup)
		return server, err
	})
}

// deploying turns a redeploy's progress into words.
func (a *Actor) deploying(p redeploy.Progress) {
	if p.Phase != redeploy.Looking {
		a.begin() // from here on something is written
	}
	if a.report == nil {
		return
	}
	from := map[redeploy.Kind]Words{
		redeploy.OtherSlot: Say("このレジに残っている版", "the version on this register"),
		redeploy.Factory:   Say("工場出荷時の版", "the factory version"),
		redeploy.Stick:     Say("USBメモリーの版", "the version on the stick"),
		redeploy.Network:   Say("ネットワークの版", "the version on the network"),
	}[p.Kind]
	what := map[redeploy.Phase]Words{
		redeploy.Looking:  Say("%sを探しています", "Looking for %s"),
		redeploy.Writing:  Say("%sを書き込んでいます", "Writing %s"),
		redeploy.Checking: Say("%sを読み返して検査しています", "Reading back and checking %s"),
		redeploy.Renewing: Say("工場出荷時の控えを%sで新しくしています", "Renewing the factory copy with %s"),
	}[p.Phase]
	out := Progress{What: Say(fmt.Sprintf(what.Japanese, from.Japanese), fmt.Sprintf(what.English, from.English)), Done: p.Done, Total: p.Total}
	if p.Version != 0 {
		out.How = Say(fmt.Sprintf("版 %d（%s）　%s", p.Version, p.Name, amount(p.Done, p.Total)),
			fmt.Sprintf("version %d (%s)  %s", p.Version, p.Name, amount(p.Done, p.Total)))
	}
	a.report(out)
}

func amount(done, total int64) string {
	const mib = 1 << 20
	if total == 0 {
		return ""
	}
	return fmt.Sprintf("%d / %d MiB", done/mib, (total+mib-1)/mib)
}

func deployed(d redeploy.Done) Report {
	r := Report{OK: true, Restart: true, Title: Say("復旧しました", "It is repaired"), Lines: []Line{
		{Words: Say(fmt.Sprintf("版 %d（%s）を入れて、全体を検査しました。", d.Release.Version, d.Release.Name),
			fmt.Sprintf("Version %d (%s) was installed and checked from end to end.", d.Release.Version, d.Release.Name)), Detail: d.Where},
		{Level: Known, Words: Say("この後の起動は試運転です。うまく動かなければ、また復旧に戻ります。",
			"The next start is a trial. If it does not work, recovery comes back.")},
	}}
	switch {
	case d.Renewed:
		r.Lines = append(r.Lines, Line{Words: Say("工場出荷時の控えも新しくしました。", "The factory copy was renewed as well.")})
	case d.RenewProblem != nil:
		r.Lines = append(r.Lines, Line{Level: Doubtful, Words: Say("工場出荷時の控えは新しくできませんでした。", "The factory copy could not be renewed."), Detail: d.RenewProblem.Error()})
	}
	return r
}

// refusals says in words why a source did not serve, a line for each release.
func refusals(k redeploy.Kind, err error) (lines []Line) {
	name := map[redeploy.Kind]Words{
		redeploy.OtherSlot: Say("このレジの版", "This register's own"),
		redeploy.Factory:   Say("工場出荷時の版", "Factory version"),
		redeploy.Stick:     Say("USBメモリー", "USB stick"),
		redeploy.Network:   Say("ネットワーク", "Network"),
	}[k]
	for _, e := range split(err) {
		w, level := whyNot(e), Bad
		if errors.Is(e, redeploy.ErrNothing) || errors.Is(e, ErrNoStick) || errors.Is(e, ErrNoNet) {
			level = Known
		}
		lines = append(lines, Line{Level: level, Detail: e.Error(),
			Words: Say(name.Japanese+"："+w.Japanese+"。", name.English+": "+w.English+".")})
		if len(lines) == 3 {
			break
		}
	}
	return lines
}

// split takes the refusals of one source apart.
func split(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

func whyNot(err error) Words {
	for _, k := range []struct {
		cause error
		words Words
	}{
		{ErrNoStick, Say("差さっていません", "none is plugged in")},
		{ErrNoNet, Say("このレジにはありません", "this register has none")},
		{redeploy.ErrNothing, Say("使える版がありません", "there is no version to use")},
		{redeploy.ErrSpent, Say("このレジで一度失敗した版です", "it failed on this register before")},
		{redeploy.ErrNoSlot, Say("入れる場所がありません", "no slot can take it")},
		{context.DeadlineExceeded, Say("時間内に応答がありません", "no answer in time")},
		{context.Canceled, Say("中止しました", "stopped")},
	} {
		if errors.Is(err, k.cause) {
			return k.words
		}
	}
	return explain.About(err)
}
