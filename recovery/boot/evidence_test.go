package boot

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/recovery/explain"
)

// onTrial is a register with version 8 on trial in b, and that boot of it open.
func onTrial(t *testing.T) (*world, *vendor, release.Manifest, release.Manifest) {
	w, v, ma, _ := twoSlots(t)
	mb, id := w.install(slot.B, v, 8, 2, nil)
	r := w.record()
	r.B = slot.Slot{State: slot.Trial, Version: 8, Tries: 2, Manifest: id}
	r.Departed = slot.B
	w.store(r)
	return w, v, ma, mb
}

// TestEvidence: a trial that the watchdog ended is refused at once; one that a power
// cut ended, or that was ended on purpose, has its other tries.
func TestEvidence(t *testing.T) {
	w, _, ma, _ := onTrial(t)
	w.fired = "i6300ESB timer"
	run(w)
	require.Equal(t, system(ma), w.measure)
	require.Equal(t, slot.Refused, w.record().B.State)
	require.Equal(t, []slot.Failure{{Version: 8, Manifest: w.record().B.Manifest}}, w.record().Failed)
	require.Equal(t, slot.A, w.record().Departed)
	text := strings.Join(w.history(), "\n")
	require.Contains(t, text, `failed {"evidence":"watchdog","reason":"version 8 in slot b hung: the watchdog (i6300ESB timer) restarted the machine","slot":"b","version":"8"}`)
	require.Contains(t, strings.Join(w.lines, "\n"), "slot b: version 8 is refused: version 8 in slot b hung: the watchdog")

	w, _, _, mb := onTrial(t)
	run(w)
	require.Equal(t, system(mb), w.measure, "a power cut: the next try")
	require.Equal(t, 1, w.record().B.Tries)
	require.Empty(t, w.history())

	w, _, _, mb = onTrial(t)
	r, changed := slot.End(w.record(), slot.B)
	require.True(t, changed)
	w.store(r)
	w.fired = "i6300ESB timer"
	run(w)
	require.Equal(t, system(mb), w.measure, "switched off on purpose before: no evidence")

	w, _, ma, _ = twoSlots(t)
	r = w.record()
	r.Departed, r.A.Unready = slot.A, 1
	w.store(r)
	w.fired = "dog"
	run(w)
	require.Equal(t, system(ma), w.measure)
	require.Equal(t, 3+1, w.record().A.Unready, "a committed release: the hang counts three, and this boot is open")
	require.Contains(t, w.history()[0], `failed {"evidence":"watchdog"`)

	w, _, _, _ = twoSlots(t)
	w.fired = "dog"
	run(w)
	require.Equal(t, 1, w.record().A.Unready, "it was ready: what came later is no evidence")
}

// TestTrialUsedUp: without evidence the third try is the last; the reason is said and remembered.
func TestTrialUsedUp(t *testing.T) {
	w, v, ma, _ := onTrial(t)
	for range 2 {
		run(w)
		w = w.powerOn(v)
	}
	run(w)
	require.Equal(t, system(ma), w.measure)
	require.Contains(t, strings.Join(w.lines, "\n"), "did not reach ready in its trials")
	require.Contains(t, strings.Join(w.history(), "\n"), `did not reach ready in its trials`)
}

// TestAsked: a person's wish stops before a slot is tried, once.
func TestAsked(t *testing.T) {
	w, v, ma, _ := twoSlots(t)
	w.store(slot.AskRecovery(w.record(), "the manager"))
	s, ended := run(w)
	require.NoError(t, ended)
	require.True(t, s.Asked)
	require.ErrorIs(t, s.Troubles[0].Cause, explain.ErrAsked)
	require.Len(t, s.Found, 2)
	require.Empty(t, w.did("verity"))
	require.Zero(t, w.record().A.Unready)
	require.Equal(t, []seal.Event{seal.Recovery()}, w.measure)
	w = w.powerOn(v)
	run(w)
	require.Equal(t, system(ma), w.measure)
}

// TestAskedForKey: init found that the data key does not open here; recovery says so instead of trying again at once.
func TestAskedForKey(t *testing.T) {
	w, v, ma, _ := twoSlots(t)
	rec := w.record()
	rec.Departed, rec.A.Unready = slot.A, 1
	w.store(slot.AskForKey(rec, slot.A, "opening the data key: another TPM"))
	s, ended := run(w)
	require.NoError(t, ended)
	require.False(t, s.Asked)
	require.ErrorIs(t, s.Troubles[0].Cause, explain.ErrNoKeys)
	require.Empty(t, s.Troubles[0].Slot)
	require.Contains(t, s.Troubles[0].English(), "another TPM")
	require.Zero(t, w.record().A.Unready)
	w = w.powerOn(v)
	run(w)
	require.Equal(t, system(ma), w.measure)
}

// TestHalfReset: a factory reset that was cut off is finished before any slot boots.
func TestHalfReset(t *testing.T) {
	w, v, ma, _ := twoSlots(t)
	state := w.parts["/dev/"+layout.State]
	add := func(phase string) {
		require.NoError(t, history.Append(state, history.Entry{Kind: "reset", Wall: noon, Text: history.Text("phase", phase, "outcome", "done")}))
	}
	add("erasing")
	for range 2 {
		s, ended := run(w)
		require.NoError(t, ended)
		require.ErrorIs(t, s.Troubles[0].Cause, explain.ErrHalfReset)
		require.Empty(t, w.did("verity"))
		w = w.powerOn(v)
	}
	add("end")
	run(w)
	require.Equal(t, system(ma), w.measure)
}

// TestALostFactoryPartition hides neither the data nor the ESP from whoever repairs.
func TestALostFactoryPartition(t *testing.T) {
	w, _, _, _ := twoSlots(t)
	w.store(slot.AskRecovery(w.record(), "the manager"))
	delete(w.parts, "/dev/"+layout.Factory)
	s, _ := run(w)
	require.Contains(t, s.Disk.Parts, layout.Data)
	require.Contains(t, s.Disk.Parts, layout.ESP)
	require.NotContains(t, s.Disk.Parts, layout.Factory)
	require.Contains(t, strings.Join(s.Notes, "; "), "finding partition "+layout.Factory)
}

func TestFloor(t *testing.T) {
	w, _, _, _ := twoSlots(t)
	w.floor = 8
	s, ended := run(w)
	require.NoError(t, ended)
	require.ErrorIs(t, s.Troubles[0].Cause, release.ErrFloor)
	require.ErrorIs(t, s.Troubles[1].Cause, release.ErrFloor)
	require.Equal(t, uint64(8), s.Floor)

	w, _, ma, _ := twoSlots(t)
	w.floor = 7
	run(w)
	require.Equal(t, system(ma), w.measure)
	require.Contains(t, strings.Join(w.history(), "\n"), "passed {", "version 6 in slot b is below the floor")
}

// TestNoTPM: whether a register without a TPM sells is the vendor's signed decision.
func TestNoTPM(t *testing.T) {
	for _, may := range []trust.Leniency{trust.Refuse, trust.Sell} {
		v := newVendor(t, "prod")
		v.list.NoTPM = may
		w := newWorld(t, v)
		_, a := w.install(slot.A, v, 7, 2, nil)
		w.store(slot.Record{A: good(7, a), Preferred: slot.A})
		w.fail["floor"], w.fail["measure"] = os.ErrNotExist, os.ErrNotExist
		s, ended := run(w)
		if may == trust.Refuse {
			require.NoError(t, ended)
			require.ErrorIs(t, s.Troubles[0].Cause, explain.ErrNoTPM)
			continue
		}
		require.ErrorIs(t, ended, errReplaced)
		require.Contains(t, w.env[4], "INSECURE: the machine has no TPM")
		require.Equal(t, "CHOBA_OPEN=no-tpm", w.env[7])
	}
}

// TestReasonsAreRememberedOnce: a slot that is passed over at every boot for the same
// reason fills no history.
func TestReasonsAreRememberedOnce(t *testing.T) {
	w, v, _, _ := twoSlots(t)
	r := w.record()
	r.B = slot.Slot{State: slot.Empty}
	w.store(r)
	for range 5 {
		run(w)
		r := w.record()
		r.A.Unready = 0
		w.store(r)
		w = w.powerOn(v)
	}
	require.Len(t, w.history(), 1)
	clear(w.part(slot.A).data)
	for range 3 {
		run(w)
		w = w.powerOn(v)
	}
	passed := 0
	for _, h := range w.history() {
		if strings.HasPrefix(h, "passed ") {
			passed++
		}
	}
	require.Equal(t, 2, passed, "%s", strings.Join(w.history(), "\n"))
}

// TestHistoryIsNoCondition: a register whose history cannot be written or read sells.
func TestHistoryIsNoCondition(t *testing.T) {
	w, _, ma, _ := twoSlots(t)
	state := w.parts["/dev/"+layout.State]
	for i := range int64(layout.HistorySize) {
		state.data[layout.HistoryStart+i] = byte(i)
	}
	clear(w.part(slot.B).data)
	_, ended := run(w)
	require.ErrorIs(t, ended, errReplaced)
	require.Equal(t, system(ma), w.measure)
	require.Len(t, w.history(), 1)

	w, _, ma, _ = twoSlots(t)
	state = w.parts["/dev/"+layout.State]
	state.data = state.data[:layout.HistoryStart]
	clear(w.part(slot.B).data)
	_, ended = run(w)
	require.ErrorIs(t, ended, errReplaced)
	require.Equal(t, system(ma), w.measure)
	require.Contains(t, w.env[4], "the history is not written")
}

// TestMeasurementsOfTheFirmware: what is no log is said, and nothing is foretold from it.
func TestMeasurementsOfTheFirmware(t *testing.T) {
	w, _, _, _ := twoSlots(t)
	w.files[eventLog] = []byte("garbage")
	_, ended := run(w)
	require.ErrorIs(t, ended, errReplaced)
	require.Equal(t, "CHOBA_PCR4_EVENTS=", w.env[6])
	require.Contains(t, w.env[4], "the firmware's log of measurements")
}

// TestFed: the watchdog is fed by progress, and by nothing else.
func TestFed(t *testing.T) {
	feeds := 0
	f := &fed{ReaderAt: bytes.NewReader(make([]byte, 10<<20)), feed: func() error { feeds++; return nil }}
	_, err := io.Copy(io.Discard, io.NewSectionReader(f, 0, 10<<20))
	require.NoError(t, err)
	require.InDelta(t, 5, feeds, 1)
	before := feeds
	_, err = f.ReadAt(make([]byte, 10), 11<<20)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, before, feeds)
}
