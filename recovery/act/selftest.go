package act

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/redeploy"
)

// network tries a connection and keeps the settings for this run when it works.
func (a *Actor) network(ctx context.Context, r Request) Report {
	title := Say("接続できませんでした", "No connection")
	if a.m.Net == nil {
		return a.refused(title, ErrNoNet)
	}
	a.tell(Say("ネットワークに接続しています", "Connecting to the network"), 0, 0)
	_, text, err := a.m.Net.Connect(ctx, r.Setup)
	if err != nil {
		return a.refused(title, err)
	}
	a.setup = r.Setup
	return Report{OK: true, Title: Say("接続しました", "Connected"), Lines: []Line{
		{Words: Say("この設定は電源を切るまで使われます。", "The setting is used until the power goes."), Detail: text},
	}}
}

// selfTest looks at every part that a repair needs. It changes nothing.
func (a *Actor) selfTest(ctx context.Context) Report {
	var lines []Line
	tests := []func(context.Context) []Line{a.testRead, a.testSlots, a.testTPM, a.testWatchdog, a.testPlugs, a.testNet}
	for i, test := range tests {
		a.tell(Say("レジを調べています", "Testing the register"), int64(i), int64(len(tests)))
		lines = append(lines, test(ctx)...)
		if ctx.Err() != nil {
			return Report{Title: Say("中止しました", "Stopped"), Lines: lines}
		}
	}
	worst := Good
	for _, l := range lines {
		worst = max(worst, l.Level)
	}
	title := Say("異常はありません", "Nothing is wrong")
	if worst >= Doubtful {
		title = Say("確認が必要な項目があります", "Some things need a look")
	}
	return Report{OK: worst < Bad, Title: title, Lines: lines}
}

func bad(ja, en string, err error) Line {
	return Line{Level: Bad, Words: Say(ja, en), Detail: err.Error()}
}

// readSize is what is read of each partition to see how fast the disk is.
const readSize = 16 * layout.MiB

func (a *Actor) testRead(ctx context.Context) []Line {
	reg := a.m.Register
	parts := []struct {
		name string
		redeploy.Part
	}{
		{layout.SlotA, reg.Slots[slot.A]}, {layout.SlotB, reg.Slots[slot.B]}, {layout.Factory, reg.Factory}, {layout.Data, a.m.Data},
	}
	var total int64
	start := a.m.Now()
	for _, p := range parts {
		if p.Device == nil {
			return []Line{bad("ディスクの領域が足りません", "A partition of the disk is missing", errors.New(p.name))}
		}
		r := &counter{ctx: ctx, r: io.NewSectionReader(p, 0, min(p.Size, readSize)), step: func(n int) { total += int64(n) }}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return []Line{bad("ディスクを読めません", "The disk cannot be read", fmt.Errorf("%s: %w", p.name, err))}
		}
	}
	took := max(a.m.Now().Sub(start), time.Millisecond)
	speed := float64(total) / layout.MiB / took.Seconds()
	l := Line{Words: Say("ディスクは読めます", "The disk can be read"), Detail: fmt.Sprintf("%.0f MiB/s over %d MiB", speed, total/layout.MiB)}
	if speed < 10 {
		l.Level, l.Words = Doubtful, Say("ディスクが遅くなっています", "The disk is slow")
	}
	return []Line{l}
}

func (a *Actor) testSlots(ctx context.Context) (lines []Line) {
	reg := a.m.Register
	for _, s := range []struct {
		ja, en string
		redeploy.Part
	}{
		{"スロット a", "Slot a", reg.Slots[slot.A]}, {"スロット b", "Slot b", reg.Slots[slot.B]}, {"工場出荷時の版", "Factory version", reg.Factory},
	} {
		if s.Device == nil {
			continue
		}
		r, err := a.testRelease(ctx, s.Part)
		if err != nil {
			w := explain.About(err)
			lines = append(lines, bad(s.ja+"："+w.Japanese, s.en+": "+w.English, err))
			continue
		}
		lines = append(lines, Line{Words: Say(fmt.Sprintf("%s：版 %d（%s）、全体が正常です", s.ja, r.Version, r.Name),
			fmt.Sprintf("%s: version %d (%s), whole", s.en, r.Version, r.Name))})
	}
	return lines
}

func (a *Actor) testRelease(ctx context.Context, p redeploy.Part) (release.Release, error) {
	signed, err := release.ReadHead(p, p.Size)
	if err != nil {
		return release.Release{}, err
	}
	reg := a.m.Register
	r, err := release.Check(reg.Root, signed, release.Register{Hardware: reg.Hardware, Floor: reg.Floor})
	if err != nil {
		return r, err
	}
	return r, verity.Verify(stopping{ctx, p, a}, r.Verity)
}

// stopping ends a reading with ctx, and shows that it gets on.
type stopping struct {
	ctx context.Context
	r   io.ReaderAt
	a   *Actor
}

func (s stopping) ReadAt(b []byte, off int64) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	if off%layout.MiB == 0 {
		s.a.tell(Say("版を検査しています", "Checking the versions"), 0, 0)
	}
	return s.r.ReadAt(b, off)
}

func (a *Actor) testTPM(context.Context) []Line {
	t, err := a.openTPM()
	if err != nil {
		return []Line{bad("セキュリティーチップ（TPM）が使えません", "The security chip (TPM) cannot be used", err)}
	}
	defer t.Close()
	now, err := t.Choice()
	if err == nil && now != seal.Predict(seal.Recovery()) {
		err = errors.New("PCR 13 does not say recovery: " + now.String())
	}
	if err != nil {
		return []Line{bad("セキュリティーチップ（TPM）の値が違います", "The security chip (TPM) holds another value", err)}
	}
	at, err := t.Boot()
	if err != nil {
		return []Line{bad("セキュリティーチップ（TPM）を読めません", "The security chip (TPM) cannot be read", err)}
	}
	detail := fmt.Sprintf("PCR 4 %.12s, PCR 7 %.12s", at.Image, at.SecureBoot)
	if floor, err := t.Floor(); err == nil {
		detail += fmt.Sprintf(", floor %d", floor)
	}
	return []Line{{Words: Say("セキュリティーチップ（TPM）は正常です", "The security chip (TPM) works"), Detail: detail}}
}

func (a *Actor) testWatchdog(context.Context) []Line {
	if a.m.Watchdog == nil {
		return nil
	}
	name, err := a.m.Watchdog()
	if err != nil {
		return []Line{{Level: Doubtful, Words: Say("監視タイマーがありません", "There is no watchdog timer"), Detail: err.Error()}}
	}
	return []Line{{Words: Say("監視タイマーが動いています", "The watchdog timer is running"), Detail: name}}
}

func (a *Actor) testPlugs(context.Context) (lines []Line) {
	if a.m.Screens != nil {
		for _, s := range a.m.Screens() {
			lines = append(lines, Line{Words: Say("画面がつながっています", "A screen is connected"), Detail: s})
		}
	}
	if a.m.USB == nil {
		return lines
	}
	list, err := a.m.USB()
	if err != nil {
		return append(lines, bad("USB機器を調べられません", "The USB devices cannot be listed", err))
	}
	text := ""
	for i, d := range list {
		if i > 0 {
			text += ", "
		}
		text += d
	}
	return append(lines, Line{Level: Known, Words: Say(fmt.Sprintf("USB機器：%d 台", len(list)), fmt.Sprintf("USB devices: %d", len(list))), Detail: text})
}

func (a *Actor) testNet(context.Context) (lines []Line) {
	if a.m.Net == nil {
		return nil
	}
	cards, err := a.m.Net.Cards()
	if err != nil {
		return []Line{bad("ネットワークを調べられません", "The network cannot be looked at", err)}
	}
	for _, c := range cards {
		l := Line{Words: Say("LANケーブルがつながっています", "A network cable is connected"), Detail: c.Name}
		if !c.Cable {
			l.Level, l.Words = Known, Say("LANケーブルがつながっていません", "No network cable is connected")
		}
		lines = append(lines, l)
	}
	return lines
}
