package audit

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Records as Linux 6.12 wrote them in trials.
const (
	tmpfs  = `audit(1700000000.123:42): ipe_op=EXECUTE ipe_hook=BPRM_CHECK enforcing=1 pid=75 comm="init" path="/tmp/tb" dev="tmpfs" ino=2 rule="DEFAULT op=EXECUTE action=DENY"`
	memfd  = `audit(1700000000.124:43): ipe_op=EXECUTE ipe_hook=BPRM_CHECK enforcing=1 pid=76 comm="probe" path=2F6D656D66643A78202864656C6574656429 dev="tmpfs" ino=3 rule="DEFAULT action=DENY"`
	memory = `audit(1700000000.125:44): ipe_op=EXECUTE ipe_hook=MMAP enforcing=1 pid=77 comm="probe" path=? rule="DEFAULT action=DENY"`
)

func TestParse(t *testing.T) {
	r, err := Parse(tmpfs)
	require.NoError(t, err)
	require.Equal(t, Refusal{Op: "EXECUTE", Hook: "BPRM_CHECK", PID: 75, Process: "init", Path: "/tmp/tb", Device: "tmpfs",
		Rule: "DEFAULT op=EXECUTE action=DENY"}, r)
	require.JSONEq(t, `{"op":"EXECUTE","hook":"BPRM_CHECK","pid":75,"process":"init","path":"/tmp/tb","device":"tmpfs",
		"rule":"DEFAULT op=EXECUTE action=DENY"}`, string(r.JSON()))

	r, err = Parse(memfd)
	require.NoError(t, err)
	require.Equal(t, "/memfd:x (deleted)", r.Path)

	r, err = Parse(memory)
	require.NoError(t, err)
	require.Equal(t, "?", r.Path)
	require.Equal(t, "MMAP", r.Hook)
}

func TestRefused(t *testing.T) {
	for why, bad := range map[string]string{
		"empty":      "",
		"no head":    strings.TrimPrefix(tmpfs, "audit"),
		"other kind": `audit(1:2): arch=c000003e syscall=59 pid=1`,
		"no pid":     strings.Replace(tmpfs, "pid=75", "pid=x", 1),
		"open quote": tmpfs[:len(tmpfs)-1],
		"no value":   tmpfs + " word",
		"too long":   tmpfs + strings.Repeat(" ", maxRecord),
	} {
		_, err := Parse(bad)
		require.Error(t, err, why)
	}
}

// A program that tries again and again costs a bounded number of entries, and none of its tries is forgotten.
func TestLimiter(t *testing.T) {
	var l limiter
	t0 := time.Unix(1000, 0)
	reported, hidden := 0, 0
	for i := range 1000 {
		for _, r := range l.admit(Refusal{PID: i}, t0.Add(time.Duration(i)*time.Millisecond)) {
			reported++
			hidden += r.More
		}
	}
	require.Equal(t, burst, reported)
	out := l.flush(t0.Add(period + time.Second))
	require.Len(t, out, 1)
	require.Equal(t, 999, out[0].PID, "the last one stands for those left out")
	require.Equal(t, 1000, reported+hidden+1+out[0].More)
	require.Empty(t, l.flush(t0.Add(3*period)))
}

func TestMessage(t *testing.T) {
	b := make([]byte, unix.SizeofNlMsghdr)
	binary.LittleEndian.PutUint16(b[4:], recordIPE)
	text, ok := message(append(b, tmpfs...))
	require.True(t, ok)
	require.Equal(t, tmpfs, text)
	binary.LittleEndian.PutUint16(b[4:], 1300)
	_, ok = message(append(b, tmpfs...))
	require.False(t, ok)
	_, ok = message(nil)
	require.False(t, ok)
}

func FuzzParse(f *testing.F) {
	f.Add(tmpfs)
	f.Add(memfd)
	f.Add(memory)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if err != nil {
			return
		}
		require.NotEmpty(t, r.Op)
		for _, s := range []string{r.Op, r.Hook, r.Process, r.Path, r.Device, r.Rule} {
			require.NotContains(t, s, "\n", "nothing that steers a terminal")
			require.NotContains(t, s, "\x1b")
		}
		var back Refusal
		require.NoError(t, json.Unmarshal(r.JSON(), &back))
		require.Equal(t, r, back)
	})
}
