package act

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/escrow"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/ticket"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/recovery/redeploy"
)

// TicketFile is where on a stick a ticket is looked for.
const TicketFile = "choba.ticket"

// ErrNoTPM means that there is no TPM to bind a key to.
var ErrNoTPM = errors.New("this register has no TPM")

func (a *Actor) openTPM() (TPM, error) {
	if a.m.TPM == nil {
		return nil, ErrNoTPM
	}
	return a.m.TPM()
}

// rebind binds the data key in escrow to the TPM and the boot that are there now.
func (a *Actor) rebind(r Request) Report {
	title := Say("登録し直せませんでした", "The key could not be re-bound")
	code, err := escrow.ParseCode(r.Code)
	if err != nil {
		return a.keyRefused(title, err)
	}
	t, err := a.openTPM()
	if err != nil {
		return a.keyRefused(title, err)
	}
	defer t.Close()
	err = escrow.Rebind{State: a.m.Register.State, TPM: t, Policy: a.m.Register.Root.PCR, Floor: a.m.Register.Floor, Now: a.m.Now()}.Do(code)
	if err != nil {
		return a.keyRefused(title, err)
	}
	return Report{OK: true, Restart: true, Title: Say("鍵を登録し直しました", "The key is bound to this register"), Lines: []Line{
		{Words: Say("売上データは、次の起動からまた開けます。", "The sales data opens again from the next start on.")},
		{Level: Known, Words: Say("復旧コードを使ったことは記録に残ります。コードは次の起動で新しくなります。",
			"The use of the code is recorded. The next start makes a new one.")},
	}}
}

func (a *Actor) keyRefused(title Words, err error) Report {
	w := a.why(err)
	for _, k := range []struct {
		cause error
		words Words
	}{
		{escrow.ErrCode, Say("復旧コードが違います。もう一度確かめてください", "this is not a recovery code; check it again")},
		{escrow.ErrOpen, Say("この復旧コードは別のレジのものです", "the recovery code is another register's")},
		{escrow.ErrNone, Say("このレジには預けた鍵がありません", "no key was put into escrow here")},
		{escrow.ErrDamaged, Say("預けた鍵が壊れています", "the key in escrow is damaged")},
		{seal.ErrOwned, Say("TPMに別の持ち主がいます。本体の設定画面でTPMを消去してください", "the TPM has another owner; clear it in the firmware's set-up")},
		{ErrNoTPM, Say("セキュリティーチップ（TPM）が見つかりません", "no security chip (TPM) was found")},
		{ErrNoTicket, Say("許可書（"+TicketFile+"）が見つかりません", "no ticket ("+TicketFile+") was found")},
		{ticket.ErrForm, Say("許可書ではありません", "it is not a ticket")},
		{ticket.ErrAction, Say("別の操作の許可書です", "the ticket is for another action")},
		{ticket.ErrRegister, Say("別のレジの許可書です", "the ticket is for another register")},
		{ticket.ErrNonce, Say("確認番号が違います。新しい許可書が必要です", "the nonce differs; a new ticket is needed")},
		{ticket.ErrExpired, Say("許可書の期限が切れています", "the ticket has expired")},
		{trust.ErrThreshold, Say("署名の数が足りません", "too few people have signed it")},
		{trust.ErrStranger, Say("販売店の署名がありません", "it is not signed by the vendor")},
		{trust.ErrSignature, Say("署名が正しくありません。書き換えられています", "its signature is wrong: it was altered")},
	} {
		if errors.Is(err, k.cause) {
			w = k.words
			break
		}
	}
	return Report{Title: title, Lines: []Line{{Level: Bad, Words: full(w), Detail: err.Error()}}}
}

// ErrNoTicket means that the stick carries no ticket.
var ErrNoTicket = errors.New("no ticket on the stick")

// Nonce is what the screen shows beside the register's name: it is made of the data
// partition's head, which a reset wipes last, so that a ticket serves for one reset.
func (a *Actor) Nonce() string {
	head := make([]byte, layout.DataCrypt)
	if a.m.Data.Device != nil {
		if _, err := a.m.Data.ReadAt(head, layout.DataHeader); err != nil {
			a.m.Say("note: the head of the data partition cannot be read: " + err.Error())
		}
	}
	return ticket.Nonce(append(head, a.m.ID...))
}

// reset erases the sales data for good when a ticket of enough service keys says so.
func (a *Actor) reset(ctx context.Context) Report {
	title := Say("初期化しませんでした", "Nothing was erased")
	t, signers, err := a.ticket(ctx)
	if err == nil {
		err = t.Check(ticket.FactoryReset, a.m.ID, a.Nonce(), a.m.Now())
	}
	if err == nil && a.m.Data.Device == nil {
		err = disk.ErrAbsent // "erased" would not be true, and no next start would make a new store
	}
	if err != nil {
		return a.keyRefused(title, err)
	}
	if a.m.TPM != nil {
		if err := a.clearTPM(); err != nil {
			return a.keyRefused(title, err)
		}
	}
	by := strings.Join(signers, ", ")
	if err := a.erase(by); err != nil {
		return a.keyRefused(Say("初期化の途中で失敗しました", "The reset failed half-way"), err)
	}
	return Report{OK: true, Restart: true, Title: Say("初期化しました", "The register was reset"), Lines: []Line{
		{Words: Say("売上データは消去されました。次の起動で新しく作られます。", "The sales data is erased. The next start makes a new store.")},
		{Level: Known, Words: Say("許可した人："+by, "Allowed by: "+by)},
	}}
}

func (a *Actor) clearTPM() error {
	t, err := a.openTPM()
	if err != nil {
		return err
	}
	return errors.Join(t.Clear(), t.Close())
}

func (a *Actor) ticket(ctx context.Context) (ticket.Ticket, []string, error) {
	if a.m.Sticks == nil {
		return ticket.Ticket{}, nil, ErrNoStick
	}
	stick, err := a.m.Sticks.Open(ctx, false)
	if err != nil {
		return ticket.Ticket{}, nil, err
	}
	defer stick.Close()
	f, err := stick.Open(TicketFile)
	if err != nil {
		return ticket.Ticket{}, nil, fmt.Errorf("%w: %w", ErrNoTicket, err)
	}
	if f.Size() > ticket.MaxSigned {
		return ticket.Ticket{}, nil, fmt.Errorf("%w: %d bytes", ticket.ErrForm, f.Size())
	}
	signed, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	if err != nil {
		return ticket.Ticket{}, nil, err
	}
	return ticket.Open(a.m.Register.Root, signed)
}

// erasing is the phase of the record that makes a reset irrevocable: from its one
// sector on, Resume finishes what a power cut interrupted.
const erasing = "erasing"

// erase wipes what opens the data, and the head of the data last. The order is in
// docs/decisions/0010-recovery-actions.md.
func (a *Actor) erase(by string) error {
	err := history.Append(a.m.Register.State, history.Entry{Kind: string(Reset), Wall: a.m.Now(), Text: history.Text("phase", erasing, "by", by)})
	if err != nil {
		return fmt.Errorf("writing down that the data is erased: %w", err)
	}
	return a.wipe()
}

func (a *Actor) wipe() error {
	state := redeploy.Part{Device: a.m.Register.State}
	for _, x := range []struct {
		what string
		on   redeploy.Part
		at   int64
		n    int64
	}{
		{"the first sealed key", state, layout.SealedCopy1, layout.SealedSize},
		{"the second sealed key", state, layout.SealedCopy2, layout.SealedSize},
		{"the first key in escrow", state, layout.EscrowCopy1, layout.EscrowSize},
		{"the second key in escrow", state, layout.EscrowCopy2, layout.EscrowSize},
		{"the begin of the data", a.m.Data, layout.DataCrypt, layout.MiB},
		{"the head of the data", a.m.Data, layout.DataHeader, layout.DataCrypt - layout.DataHeader},
	} {
		if x.on.Device == nil {
			return fmt.Errorf("wiping %s: %w", x.what, disk.ErrAbsent)
		}
		if _, err := x.on.WriteAt(make([]byte, x.n), x.at); err != nil {
			return fmt.Errorf("wiping %s: %w", x.what, err)
		}
		if err := x.on.Sync(); err != nil {
			return fmt.Errorf("flushing %s: %w", x.what, err)
		}
	}
	return nil
}

// Unfinished says whether a reset was begun on this disk and cut off before its end. Two
// sectors have to be lost for it to be wrong about one that was finished: the record of
// its end, and the mark that a boot after it copied the history into the new data.
func Unfinished(state io.ReaderAt) bool {
	all, err := history.Load(state)
	if err != nil {
		return false // what cannot be read orders nothing
	}
	begun, told := false, history.Copied(all)
	for _, e := range all {
		if e.Seq <= told {
			continue
		}
		var text struct{ Phase, Outcome string }
		if e.Kind == string(Reset) && json.Unmarshal([]byte(e.Text), &text) == nil {
			begun = text.Phase == erasing || begun && text.Outcome != "done"
		}
	}
	return begun
}

// Resume finishes a reset that a power cut interrupted. Whoever allowed it is in the
// record; nothing but the head of data that no key opens any more can be left.
func (a *Actor) Resume() error {
	if err := a.wipe(); err != nil {
		return err
	}
	a.record(Reset, "phase", "end", "outcome", "done", "what", "finished after a power cut")
	return nil
}
