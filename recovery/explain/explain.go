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

// ErrUnlocked means that the firmware or the kernel would run anything.
var ErrUnlocked = errors.New("the machine is not locked")

// Trouble is one reason, about one slot or, with an empty Slot, about the machine.
type Trouble struct {
	Slot  slot.Name
	Cause error
	words words
}

type words struct{ english, japanese string }

// kinds is looked through from top to bottom for the first cause that fits.
var kinds = []struct {
	cause error
	words
}{
	{ErrUnlocked, words{"Secure Boot or the kernel's lock is off", "セキュアブートが切れているか、保護が外れています"}},
	{disk.ErrDoubled, words{"two disks look like this register's disk", "このレジのディスクが二つあります"}},
	{disk.ErrSpread, words{"the partitions lie on different disks", "領域が別々のディスクにあります"}},
	{disk.ErrAbsent, words{"the disk or a partition of it was not found", "ディスクまたは領域が見つかりません"}},
	{frame.ErrEmpty, words{"no release was ever written here", "まだ書き込まれていません"}},
	{frame.ErrMagic, words{"it holds something else than a release", "製品のデータではありません"}},
	{frame.ErrChecksum, words{"its head is damaged", "目録が壊れています"}},
	{frame.ErrForm, words{"its head is damaged", "目録が壊れています"}},
	{trust.ErrThreshold, words{"too few of the vendor's keys have signed it", "署名の数が足りません"}},
	{trust.ErrStranger, words{"it is not signed by the vendor", "販売元の署名がありません"}},
	{trust.ErrSignature, words{"its signature is wrong: it was altered", "署名が正しくありません。書き換えられています"}},
	{trust.ErrNotNote, words{"its manifest is damaged", "目録が壊れています"}},
	{release.ErrManifest, words{"its manifest is damaged", "目録が壊れています"}},
	{release.ErrProduct, words{"it is for another product", "別の製品のものです"}},
	{release.ErrHardware, words{"it is for other hardware", "別の機種のものです"}},
	{release.ErrFloor, words{"it is too old", "古すぎる版です"}},
	{verity.ErrCorrupt, words{"its contents are damaged", "内容が壊れています"}},
	{dm.ErrStranger, words{"its contents are not signed by the vendor", "内容に販売元の署名がありません"}},
	{dm.ErrSignature, words{"the signature of its contents is wrong", "内容の署名が正しくありません"}},
	{errMismatch, words{"it holds another release than was recorded", "記録と一致しない版が入っています"}},
	{errEmpty, words{"it is empty", "空です"}},
	{errRefused, words{"its release failed its trial", "試験起動に失敗した版です"}},
	{errUnready, words{"it did not get ready to sell too often", "起動に続けて失敗しました"}},
	{os.ErrNotExist, words{"something that is needed is not there", "必要なものが見つかりません"}},
	{nil, words{"it could not be started", "起動できませんでした"}},
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

func find(cause error) words {
	for _, k := range kinds {
		if k.cause == nil || errors.Is(cause, k.cause) {
			return k.words
		}
	}
	panic("explain: the table has no last line")
}

// English is the sentence with the technical cause behind it.
func (t Trouble) English() string { return fmt.Sprintf("%s (%v)", t.words.english, t.Cause) }

// Japanese is the sentence alone; the technical cause stands in English.
func (t Trouble) Japanese() string { return t.words.japanese }
