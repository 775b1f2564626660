// Package words is what the update service says to people, in Japanese and in English.
//
// It says what happened and what follows for the person who reads it, in words that need no knowledge of computers. It
// decides nothing. The rule that keeps it small: one function per situation, values in, one sentence out.
package words

import (
	"fmt"
	"time"

	"github.com/choba-os/choba/services/update/api"
)

// Sentence is one thing said twice. The zero Sentence says nothing.
type Sentence struct{ Ja, En string }

// Checking is said while a person's wish to look for a release is carried out.
func Checking() Sentence {
	return Sentence{"新しい版があるか確認しています。", "Looking for a newer version."}
}

// Loading is said while a release is written.
func Loading(r api.Release, percent int) Sentence {
	return Sentence{
		fmt.Sprintf("新しい版 %s を読み込んでいます（%d%%）。このままお使いいただけます。", r.Name, percent),
		fmt.Sprintf("Loading version %s (%d%%). You can keep selling.", r.Name, percent),
	}
}

// Checked is said while init holds a loaded release against the next boot.
func Checked(r api.Release) Sentence {
	return Sentence{
		"新しい版 " + r.Name + " を確かめています。このままお使いいただけます。",
		"Checking version " + r.Name + ". You can keep selling.",
	}
}

// Ready is said when a release waits for the next start; at is in the shop's zone.
func Ready(r api.Release, at time.Time, postponed bool) Sentence {
	ja, en := at.Format("1月2日 15:04"), at.Format("15:04 on 2 January")
	if postponed {
		return Sentence{
			"新しい版 " + r.Name + " の準備ができています。再起動は延期され、" + ja + " ごろ、使われていないときに行います。電源を切った場合は、次に入れたときに新しい版になります。",
			"Version " + r.Name + " is ready. The restart was put off: it comes at about " + en + ", when nobody uses the register. If you switch the register off, it starts with the new version.",
		}
	}
	return Sentence{
		"新しい版 " + r.Name + " の準備ができました。" + ja + " ごろ、使われていないときに自動で再起動します。電源を切った場合は、次に入れたときに新しい版になります。",
		"Version " + r.Name + " is ready. The register restarts by itself at about " + en + ", when nobody uses it. If you switch it off, it starts with the new version.",
	}
}

// Soon is said when a person asked for the restart.
func Soon(r api.Release) Sentence {
	return Sentence{
		"会計が終わりしだい、版 " + r.Name + " に切り替えるため再起動します。",
		"The register restarts into version " + r.Name + " as soon as no sale is open.",
	}
}

// Restarting is said when init has been asked.
func Restarting(r api.Release) Sentence {
	return Sentence{"版 " + r.Name + " に切り替えるため、再起動しています。", "Restarting into version " + r.Name + "."}
}

// FellBack is said while an older release runs because a newer one failed; why comes from init in both languages.
func FellBack(failed, running api.Release, why Sentence) Sentence {
	return Sentence{
		"新しい版" + spaced(failed) + "は正しく動かなかったため、元の版" + spaced(running) + "に戻しました。理由：" + stop(why.Ja, "。") + "このままお使いいただけます。",
		named("The new version", failed) + " did not work here, so the register is back on " + named("version", running) + ". Reason: " + stop(why.En, ".") + " You can keep selling.",
	}
}

// FailedBefore is said when the release on offer is one that failed here.
func FailedBefore(r api.Release) Sentence {
	return Sentence{
		"版" + spaced(r) + "は以前このレジで正しく動かなかったため、入れません。もう一度試すには、管理者の操作が必要です。",
		named("Version", r) + " failed on this register before and is not installed. A manager can have it tried again.",
	}
}

// NotTaken is said when init's dry run would not take a release; why is init's English sentence.
func NotTaken(r api.Release, why string) Sentence {
	return Sentence{
		"新しい版" + spaced(r) + "はこのレジでは使えないため、入れませんでした。今の版のままお使いいただけます。（詳細：" + why + "）",
		named("Version", r) + " cannot be used on this register and was not installed. You can keep selling with the present one. (" + why + ")",
	}
}

// NoRestart is said when init would not restart.
func NoRestart() Sentence {
	return Sentence{"再起動できませんでした。しばらくしてからもう一度試します。", "The register could not restart. It tries again in a while."}
}

// BadDisk is said when the slot cannot be written.
func BadDisk() Sentence {
	return Sentence{
		"新しい版を書き込めません。ディスクの故障の可能性があります。販売店または保守担当に連絡してください。",
		"The new version cannot be written; the disk may be failing. Please call the vendor or your maintainer.",
	}
}

// NoInit is said when init does not answer.
func NoInit() Sentence {
	return Sentence{
		"更新の状態を調べられません。電源を入れ直しても続く場合は、保守担当に連絡してください。",
		"The state of updates cannot be read. If this stays after switching off and on, please call your maintainer.",
	}
}

// Expired is the warning that the source's metadata is out of date.
func Expired(source string) Sentence {
	return Sentence{
		from(source) + "の更新情報は有効期限が切れています。新しい版は入れません。販売には影響ありません。",
		"The update information " + fromEn(source) + " is out of date. Nothing new is installed; selling is not affected.",
	}
}

// Note passes on a technician's note of the repository's, such as that its metadata is soon out of date.
func Note(source, note string) Sentence {
	return Sentence{
		from(source) + "の更新情報について注意があります。販売には影響ありません。（詳細：" + note + "）",
		"A note about the update information " + fromEn(source) + ": " + stop(note, ".") + " Selling is not affected.",
	}
}

// Older is the warning that the source offers less than was seen before.
func Older(source string) Sentence {
	return Sentence{
		from(source) + "の更新情報は、前に確認したものより古いため使いません。販売には影響ありません。",
		"The update information " + fromEn(source) + " is older than what was seen before and is not used. Selling is not affected.",
	}
}

// NotGenuine is the warning that signatures or hashes do not fit.
func NotGenuine(source string) Sentence {
	return Sentence{
		from(source) + "の更新は、正規のものと確認できないため使いません。販売には影響ありません。",
		"The update " + fromEn(source) + " cannot be shown to be genuine and is not used. Selling is not affected.",
	}
}

// Stranger is the warning that the server's certificate does not fit.
func Stranger() Sentence {
	return Sentence{
		"更新サーバーが本物であると確認できません。時計が合っているか、ネットワークの設定を確認してください。販売には影響ありません。",
		"The update server cannot prove who it is. Please check the clock and the network. Selling is not affected.",
	}
}

// NotForThis is the warning that a source has nothing for this register.
func NotForThis(source string) Sentence {
	return Sentence{from(source) + "に、このレジ用の版がありません。", "There is no version for this register " + fromEn(source) + "."}
}

// Unreadable is the warning that a source answers what makes no sense.
func Unreadable(source string) Sentence {
	return Sentence{
		from(source) + "から更新を読み出せません。販売には影響ありません。",
		"Updates " + fromEn(source) + " cannot be read. Selling is not affected.",
	}
}

func from(source string) string {
	if source == api.SourceStick {
		return "USBメモリー"
	}
	return "更新サーバー"
}

func fromEn(source string) string {
	if source == api.SourceStick {
		return "on the USB stick"
	}
	return "on the update server"
}

// spaced is a version's name in a Japanese sentence, or nothing when it has none.
func spaced(r api.Release) string {
	if r.Name != "" {
		return " " + r.Name + " "
	}
	if r.Version != 0 {
		return fmt.Sprintf("（第%d版）", r.Version)
	}
	return ""
}

// named is a version in an English sentence.
func named(word string, r api.Release) string {
	if r.Name != "" {
		return word + " " + r.Name
	}
	if r.Version != 0 {
		return fmt.Sprintf("%s (number %d)", word, r.Version)
	}
	return word
}

// stop ends a sentence of somebody else's with a full stop.
func stop(text, with string) string {
	if text == "" {
		text = "—"
	}
	if len(text) >= len(with) && text[len(text)-len(with):] == with {
		return text
	}
	return text + with
}
