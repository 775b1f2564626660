package guide

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/face"
	"github.com/choba-os/choba/recovery/redeploy"
)

func facts() Facts {
	return Facts{
		Troubles: []explain.Trouble{
			explain.InSlot(slot.A, wrap("reading back: data block 5120", verity.ErrCorrupt)),
			explain.InSlot(slot.B, wrap("opening verity device choba-slot-b", dm.ErrStranger)),
		},
		Register: "SS2B-7D6V-SPV1-FWM9-DASK-9AT1-0MHK-SSJ6",
		Nonce:    func() string { return "F50J-9CKG-9BA4-16ZD-PVSY" },
	}
}

func wrap(text string, err error) error { return errors.Join(errors.New(text), err) }

func TestNobodyThere(t *testing.T) {
	g := New(facts())
	require.Equal(t, Effect{}, g.Tick(Countdown-time.Second))
	e := g.Tick(time.Second)
	require.NotNil(t, e.Start)
	require.Equal(t, Automatic(), *e.Start)
	require.Equal(t, redeploy.Order(), e.Start.From)
	require.False(t, e.Start.Anew, "what failed before is never tried again by itself")
	require.True(t, g.Busy())

	g.Finished(act.Report{Action: act.Redeploy})
	require.Equal(t, Effect{}, g.Tick(Retry-1))
	e = g.Tick(1)
	require.Equal(t, []redeploy.Kind{redeploy.Stick, redeploy.Network}, e.Start.From, "a damaged factory partition is not copied every minute")

	g.Finished(act.Report{Action: act.Redeploy, OK: true, Restart: true})
	require.Equal(t, Effect{Restart: true}, g.Tick(Restart))
}

func TestATouchStopsTheCountdown(t *testing.T) {
	for _, id := range []string{face.Anywhere, idMenu} {
		g := New(facts())
		g.Tick(Countdown / 2)
		g.Touch(id)
		require.Equal(t, menu, g.at)
		require.Equal(t, Effect{}, g.Tick(Idle-time.Second))
		g.Tick(time.Second)
		require.Equal(t, stopped, g.at, "the person went away: the register helps itself again")
		require.NotNil(t, g.Tick(Countdown).Start)
	}
}

// TestNoReleaseHelps: without a disk, a lock or a TPM nothing is written by itself; the register starts again now and then.
func TestNoReleaseHelps(t *testing.T) {
	for _, cause := range []error{disk.ErrAbsent, explain.ErrUnlocked, explain.ErrNoTPM} {
		g := New(Facts{Troubles: []explain.Trouble{explain.General(cause)}})
		require.Equal(t, Effect{}, g.Tick(Anew-1))
		require.Equal(t, Effect{Restart: true}, g.Tick(1))
		require.Equal(t, Effect{Restart: true}, g.Touch(idNow))
		g.Touch(idMenu)
		require.NotNil(t, g.Touch(idAuto).Start, "a person may all the same")
	}
}

func TestAskedForRecovery(t *testing.T) {
	f := facts()
	f.Asked, f.Troubles = true, nil
	g := New(f)
	require.Equal(t, menu, g.at)
	g.Tick(Idle)
	require.Equal(t, Effect{Restart: true}, g.Tick(Countdown), "nothing is wrong: it starts again instead of overwriting a slot")
}

func TestTyping(t *testing.T) {
	g := New(facts())
	g.at = netAddress
	for _, k := range "192.168.1.50x/24" {
		g.Touch(face.KeyPrefix + string(k))
	}
	require.Equal(t, "192.168.1.50/24", g.typed)
	g.Touch(idDone)
	require.Equal(t, netGateway, g.at)
	require.Equal(t, Effect{}, g.Touch(idDone), "an empty field is not an address")
	g.Touch(idSkip)
	require.Equal(t, netDNS, g.at)
	for _, k := range "10.0.0.1" {
		g.Touch(face.KeyPrefix + string(k))
	}
	e := g.Touch(idDone)
	require.Equal(t, "192.168.1.50/24", e.Start.Setup.Address.String())
	require.False(t, e.Start.Setup.Gateway.IsValid())
	require.Equal(t, "10.0.0.1", e.Start.Setup.DNS.String())

	for _, bad := range []string{"0.0.0.0/24", "127.0.0.1/8", "224.0.0.1/24", "1.2.3.4/31", "1.2.3.4", "1.2.3/24"} {
		g := New(facts())
		g.at, g.typed = netAddress, bad
		require.False(t, g.valid(), bad)
	}
}

// TestKeyShut: who stands before a register on another board comes to the recovery code with two touches, and one that
// nobody touches tries again by itself.
func TestKeyShut(t *testing.T) {
	trouble := Facts{Troubles: []explain.Trouble{explain.General(wrap("opening the data key: another TPM", explain.ErrNoKeys))}}
	g := New(trouble)
	g.Touch(idRebind)
	g.Touch(idCode)
	require.Equal(t, code, g.at)
	g = New(trouble)
	require.Equal(t, Effect{Restart: true}, g.Tick(Anew))
	g = New(facts())
	g.Touch(idRebind)
	require.Equal(t, menu, g.at, "it is no button of another page")
}

func TestCode(t *testing.T) {
	g := New(facts())
	g.at = code
	for range 60 {
		g.Touch("key:0")
	}
	require.Len(t, g.typed, 48)
	e := g.Touch(idDone)
	require.Equal(t, act.Rebind, e.Start.Action)
	require.Empty(t, g.typed, "the code does not stay on the screen")
	require.False(t, g.canStop())
	require.Equal(t, Effect{}, g.Touch(idStop))
	g.at = code
	for _, k := range "000001" {
		g.Touch("key:" + string(k))
	}
	require.Equal(t, 1, g.Page().Field.Wrong, "a slip is shown at its group")
	g.Touch("key:back")
	require.Len(t, g.typed, 5)
	g.Touch("key:clear")
	require.Empty(t, g.typed)
}

func TestResetNeedsTwoQuestions(t *testing.T) {
	g := New(facts())
	g.Touch(idMenu)
	g.Touch(idReset)
	require.Equal(t, facts().Register, g.Page().Facts[0].Value)
	require.Nil(t, g.Touch(idYes).Start, "not from here")
	g.Touch(idReset)
	require.Equal(t, act.Reset, g.Touch(idYes).Start.Action)
}

// TestEveryTouchEverywhere: no touch, on any page that can be reached, leads to a page
// without a way out, and nothing is started without a button for it.
func TestEveryTouchEverywhere(t *testing.T) {
	all := everyPlace()
	for _, g := range all {
		p := g.Page()
		if p.Fill == nil && g.at != working {
			require.NotEmpty(t, p.Focusable(), "page %d has no way on", g.at)
		}
		for _, id := range append(p.Focusable(), face.Anywhere, "nonsense", "from:abacus", "key:💥", face.KeyBack) {
			h := *g
			h.Touch(id)
			_ = h.Page()
		}
	}
	require.Len(t, all, int(echo)+5)
}

// everyPlace is a guide on each of its pages.
func everyPlace() (all []*Guide) {
	for p := stopped; p <= echo; p++ {
		g := New(facts())
		g.at = p
		switch p {
		case working:
			g.start(Automatic(), true)
			g.Progress(sampleProgress())
		case waiting, reported:
			g.report = sampleFailure()
		case restart:
			g.report = sampleDone()
		case code:
			g.typed = "052437105600000011222"
		case netAddress:
			g.typed = "192.168.1.50/2"
		case netDNS:
			g.typed = "192.168.1.1"
		case echo:
			g.dots, g.keys = []face.Dot{{X: 0.3, Y: 0.6}, {X: 0.35, Y: 0.62}}, "123"
		}
		all = append(all, g)
	}
	g := New(facts())
	g.at, g.report = reported, sampleSelfTest()
	broken := New(Facts{Troubles: []explain.Trouble{explain.General(wrap("finding partition choba-a", disk.ErrAbsent))}})
	shut := New(Facts{Troubles: []explain.Trouble{explain.General(wrap("opening the data key: this TPM belongs to nobody", explain.ErrNoKeys))}})
	asked := New(Facts{Asked: true, Troubles: []explain.Trouble{explain.General(explain.ErrAsked)}})
	asked.Tick(Idle)
	return append(all, g, broken, shut, asked)
}

func sampleProgress() act.Progress {
	return act.Progress{
		What: say("工場出荷時の版を読み返して検査しています", "Reading back and checking the factory version"),
		How:  say("版 14（1.4.0）　31 / 62 MiB", "version 14 (1.4.0)  31 / 62 MiB"), Done: 31 << 20, Total: 62 << 20,
	}
}

func sampleFailure() act.Report {
	return act.Report{Action: act.Redeploy, Title: say("復旧できませんでした", "It could not be repaired"), Lines: []act.Line{
		{Level: act.Known, Words: say("このレジの版：使える版がありません。", "This register's own: there is no version to use."), Detail: redeploy.ErrNothing.Error()},
		{Level: act.Bad, Words: say("工場出荷時の版：このレジで動いた版より古く、売上データを開けません。",
			"Factory version: it is older than what this register has run; it could not open the sales data."), Detail: release.ErrFloor.Error() + ": version 3, the floor is 12"},
		{Level: act.Known, Words: say("USBメモリー：差さっていません。", "USB stick: none is plugged in."), Detail: act.ErrNoStick.Error()},
		{Level: act.Bad, Words: say("ネットワーク：時間内に応答がありません。", "Network: no answer in time."), Detail: "enp1s0: no DHCP server answered"},
	}}
}

func sampleDone() act.Report {
	return act.Report{OK: true, Restart: true, Action: act.Redeploy, Title: say("復旧しました", "It is repaired"), Lines: []act.Line{
		{Words: say("版 14（1.4.0）を入れて、全体を検査しました。", "Version 14 (1.4.0) was installed and checked from end to end."), Detail: "bundles/3fa4….choba"},
		{Level: act.Known, Words: say("この後の起動は試運転です。うまく動かなければ、また復旧に戻ります。",
			"The next start is a trial. If it does not work, recovery comes back.")},
	}}
}

func sampleSelfTest() act.Report {
	return act.Report{Action: act.SelfTest, Title: say("確認が必要な項目があります", "Some things need a look"), Lines: []act.Line{
		{Words: say("ディスクは読めます", "The disk can be read"), Detail: "231 MiB/s over 64 MiB"},
		{Level: act.Bad, Words: say("スロット a：内容が壊れています", "Slot a: its contents are damaged"), Detail: "data block 5120 is corrupted"},
		{Words: say("スロット b：版 13（1.3.2）、全体が正常です", "Slot b: version 13 (1.3.2), whole")},
		{Words: say("工場出荷時の版：版 12（1.3.0）、全体が正常です", "Factory version: version 12 (1.3.0), whole")},
		{Words: say("セキュリティーチップ（TPM）は正常です", "The security chip (TPM) works"), Detail: "PCR 4 0123456789ab, PCR 7 ba9876543210, floor 12"},
		{Words: say("監視タイマーが動いています", "The watchdog timer is running"), Detail: "iTCO_wdt"},
		{Words: say("画面がつながっています", "A screen is connected"), Detail: "connector 34 (type 11-1) 1280×800"},
		{Level: act.Known, Words: say("USB機器：2 台", "USB devices: 2"), Detail: "1-1 USB Optical Scanner, 1-2 Storage Stick"},
		{Level: act.Known, Words: say("LANケーブルがつながっていません", "No network cable is connected"), Detail: "enp1s0"},
	}}
}
