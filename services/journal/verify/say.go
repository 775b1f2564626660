package verify

import (
	"fmt"
	"strings"
	"time"

	"github.com/choba-os/choba/services/journal/chain"
)

// Lang is a language that the verifier speaks.
type Lang string

// The languages.
const (
	Japanese Lang = "ja"
	English  Lang = "en"
)

// words are a finding's sentence in both languages.
type words struct{ ja, en string }

var sentences = map[Code]words{
	NoLog:      {"フォルダーに記録がありません。", "The folder holds no log."},
	BadFile:    {"記録のフォルダーに関係のないファイルがあります。", "A file lies in the folder that does not belong to a log."},
	Gap:        {"記録の一部（セグメントファイル）が足りません。", "A part of the log (a segment file) is missing."},
	BadHead:    {"セグメントの先頭が壊れているか、書き換えられています。", "The head of a segment is broken or was changed."},
	BadRecord:  {"記録のバイトが壊れているか、書き換えられています。", "Bytes of the log are broken or were changed."},
	BadEntry:   {"項目の内容が正しい形ではありません。", "An entry does not have the form that the register writes."},
	Unfinished: {"記録の末尾が書き終わっていません。書き込み中に電源が切れたか、最後の部分が壊されています。", "The end of the log is unfinished: power failed during a write, or the last part was damaged."},
	BadTail:    {"セグメントの終わりに余分なデータがあります。", "Something follows the end of a segment."},
	Signature:  {"署名が正しくありません。この部分はレジが署名したものではありません。", "A signature is wrong: the register did not sign this."},
	Stranger:   {"別の機器の鍵で署名されています。", "The log is signed for by the key of another device."},
	BadHashes:  {"ハッシュの一覧が記録と合いません。一覧か記録のどちらかが書き換えられています。", "The list of hashes does not fit the log: one of them was changed."},
	MoreHashes: {"末尾の項目が取り除かれています。保存されたはずの項目がありません。", "Entries were removed from the end: the list of hashes still knows them."},
	Shorter:    {"控えにある時点より記録が短くなっています。末尾の項目が取り除かれたか、古い記録に戻されています。", "The log is shorter than the head kept elsewhere: its end was cut off, or an old copy was put back."},
	Fork:       {"控えと記録が一致しません。別の記録にすり替えられたか、過去が書き換えられています。", "The log is not the one of the head kept elsewhere: it was exchanged, or its past was rewritten."},

	Code(chain.FaultNumber):     {"項目の番号が続いていません。項目が取り除かれたか、加えられたか、入れ替えられています。", "The entries' numbers do not go on: an entry was removed, added or moved."},
	Code(chain.FaultTime):       {"時刻または起動の記録が矛盾しています。", "The times contradict each other: time since power-on runs back, or the power-on is not the session's."},
	Code(chain.FaultOwner):      {"記録係自身の項目が、ほかの名前で書かれています。", "An entry carries the name of a service that may not have written it."},
	Code(chain.FaultDevice):     {"機器の鍵の証明書が正しくありません。", "The certificate of the device's key is not right."},
	Code(chain.FaultSession):    {"署名鍵の証明書が正しくありません。レジの鍵が保証していない鍵が使われています。", "The certificate of a signing key is not right: the device does not vouch for the key."},
	Code(chain.FaultCheckpoint): {"署名された要約と項目が一致しません。項目が書き換えられています。", "The entries are not those that were signed: something was changed."},
	Code(chain.FaultSegment):    {"セグメントが前のセグメントの続きではありません。", "A segment does not go on where the one before it ended."},

	ClockBack: {"時計が戻されています。", "The clock was set back."},
	Recovered: {"書きかけのまま電源が切れ、起動時に書きかけの部分が取り除かれました（確定前の部分で、失われた項目はありません）。", "Power failed during a write, and the unfinished part was cut at the next start (nothing acknowledged was lost)."},
	FewHashes: {"ハッシュの一覧が揃っていません。記録から作り直せるもので、内容に影響はありません。", "The list of hashes is incomplete. It can be made again from the log and proves nothing itself."},
}

// Say puts a finding into words for a person: what, where, since when.
func Say(f Finding, lang Lang) string {
	w, ok := sentences[f.Code]
	if !ok {
		w = words{string(f.Code), string(f.Code)}
	}
	var b strings.Builder
	if lang == Japanese {
		b.WriteString(w.ja)
		sayPlace(&b, f, "場所: ", "%sファイル %s", "、%d バイト目", "、項目 %d 番", "。それより前の正しい項目は %s まで", "。")
	} else {
		b.WriteString(w.en)
		sayPlace(&b, f, "Where: ", "%sfile %s", ", byte %d", ", entry %d", ". The good entries before it reach to %s", ".")
	}
	if f.Detail != "" {
		fmt.Fprintf(&b, " [%s: %s]", f.Code, f.Detail)
	}
	return b.String()
}

func sayPlace(b *strings.Builder, f Finding, where, file, at, entry, since, end string) {
	if f.File == "" {
		return
	}
	fmt.Fprintf(b, " "+file, where, f.File)
	if f.Offset >= 0 {
		fmt.Fprintf(b, at, f.Offset)
	}
	if f.Entry >= 0 {
		fmt.Fprintf(b, entry, f.Entry)
	}
	if !f.Since.IsZero() {
		fmt.Fprintf(b, since, clock(f.Since))
	}
	b.WriteString(end)
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Write puts the whole report into words.
func (r *Report) Write(lang Lang) string {
	var b strings.Builder
	say := func(ja, en string, args ...any) {
		if lang == Japanese {
			en = ja
		}
		fmt.Fprintf(&b, en+"\n", args...)
	}
	say("記録: %s", "Log: %s", r.Origin)
	say("機器の鍵: %s", "Device key: %s", r.Device)
	say("確認した項目: %d 件、署名: %d 件、起動: %d 回、セグメント: %d 個（%d バイト）",
		"Checked: %d entries, %d signed heads, %d sessions, %d segments (%d bytes)",
		r.Entries, r.Checkpoints, r.Sessions, r.Segments, r.Bytes)
	if !r.First.IsZero() {
		say("期間: %s から %s まで", "From %s to %s", clock(r.First), clock(r.Last))
	}
	for _, f := range r.Remarks {
		say("注意: %s", "Note: %s", Say(f, lang))
	}
	for _, f := range r.Damage {
		say("異常: %s", "WRONG: %s", Say(f, lang))
	}
	if r.More > 0 {
		say("ほかに %d 件あります。", "And %d more.", r.More)
	}
	if r.Good() {
		say("結果: 正しい記録です。抜け、書き換え、入れ替えはありません。\n末尾が切り取られていないことは、別に保管した控え（-head）と比べて確かめてください。",
			"Result: good. Nothing is missing inside, changed or moved.\nThat nothing was cut off the end shows only beside a head kept elsewhere (-head).")
	} else {
		say("結果: 異常があります（%d 件）。", "Result: DAMAGED (%d findings).", len(r.Damage)+r.More)
	}
	return b.String()
}
