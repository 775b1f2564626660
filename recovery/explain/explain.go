// Package explain turns the reasons why no slot was booted into sentences for
// the people in the shop, in Japanese and English: what failed and what to do.
//
// It decides nothing: every reason was found elsewhere. It draws nothing;
// drivers/display/notice does.
//
// The rule that keeps it small: one line of the table below per kind of failure,
// and the technical cause behind it unchanged, for whoever is called.
package explain

import (
	"errors"
	"fmt"
	"os"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/trust"
)

// What recovery itself finds wrong; the other causes come from the packages that found them.
var (
	ErrUnlocked  = errors.New("the machine is not locked")             // firmware or kernel would run anything
	ErrNoTPM     = errors.New("the machine has no TPM")                // and trust.txt does not let it sell so
	ErrJump      = errors.New("the jump into the slot's kernel")       // could not be prepared or made
	ErrAsked     = errors.New("a person asked for recovery")           // nothing is wrong
	ErrHalfReset = errors.New("a factory reset was cut off")           // it is finished before anything else
	ErrNoKeys    = errors.New("the sealed key does not open any more") // another board, another firmware
)

// Words is a sentence in both tongues, without the full stop.
type Words struct{ English, Japanese string }

// Trouble is one reason, about one slot or, with an empty Slot, about the machine.
type Trouble struct {
	Slot  slot.Name
	Cause error
	words Words
}

// kinds is looked through from top to bottom for the first cause that fits.
var kinds = []struct {
	cause error
	words Words
}{
	{ErrAsked, Words{"recovery was asked for", "復旧が選ばれました"}},
	{ErrHalfReset, Words{"a factory reset is not finished", "初期化が終わっていません"}},
	{ErrNoTPM, Words{"the security chip (TPM) does not answer", "セキュリティーチップ（TPM）が応答しません"}},
	{ErrUnlocked, Words{"Secure Boot or the kernel's lock is off", "セキュアブートが切れているか、保護が外れています"}},
	{disk.ErrDoubled, Words{"two disks look like this register's disk", "このレジのディスクが二つあります"}},
	{disk.ErrSpread, Words{"the partitions lie on different disks", "領域が別々のディスクにあります"}},
	{disk.ErrAbsent, Words{"the disk or a partition of it was not found", "ディスクまたは領域が見つかりません"}},
	{frame.ErrEmpty, Words{"no release was ever written here", "まだ書き込まれていません"}},
	{frame.ErrMagic, Words{"it holds something else than a release", "製品のデータではありません"}},
	{frame.ErrChecksum, Words{"its head is damaged", "目録が壊れています"}},
	{frame.ErrForm, Words{"its head is damaged", "目録が壊れています"}},
	{trust.ErrThreshold, Words{"too few of the vendor's keys have signed it", "署名の数が足りません"}},
	{trust.ErrStranger, Words{"it is not signed by the vendor", "販売元の署名がありません"}},
	{trust.ErrSignature, Words{"its signature is wrong: it was altered", "署名が正しくありません。書き換えられています"}},
	{trust.ErrNotNote, Words{"its manifest is damaged", "目録が壊れています"}},
	{release.ErrManifest, Words{"its manifest is damaged", "目録が壊れています"}},
	{release.ErrProduct, Words{"it is for another product", "別の製品のものです"}},
	{release.ErrHardware, Words{"it is for other hardware", "別の機種のものです"}},
	{release.ErrFloor, Words{"it is older than what this register has run; it could not open the sales data", "このレジで動いた版より古く、売上データを開けません"}},
	{ErrJump, Words{"its kernel could not be started", "カーネルを起動できません"}},
	{ErrNoKeys, Words{"the key to the sales data does not open on this board", "売上データの鍵がこの基板では開きません"}},
	{release.ErrAltered, Words{"its contents are damaged", "内容が壊れています"}},
	{verity.ErrCorrupt, Words{"its contents are damaged", "内容が壊れています"}},
	{dm.ErrStranger, Words{"its contents are not signed by the vendor", "内容に販売元の署名がありません"}},
	{dm.ErrSignature, Words{"the signature of its contents is wrong", "内容の署名が正しくありません"}},
	{errMismatch, Words{"it holds another release than was recorded", "記録と一致しない版が入っています"}},
	{errEmpty, Words{"it is empty", "空です"}},
	{errRefused, Words{"its release failed its trial", "試験起動に失敗した版です"}},
	{errUnready, Words{"it did not get ready to sell too often", "起動に続けて失敗しました"}},
	{slot.ErrFailedBefore, Words{"it failed on this register before", "このレジで一度失敗した版です"}},
	{os.ErrNotExist, Words{"something that is needed is not there", "必要なものが見つかりません"}},
	{nil, Words{"it could not be started", "起動できませんでした"}},
}

// What the slot record has against a slot.
var (
	errEmpty    = errors.New("the slot record says so")
	errRefused  = errors.New("the slot record refuses it")
	errUnready  = errors.New("the slot record counts them")
	errMismatch = errors.New("the slot record names another manifest")
)

// General is a trouble of the machine, before any slot was tried.
func General(cause error) Trouble { return Trouble{Cause: cause, words: find(cause)} }

// InSlot is a trouble of one slot.
func InSlot(n slot.Name, cause error) Trouble {
	return Trouble{Slot: n, Cause: cause, words: find(cause)}
}

// NotChosen is why image/slot passed a slot over: what the record holds against
// it, or else the problem that was found in it.
func NotChosen(c slot.Candidate, s slot.Slot, problem error) Trouble {
	why := errMismatch
	switch {
	case s.State == slot.Empty || s.State == "":
		why = errEmpty
	case s.State == slot.Refused, s.State == slot.Trial && s.Tries == 0:
		why = errRefused
	case s.Unready >= slot.UnreadyLimit:
		why = errUnready
	case problem != nil:
		return InSlot(c.Slot, problem)
	}
	return Trouble{Slot: c.Slot, Cause: errors.New(c.Reason), words: find(why)}
}

// About is the sentence for any cause.
func About(cause error) Words { return find(cause) }

func find(cause error) Words {
	for _, k := range kinds {
		if k.cause == nil || errors.Is(cause, k.cause) {
			return k.words
		}
	}
	panic("explain: the table has no last line")
}

// Words is the sentence alone.
func (t Trouble) Words() Words { return t.words }

// English is the sentence with the technical cause behind it.
func (t Trouble) English() string { return fmt.Sprintf("%s (%v)", t.words.English, t.Cause) }

// Japanese is the sentence alone; the technical cause stands in English.
func (t Trouble) Japanese() string { return t.words.Japanese }
