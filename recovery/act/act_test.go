package act_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/datakey"
	"github.com/choba-os/choba/keys/escrow"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/ticket"
	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/redeploy"
	"github.com/choba-os/choba/recovery/redeploy/redeploytest"
)

var now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// usb is a stick in memory; nil = none is plugged in.
type usb struct {
	files  map[string][]byte
	room   int64
	closed int
}

func (u *usb) Open(context.Context, bool) (act.Stick, error) {
	if u.files == nil {
		return nil, act.ErrNoStick
	}
	return open{u}, nil
}

type open struct{ u *usb }

func (o open) Files(dir string) (names []string, err error) {
	for n := range o.u.files {
		if dir == "" && !strings.Contains(n, "/") {
			names = append(names, n)
		}
	}
	return names, nil
}

func (o open) Open(path string) (redeploy.File, error) {
	b, ok := o.u.files[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return file{bytes.NewReader(b)}, nil
}

type file struct{ *bytes.Reader }

func (f file) Size() int64          { return f.Reader.Size() }
func (o open) Name() string         { return "Storage Stick" }
func (o open) Free() (int64, error) { return o.u.room, nil }
func (o open) Close() error         { o.u.closed++; return nil }
func (o open) Create(name string, r io.Reader, n int64) error {
	b, err := io.ReadAll(io.LimitReader(r, n))
	if err != nil || int64(len(b)) != n {
		return fmt.Errorf("creating %s: %d of %d bytes: %w", name, len(b), n, err)
	}
	o.u.files[name] = b
	return nil
}

// chip is a TPM that takes everything.
type chip struct {
	pcr13   seal.Digest
	owned   bool
	cleared int
	fail    error
	floor   uint64
}

func (c *chip) Owned() (bool, error)                   { return c.owned, nil }
func (c *chip) Prepare(floor uint64) error             { c.floor = floor; return c.fail }
func (c *chip) Own(_ seal.OwnerSecret, _ uint64) error { c.owned = true; return c.fail }
func (c *chip) Boot() (seal.Boot, error)               { return seal.Boot{}, nil }
func (c *chip) Seal(_, _ []byte, at seal.Boot) (seal.Blob, error) {
	return seal.Blob{At: at, Public: []byte("public"), Private: []byte("private")}, c.fail
}
func (c *chip) Choice() (seal.Digest, error) { return c.pcr13, nil }
func (c *chip) Floor() (uint64, error)       { return c.floor, nil }
func (c *chip) Clear() error                 { c.cleared++; return c.fail }
func (c *chip) Close() error                 { return nil }

// bench is a register with everything in it.
type bench struct {
	*redeploytest.Machine
	v    *redeploytest.Vendor
	m    act.Machine
	usb  *usb
	chip *chip
	said []string
}

func newBench(t *testing.T) *bench {
	b := &bench{Machine: redeploytest.NewMachine(t), v: redeploytest.NewVendor(t, "prod"),
		usb: &usb{files: map[string][]byte{}, room: 1 << 30}, chip: &chip{pcr13: seal.Predict(seal.Recovery())}}
	b.connect()
	return b
}

// connect makes the actions' machine out of the disk as it is.
func (b *bench) connect() {
	b.m = act.Machine{
		Register: b.Register(b.v), ID: ticket.Name([]byte("register 1")), Data: b.Part(4), Sticks: b.usb,
		TPM: func() (act.TPM, error) { return b.chip, nil },
		Now: func() time.Time { return now }, Say: func(s string) { b.said = append(b.said, s) },
	}
}

func (b *bench) do(r act.Request) act.Report { return act.New(b.m, nil).Do(context.Background(), r) }

// kinds are the records in history.
func (b *bench) kinds() (out []string) {
	all, err := history.Load(b.Part(0))
	require.NoError(b.T, err)
	for _, e := range all {
		out = append(out, e.Kind+" "+e.Text)
	}
	return out
}

func TestRedeployIsRecorded(t *testing.T) {
	b := newBench(t)
	b.Put(3, b.v.Release(3, 2, nil))
	b.Store(slot.Record{})
	r := b.do(act.Request{Action: act.Redeploy, From: redeploy.Order()})
	require.True(t, r.OK, r)
	require.True(t, r.Restart)
	require.Equal(t, []string{
		`redeploy {"phase":"begin","what":"automatic slot factory stick network"}`,
		`redeploy {"detail":"The next start is a trial. If it does not work, recovery comes back.","outcome":"done","phase":"end","what":"automatic slot factory stick network"}`,
	}, b.kinds())
}

// TestNothingInReach: each source has its line, and the register may be tried again after a switch-on.
func TestNothingInReach(t *testing.T) {
	b := newBench(t)
	a := b.v.Release(7, 2, nil)
	b.Store(slot.Record{A: slot.Slot{State: slot.Good, Version: 7, Manifest: a.ID(), Unready: slot.UnreadyLimit}, Preferred: slot.A})
	b.usb.files = nil
	r := b.do(act.Request{Action: act.Redeploy, From: redeploy.Order()})
	require.False(t, r.OK)
	require.Len(t, r.Lines, 4)
	require.Equal(t, "USB stick: none is plugged in.", r.Lines[2].Words.English)
	require.Equal(t, "ネットワーク：このレジにはありません。", r.Lines[3].Words.Japanese)
	require.Equal(t, slot.UnreadyLimit-1, b.Record().A.Unready)
	require.Contains(t, b.kinds()[1], `"outcome":"failed"`)
}

// TestLookingAgainFillsNoHistory: a register that waits for a week keeps the records of what happened before.
func TestLookingAgainFillsNoHistory(t *testing.T) {
	b := newBench(t)
	b.Store(slot.Record{})
	b.usb.files = nil
	a := act.New(b.m, nil)
	again := act.Request{Action: act.Redeploy, From: []redeploy.Kind{redeploy.Stick, redeploy.Network}, Again: true}
	for range 20 {
		require.False(t, a.Do(context.Background(), again).OK)
	}
	require.Len(t, b.kinds(), 1)
	require.Contains(t, b.kinds()[0], `stay {"reason":"`)
	b.usb.files = map[string][]byte{"a.choba": b.v.Bundle(b.v.Release(9, 2, nil))}
	require.True(t, a.Do(context.Background(), again).OK)
	require.Len(t, b.kinds(), 3)
	require.Contains(t, b.kinds()[1], `"phase":"begin"`)
}

func (b *bench) escrow() escrow.Code {
	s := datakey.Secret{State: datakey.Made}
	_, err := rand.Read(s.Key[:])
	require.NoError(b.T, err)
	block, code, err := escrow.Make(rand.Reader, s, b.v.Root.Escrow)
	require.NoError(b.T, err)
	require.NoError(b.T, escrow.Store(b.Part(0), block))
	return code
}

func TestRebind(t *testing.T) {
	b := newBench(t)
	require.Contains(t, b.do(act.Request{Action: act.Rebind, Code: "1"}).Lines[0].Words.English, "not a recovery code")
	code := b.escrow()
	r := b.do(act.Request{Action: act.Rebind, Code: strings.ReplaceAll(code.String(), "-", "")})
	require.True(t, r.OK, r)
	require.True(t, b.chip.owned)
	stored, err := seal.Load(b.Part(0))
	require.NoError(t, err)
	require.NotEmpty(t, stored.Blobs)
	for _, k := range b.kinds() {
		require.NotContains(t, k, code.String()[:6], "the code is written nowhere")
	}
	other := newBench(t).escrow()
	r = b.do(act.Request{Action: act.Rebind, Code: other.String()})
	require.False(t, r.OK)
	require.Contains(t, r.Lines[0].Words.English, "another register's")
	b.m.TPM = nil
	require.Contains(t, b.do(act.Request{Action: act.Rebind, Code: code.String()}).Lines[0].Words.English, "No security chip")
}

// ticketFor is a ticket file for this register as it is now.
func (b *bench) ticketFor(change func(*ticket.Ticket), signers ...note.Signer) []byte {
	tk := ticket.Ticket{Action: ticket.FactoryReset, Register: b.m.ID, Nonce: act.New(b.m, nil).Nonce(), NotAfter: now.Add(time.Hour)}
	if change != nil {
		change(&tk)
	}
	text, err := tk.Encode()
	require.NoError(b.T, err)
	signed, err := note.Sign(&note.Note{Text: string(text)}, signers...)
	require.NoError(b.T, err)
	return signed
}

// fill is a register in use: sealed keys, escrow, data.
func (b *bench) fill() {
	b.escrow()
	require.NoError(b.T, seal.Save(b.Part(0), seal.Blob{Public: []byte("p"), Private: []byte("q")}))
	_, err := b.Part(4).WriteAt(bytes.Repeat([]byte("sales"), redeploytest.DataSize/8), 0)
	require.NoError(b.T, err)
}

func TestResetWithoutATicket(t *testing.T) {
	b := newBench(t)
	b.fill()
	stranger := redeploytest.NewVendor(t, "evil")
	for words, file := range map[string][]byte{
		"No ticket":           nil,
		"not a ticket":        make([]byte, ticket.MaxSigned+1),
		"too few people":      b.ticketFor(nil, b.v.Service[0]),
		"same person twice":   nil,
		"not signed by":       b.ticketFor(nil, stranger.Service...),
		"another action":      b.ticketFor(func(t *ticket.Ticket) { t.Action = ticket.Rebind }, b.v.Service[:2]...),
		"another register":    b.ticketFor(func(t *ticket.Ticket) { t.Register = ticket.Name([]byte("2")) }, b.v.Service[:2]...),
		"nonce differs":       b.ticketFor(func(t *ticket.Ticket) { t.Nonce = ticket.Nonce([]byte("old")) }, b.v.Service[:2]...),
		"has expired":         b.ticketFor(func(t *ticket.Ticket) { t.NotAfter = now.Add(-time.Second) }, b.v.Service[:2]...),
		"was altered":         bytes.Replace(b.ticketFor(nil, b.v.Service[:2]...), []byte("2026"), []byte("2036"), 1),
		"release keys do not": b.ticketFor(nil, b.v.Releases...),
	} {
		b.usb.files = map[string][]byte{}
		if file != nil {
			b.usb.files[act.TicketFile] = file
		}
		if words == "same person twice" {
			b.usb.files[act.TicketFile] = b.ticketFor(nil, b.v.Service[0], b.v.Service[0])
			words = "too few people"
		}
		if words == "release keys do not" {
			words = "not signed by"
		}
		before := bytes.Clone(b.Disk.Data[redeploytest.StateSize:])
		r := b.do(act.Request{Action: act.Reset})
		require.False(t, r.OK, words)
		require.Contains(t, strings.ToLower(r.Lines[0].Words.English), strings.ToLower(words))
		require.Zero(t, b.chip.cleared, words)
		require.True(t, bytes.Equal(before, b.Disk.Data[redeploytest.StateSize:]), words)
		_, err := seal.Load(b.Part(0))
		require.NoError(t, err)
		require.False(t, act.Unfinished(b.Part(0)))
	}
}

func TestReset(t *testing.T) {
	b := newBench(t)
	b.fill()
	b.usb.files[act.TicketFile] = b.ticketFor(nil, b.v.Service[1], b.v.Service[2])
	r := b.do(act.Request{Action: act.Reset})
	require.True(t, r.OK, r)
	require.Equal(t, 1, b.chip.cleared)
	requireNew(t, b)
	require.Contains(t, strings.Join(b.kinds(), "\n"), `"by":"prod-service2, prod-service3"`)
	r = b.do(act.Request{Action: act.Reset})
	require.False(t, r.OK, "a ticket serves once")
}

// requireNew: init's first boot finds no key and no data, and may begin anew.
func requireNew(t *testing.T, b *bench) {
	t.Helper()
	_, err := seal.Load(b.Part(0))
	require.ErrorIs(t, err, seal.ErrNone)
	_, _, err = escrow.Load(b.Part(0))
	require.ErrorIs(t, err, escrow.ErrNone)
	head := make([]byte, layout.DataCrypt+layout.MiB)
	_, err = b.Part(4).ReadAt(head, 0)
	require.NoError(t, err)
	require.Empty(t, bytes.Trim(head, "\x00"))
	require.False(t, act.Unfinished(b.Part(0)))
}

// TestResetTPMFirst: a TPM that cannot be cleared stops the reset before anything is lost.
func TestResetTPMFirst(t *testing.T) {
	b := newBench(t)
	b.fill()
	b.usb.files[act.TicketFile] = b.ticketFor(nil, b.v.Service[:2]...)
	b.chip.fail = errors.New("lockout authorization is set")
	require.False(t, b.do(act.Request{Action: act.Reset}).OK)
	_, err := seal.Load(b.Part(0))
	require.NoError(t, err)
	require.False(t, act.Unfinished(b.Part(0)))
}

// TestResetWithoutTheData: a data partition that is not found is not said to be erased, nor a half reset to be finished.
func TestResetWithoutTheData(t *testing.T) {
	b := newBench(t)
	b.fill()
	whole := b.m.Data
	b.m.Data = redeploy.Part{}
	b.usb.files[act.TicketFile] = b.ticketFor(nil, b.v.Service[:2]...)
	r := b.do(act.Request{Action: act.Reset})
	require.False(t, r.OK)
	require.Contains(t, r.Lines[0].Words.English, "partition of it was not found")
	require.Zero(t, b.chip.cleared)
	_, err := seal.Load(b.Part(0))
	require.NoError(t, err)

	require.NoError(t, history.Append(b.Part(0), history.Entry{Kind: "reset", Wall: now, Text: history.Text("phase", "erasing")}))
	require.ErrorIs(t, act.New(b.m, nil).Resume(), disk.ErrAbsent)
	require.True(t, act.Unfinished(b.Part(0)))
	b.m.Data = whole
	require.NoError(t, act.New(b.m, nil).Resume())
	requireNew(t, b)
}

// TestResetWithoutATPM: there is nothing to clear.
func TestResetWithoutATPM(t *testing.T) {
	b := newBench(t)
	b.fill()
	b.m.TPM = nil
	b.usb.files[act.TicketFile] = b.ticketFor(nil, b.v.Service[:2]...)
	require.True(t, b.do(act.Request{Action: act.Reset}).OK)
	requireNew(t, b)
}

// TestFinishedResetStaysFinished: the record of a reset's end is lost to a bad sector, long after. The register that has
// sold since is not erased for it: a boot in between has copied the history.
func TestFinishedResetStaysFinished(t *testing.T) {
	b := newBench(t)
	add := func(phase string) {
		require.NoError(t, history.Append(b.Part(0), history.Entry{Kind: "reset", Wall: b.m.Now(), Text: history.Text("phase", phase, "outcome", "done")}))
	}
	add("erasing")
	require.True(t, act.Unfinished(b.Part(0)))
	add("end")
	require.False(t, act.Unfinished(b.Part(0)))
	require.NoError(t, history.MarkCopied(b.Part(0), 2))
	_, err := b.Part(0).WriteAt(make([]byte, history.RecordSize), layout.HistoryStart+2*history.RecordSize)
	require.NoError(t, err)
	require.False(t, act.Unfinished(b.Part(0)))
}

// TestResetPowerCuts: at whichever sector the power goes, the register is as before
// (and the ticket still serves), or the reset is finished at the next start.
func TestResetPowerCuts(t *testing.T) {
	b := newBench(t)
	b.fill()
	b.usb.files[act.TicketFile] = b.ticketFor(nil, b.v.Service[:2]...)
	ready := b.Disk.Clone()
	before, finished := 0, 0
	for left := 0; ; left++ {
		if left > 40 && left%37 != 0 { // every sector where the record is written, then a sample of the wiping
			continue
		}
		b.Disk = ready.Clone()
		b.Disk.Left = left
		b.connect()
		r := b.do(act.Request{Action: act.Reset})
		if b.Disk.Left > 0 {
			require.True(t, r.OK)
			break
		}
		b.Disk.Left = -1
		if act.Unfinished(b.Part(0)) {
			finished++
			require.NoError(t, act.New(b.m, nil).Resume())
			requireNew(t, b)
			continue
		}
		if _, err := seal.Load(b.Part(0)); err != nil {
			requireNew(t, b) // cut in the record of its end only
			continue
		}
		before++
		_, _, err := escrow.Load(b.Part(0))
		require.NoError(t, err, "cut after %d sectors", left)
		require.True(t, b.do(act.Request{Action: act.Reset}).OK, "the ticket still serves")
		requireNew(t, b)
	}
	require.NotZero(t, before)
	require.Greater(t, finished, 50)
}

func TestSelfTest(t *testing.T) {
	b := newBench(t)
	b.Put(1, b.v.Release(7, 2, nil))
	b.Put(3, b.v.Release(3, 2, nil))
	b.m.Watchdog = func() (string, error) { return "iTCO_wdt", nil }
	b.m.USB = func() ([]string, error) { return []string{"1-1 scanner"}, nil }
	b.m.Screens = func() []string { return []string{"connector 1"} }
	before := bytes.Clone(b.Disk.Data[redeploytest.StateSize:])
	r := b.do(act.Request{Action: act.SelfTest})
	require.False(t, r.OK, "slot b was never written")
	text := ""
	for _, l := range r.Lines {
		text += l.Words.English + "; "
	}
	for _, want := range []string{"The disk can be read", "Slot a: version 7 (1.7), whole", "Slot b: no release was ever written here",
		"Factory version: version 3", "(TPM) works", "watchdog timer is running", "A screen is connected", "USB devices: 1"} {
		require.Contains(t, text, want)
	}
	require.True(t, bytes.Equal(before, b.Disk.Data[redeploytest.StateSize:]), "a self-test changes nothing")
	b.chip.pcr13 = seal.Digest{}
	text = fmt.Sprint(b.do(act.Request{Action: act.SelfTest}).Lines)
	require.Contains(t, text, "PCR 13 does not say recovery")
}

func TestNoDisk(t *testing.T) {
	b := newBench(t)
	b.m.Register.State, b.m.Register.Slots, b.m.Register.Factory, b.m.Data = act.Absent{}, nil, redeploy.Part{}, redeploy.Part{}
	for _, a := range []act.Action{act.Redeploy, act.SelfTest, act.Network, act.Export, act.Rebind, act.Reset, "nonsense"} {
		r := b.do(act.Request{Action: a, From: redeploy.Order(), Code: "000000"})
		require.False(t, r.OK, a)
		require.NotEmpty(t, r.Title.English)
	}
	require.False(t, act.Unfinished(act.Absent{}))
	require.Contains(t, strings.Join(b.said, "\n"), "history of recovery is not written")
}
