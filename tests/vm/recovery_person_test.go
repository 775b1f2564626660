package vm

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/escrow"
	"github.com/choba-os/choba/keys/ticket"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/face"
	"github.com/choba-os/choba/recovery/guide"
	"github.com/choba-os/choba/tests/bench"
)

// ask has the next start of a register that is off stop in recovery.
func (d *flashed) ask() {
	rec := slot.AskRecovery(d.record(), "a test")
	require.NoError(d.t, slot.Store(d.state(), rec))
}

// nonce is the second number on the screen of a register: it is made of its data partition's head.
func (d *flashed) nonce(register string) string {
	head := make([]byte, layout.DataCrypt)
	_, err := section{d, d.parts[layout.Data].Start}.ReadAt(head, layout.DataHeader)
	require.NoError(d.t, err)
	return ticket.Nonce(append(head, register...))
}

// A person works through the menu by touch and by keyboard: tests the register, exports its data for the vendor, and
// resets it with a ticket that two of the vendor's people have signed. What is exported shows nothing of the sales;
// after the reset the register begins anew, and what lay on its disk opens nowhere (A51, B13).
func TestRecoveryByHand(t *testing.T) {
	t.Parallel()
	r := shop(t, keyboard)
	var head []byte
	alter(t, r, func(d *flashed) {
		d.ask()
		head = partition(t, d.path)
	})
	old := filepath.Join(short(t), "old.qcow2")
	tool(t, "cp", r.DiskFile(), old)
	on(t, r, `choba-recovery: page: Recovery menu`)
	time.Sleep(3 * time.Second) // for the panel and the keyboard to be found

	from := len(r.Text())
	tap(t, r, led(), "selftest")
	t.Log(waitFrom(t, r, from, `choba-recovery: end: selftest: .*`))
	time.Sleep(time.Second)
	keep(t, r, "recovery-selftest")

	list := export(t, r)
	number := regexp.MustCompile(`(?m)^register (\S+)$`).FindStringSubmatch(list)[1]
	raw := filepath.Join(short(t), "raw.img")
	tool(t, "qemu-img", "convert", "-O", "raw", old, raw)
	reset(t, r, number, open(t, raw).nonce(number))

	wait(t, r, `switch to slot a version 5`)
	wait(t, r, committed)
	wait(t, r, `screen: painted`)
	newMirror(t).shows(r, "recovery-reset-empty", goods)
	time.Sleep(2 * time.Second)
	r.Cut()
	d := open(t, pulled(t, r))
	told(t, d, "reset", `"by":"choba-INSECURE-service1, choba-INSECURE-service2"`)
	told(t, d, "reset", `"outcome":"done"`)
	told(t, d, "export", `"outcome":"done"`)
	told(t, d, "selftest", `"phase":"end"`)
	require.NotEqual(t, head, partition(t, d.path))
	refusals(t, d)

	tool(t, "cp", old, r.DiskFile()) // the disk as it was copied before the reset
	alter(t, r, func(d *flashed) {
		rec, _ := slot.AnswerAsked(d.record())
		require.NoError(t, slot.Store(d.state(), rec))
	})
	require.Regexp(t, `cleared since`, on(t, r, stop, ready))
}

// export has the data written to a stick by keyboard, and looks at what is on it. It returns the list.
func export(t *testing.T, r *bench.Register) string {
	t.Helper()
	stick := stickWith(t, nil)
	tool(t, "truncate", "-s", "2G", stick)
	tool(t, "/sbin/mkfs.vfat", "-F", "32", stick)
	require.NoError(t, r.PlugStick(stick))
	from := len(r.Text())
	press(t, r, "esc")
	waitFrom(t, r, from, `page: Recovery menu`)
	press(t, r, "down", "down", "down", "left", "ret") // down goes to the next row: 1, 3, 5, and left is back to 4
	waitFrom(t, r, from, `page: Network settings`)
	press(t, r, "esc", "5")
	waitFrom(t, r, from, `page: Export data`)
	time.Sleep(time.Second)
	keep(t, r, "recovery-export")
	began := time.Now()
	press(t, r, "2")
	require.Contains(t, waitFrom(t, r, from, `choba-recovery: end: export: .*`), "The export is done")
	t.Logf("exported in %.0f s", time.Since(began).Seconds())
	require.NoError(t, r.UnplugStick())

	tool(t, "/sbin/fsck.vfat", "-n", stick)
	dir := short(t)
	tool(t, "mcopy", "-i", stick, "::*", dir)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	var list, letter []byte
	for _, n := range names {
		f, err := os.Open(n)
		require.NoError(t, err)
		st, err := f.Stat()
		require.NoError(t, err)
		t.Logf("%s, %d KiB", filepath.Base(n), st.Size()>>10)
		for _, word := range []string{tea, "sale.", "駅前商店", "宇治抹茶", `"kind"`, "choba/"} {
			require.False(t, contains(t, f, 0, st.Size(), word), "%q stands readable in %s", word, n)
		}
		require.NoError(t, f.Close())
		switch filepath.Ext(n) {
		case ".txt":
			list, err = os.ReadFile(n)
		case ".age":
			letter, err = os.ReadFile(n)
		}
		require.NoError(t, err)
	}
	require.Len(t, names, 3+len(pieces(string(list))), "list, letter, state, and the pieces of data that are not zeros")
	_, err = escrow.OpenLetter(letter, keys(t).Escrow)
	require.NoError(t, err)
	return string(list)
}

// pieces are the files of data that a list names.
func pieces(list string) [][]string {
	return regexp.MustCompile(`(?m)^file \S+\.\d+ of data at \d+ bytes [1-9]\d* `).FindAllStringSubmatch(list, -1)
}

// tickets are what people bring on sticks, and what comes of each.
var tickets = []struct {
	name, why string
	change    func(*ticket.Ticket)
	signers   int
}{
	{"signed by one", "Too few people", func(*ticket.Ticket) {}, 1},
	{"for another register", "another register", func(x *ticket.Ticket) { x.Register = ticket.Name([]byte("other")) }, 2},
	{"expired", "has expired", func(x *ticket.Ticket) { x.NotAfter = x.NotAfter.AddDate(0, 0, -2) }, 2},
	{"good", "", func(*ticket.Ticket) {}, 2},
}

// reset brings the tickets one after the other; the last one serves.
func reset(t *testing.T, r *bench.Register, number, nonce string) {
	t.Helper()
	k := keys(t)
	for _, c := range tickets {
		x := ticket.Ticket{Action: ticket.FactoryReset, Register: number, Nonce: nonce, NotAfter: time.Now().UTC().Truncate(time.Second).AddDate(0, 0, 1)}
		c.change(&x)
		text, err := x.Encode()
		require.NoError(t, err)
		signed, err := note.Sign(&note.Note{Text: string(text)}, k.Service[:c.signers]...)
		require.NoError(t, err)
		file := filepath.Join(short(t), "choba.ticket")
		require.NoError(t, os.WriteFile(file, signed, 0o644))
		require.NoError(t, r.PlugStick(stickWith(t, map[string]string{"choba.ticket": file})))
		from := len(r.Text())
		press(t, r, "esc")
		waitFrom(t, r, from, `page: Recovery menu`)
		press(t, r, "7")
		waitFrom(t, r, from, `page: Factory reset`)
		time.Sleep(time.Second)
		keep(t, r, "recovery-ticket")
		press(t, r, "2")
		waitFrom(t, r, from, `page: Erase all sales data`)
		tap(t, r, led("reset", "reset"), "yes")
		end := waitFrom(t, r, from, `choba-recovery: end: reset: .*`)
		if c.why == "" {
			require.Contains(t, end, "The register was reset")
		} else {
			require.Contains(t, end, "Nothing was erased", c.name)
		}
		time.Sleep(time.Second)
		keep(t, r, "recovery-reset")
		require.NoError(t, r.UnplugStick())
	}
}

// refusals sees that each bad ticket was refused for its own reason.
func refusals(t *testing.T, d *flashed) {
	t.Helper()
	all, err := history.Load(d.state())
	require.NoError(t, err)
	var why []string
	for _, e := range all {
		var text struct{ Outcome, Detail string }
		require.NoError(t, json.Unmarshal([]byte(e.Text), &text))
		if e.Kind == "reset" && text.Outcome == "failed" {
			why = append(why, text.Detail)
		}
	}
	require.Len(t, why, len(tickets)-1)
	for i, w := range why {
		require.Contains(t, w, tickets[i].why)
	}
}

// A factory reset that the power cut off is finished at the next start, although both slots are good.
func TestRecoveryFinishesAReset(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	alter(t, r, func(d *flashed) {
		require.NoError(t, history.Append(d.state(), history.Entry{Kind: "reset", Wall: time.Now(), Text: history.Text("phase", "erasing", "by", "two people")}))
	})
	on(t, r, `choba-recovery: a factory reset was cut off; it is finished now`)
	wait(t, r, `choba-recovery: start(.|\s)*choba-recovery: start`)
	r.Cut()
	d := open(t, pulled(t, r))
	for _, at := range []int64{layout.SealedCopy1, layout.SealedCopy2, layout.EscrowCopy1, layout.EscrowCopy2} {
		b := make([]byte, layout.SealedSize)
		_, err := d.state().ReadAt(b, at)
		require.NoError(t, err)
		require.Zero(t, len(bytes.Trim(b, "\x00")), "what lies at %d", at)
	}
}

// keyShut is the guide of a register whose data key does not open.
func keyShut(touches ...string) *guide.Guide {
	g := guide.New(guide.Facts{Troubles: []explain.Trouble{explain.General(explain.ErrNoKeys)}})
	for _, id := range touches {
		g.Touch(id)
	}
	return g
}

// The board was changed: the data does not open, the register says so and is in recovery at the next start, where the
// code that the vendor tells, typed by keyboard and by touch, brings the sales back. Its use is on record, and the code
// is worth nothing afterwards (A51, B13).
func TestRecoveryOnAnotherBoard(t *testing.T) {
	t.Parallel()
	r := shop(t, keyboard)
	d := open(t, pulled(t, r))
	block, _, err := escrow.Load(d.state())
	require.NoError(t, err)
	file := filepath.Join(short(t), "letter.age")
	require.NoError(t, os.WriteFile(file, block.Vendor(), 0o644))
	cmd := exec.Command("go", "run", "./keys/cmd", "escrow", "-identity", filepath.Join(keys(t).Dir, "escrow.key"), file)
	cmd.Dir = "../.."
	told48, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", told48)
	code := strings.Join(regexp.MustCompile(`\d+`).FindAllString(lines(string(told48), "code ")[0], -1), "")
	require.Len(t, code, 48)

	require.NoError(t, r.ReplaceTPM())
	t.Log(on(t, r, stop, ready))
	time.Sleep(2 * time.Second)
	keep(t, r, "recovery-board-init")
	r.Cut() // a person does not wait for the minute

	from := time.Now()
	on(t, r, `choba-recovery: page: This register cannot start`)
	t.Logf("in recovery %.0f s after power-on", time.Since(from).Seconds())
	time.Sleep(4 * time.Second)
	keep(t, r, "recovery-board")
	tap(t, r, keyShut(), "rebind")
	wait(t, r, `page: Re-bind the key`)
	time.Sleep(time.Second)
	tap(t, r, keyShut("rebind"), "code")
	time.Sleep(time.Second)
	for _, digit := range code[:36] {
		press(t, r, string(digit))
	}
	for _, digit := range code[36:] {
		tap(t, r, keyShut("rebind", "code"), face.KeyPrefix+string(digit))
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(time.Second)
	keep(t, r, "recovery-code")
	press(t, r, "ret")
	require.Contains(t, wait(t, r, `choba-recovery: end: rebind: .*`), "The key is bound to this register")
	time.Sleep(2 * time.Second)
	keep(t, r, "recovery-rebound")
	stillOpen(t, r, "recovery-board-sells-again")
	wait(t, r, committed)
	t.Logf("sells again %.0f s after power-on", time.Since(from).Seconds())
	require.Regexp(t, `choba-init: the data key was bound anew with a recovery code: 1 in all`, r.Text())
	time.Sleep(2 * time.Second)
	r.Cut()

	d = open(t, pulled(t, r))
	told(t, d, "rebind", `"outcome":"done"`)
	next, _, err := escrow.Load(d.state())
	require.NoError(t, err)
	used, err := escrow.ParseCode(code)
	require.NoError(t, err)
	_, err = next.Open(used)
	require.ErrorIs(t, err, escrow.ErrOpen, "the code is used up")
}
