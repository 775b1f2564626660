package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/display/notice"
	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/init/console"
	"github.com/choba-os/choba/init/data"
	"github.com/choba-os/choba/init/record"
	"github.com/choba-os/choba/init/system"
	"github.com/choba-os/choba/keys/seal"
	bootapi "github.com/choba-os/choba/services/boot/api"
)

// bench is a machine with a state partition in memory and a power switch that only notes what it was asked.
type bench struct {
	*machine
	disk  *frametest.Disk
	out   *lines
	ended chan system.End

	mu    sync.Mutex
	pages []notice.Page
	told  []record.Event
}

// lines is a console that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Append is the journal.
func (b *bench) Append(_ context.Context, e record.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, e)
	return nil
}

func manifest(b byte) (m slot.Manifest) { m[0] = b; return m }

func trialRecord() slot.Record {
	return slot.Record{Preferred: slot.A, Departed: slot.B, A: slot.Slot{State: slot.Good, Version: 16, Manifest: manifest(1)},
		B: slot.Slot{State: slot.Trial, Version: 17, Tries: 2, Manifest: manifest(2)}}
}

func keptRecord() slot.Record {
	return slot.Record{Preferred: slot.B, Departed: slot.B, A: slot.Slot{State: slot.Good, Version: 16, Manifest: manifest(1)},
		B: slot.Slot{State: slot.Good, Version: 17, Unready: 1, Manifest: manifest(2)}}
}

func newBench(t *testing.T, rec slot.Record) *bench {
	t.Helper()
	b := &bench{disk: frametest.New(4 * layout.MiB), out: &lines{}, ended: make(chan system.End, 1)}
	require.NoError(t, slot.Store(b.disk, rec))
	c := console.New(b.out)
	b.machine = newMachine(environ(), c)
	b.times = times{ready: 100 * time.Millisecond, soak: 50 * time.Millisecond, grace: 50 * time.Millisecond, stop: 80 * time.Millisecond,
		early: 20 * time.Millisecond, page: time.Millisecond, step: 200 * time.Millisecond, all: 400 * time.Millisecond}
	b.world = world{
		power: func(how system.End) error { b.ended <- how; return nil },
		show: func(p notice.Page) (func(), error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.pages = append(b.pages, p)
			return func() {}, nil
		},
	}
	b.journal = record.New(b, func(s string) { c.Say("%s", s) })
	var err error
	b.facts, err = parseFacts(b.environ)
	require.NoError(t, err)
	b.machine.state = b.disk
	b.haveState.Store(true)
	b.machine.partition = data.New(data.Parts{State: b.disk})
	require.NoError(t, b.readRecord())
	b.running.Version, b.running.ID, b.running.Name = 17, manifest(2), "1.7"
	return b
}

func (b *bench) record(t *testing.T) slot.Record {
	t.Helper()
	rec, _, err := slot.Load(b.disk)
	require.NoError(t, err)
	return rec
}

func (b *bench) past(t *testing.T) []history.Entry {
	t.Helper()
	past, err := history.Load(b.disk)
	require.NoError(t, err)
	return past
}

func (b *bench) end(t *testing.T) system.End {
	t.Helper()
	select {
	case how := <-b.ended:
		return how
	case <-time.After(10 * time.Second):
		t.Fatal("it never ended:\n" + b.out.String())
	}
	return ""
}

// What the supervision finds (a crash loop, a silent or an unready service) refuses the release on trial at once, says
// so, and restarts (A49).
func TestFailedTrialGoesBack(t *testing.T) {
	b := newBench(t, trialRecord())
	require.NotNil(t, b.trial())
	b.unhealthy("screen ended (code 1) within 10s of the register being ready")
	require.Equal(t, system.Reboot, b.end(t))
	require.Equal(t, slot.Refused, b.record(t).B.State)
	require.Contains(t, b.record(t).Reason, "screen ended")
	require.Len(t, b.past(t), 1)
	require.Contains(t, b.past(t)[0].Text, "screen ended")
	require.Contains(t, b.out.String(), "choba-init: health: screen ended (code 1)")
	require.Equal(t, []notice.Page{failedTrial(17, "screen ended (code 1) within 10s of the register being ready")}, b.pages)

	// The release before tells it: on the screen, in the journal, once.
	again := newBench(t, b.record(t))
	again.disk.Data = b.disk.Data
	again.facts.slot, again.facts.version = slot.A, 16
	require.NoError(t, again.readRecord())
	require.Nil(t, again.trial())
	path := filepath.Join(t.TempDir(), "facts.json")
	require.NoError(t, again.leaveFacts(path))
	facts, err := bootapi.LoadFacts(path)
	require.NoError(t, err)
	require.EqualValues(t, 17, facts.Fallback.Version)
	require.Contains(t, facts.Fallback.Reason, "screen ended")
	require.NotEmpty(t, facts.Fallback.ReasonJa)
	again.tellHistory()
	again.journal.Drain(t.Context())
	require.Len(t, again.told, 1)
	require.Equal(t, "recovery.failed", again.told[0].Kind)
	require.Contains(t, string(again.told[0].Content), `"reason":"screen ended`)
	again.tellHistory()
	again.journal.Drain(t.Context())
	require.Len(t, again.told, 1, "told once")
}

// A plan that hangs is ended by its own deadline, with the step that it hung in.
func TestHangingPlanIsATrialsEnd(t *testing.T) {
	b := newBench(t, trialRecord())
	b.doing.Store("open the data partition")
	go b.watchPlan(t.Context())
	require.Equal(t, system.Reboot, b.end(t))
	require.Equal(t, slot.Refused, b.record(t).B.State)
	require.Contains(t, b.out.String(), "health: not ready in time: still busy to open the data partition")

	b = newBench(t, keptRecord())
	b.watchPlan(t.Context())
	require.False(t, b.over.Load(), "without a trial the watchdog decides")
	b = newBench(t, trialRecord())
	close(b.planned)
	b.watchPlan(t.Context())
	require.False(t, b.over.Load(), "from then on the supervision decides")
}

// A step that fails on trial gives way to the old release at once; what no release could do anything about does not.
func TestStepsThatFail(t *testing.T) {
	for _, row := range []struct {
		name  string
		rec   slot.Record
		why   error
		state slot.State
		tries int // or unready boots
		stop  bool
	}{
		{"table broken on trial", trialRecord(), errors.New("reading the service table: x"), slot.Refused, 0, false},
		{"policy not for this release on trial", trialRecord(), fmt.Errorf("opening: %w", seal.ErrSignature), slot.Refused, 0, false},
		{"data does not open on trial", trialRecord(), errors.New("mounting: input/output error"), slot.Refused, 0, false},
		{"another TPM on trial", trialRecord(), fmt.Errorf("opening: %w", seal.ErrOtherTPM), slot.Trial, 2, true},
		{"kept release", keptRecord(), errors.New("reading the service table: x"), slot.Good, 3, true},
		{"kept release, another TPM", keptRecord(), seal.ErrOtherTPM, slot.Good, 0, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t, row.rec)
			began := time.Now()
			require.NoError(t, b.cannotStart(row.why))
			require.Equal(t, system.Reboot, b.end(t), "every boot ends, so that recovery can count it")
			s := b.record(t).B
			require.Equal(t, row.state, s.State)
			require.Equal(t, row.tries, s.Tries+s.Unready)
			require.Len(t, b.past(t), 1)
			require.Contains(t, b.past(t)[0].Text, row.why.Error())
			require.Len(t, b.pages, 1)
			require.Equal(t, row.stop, strings.Contains(b.out.String(), "choba-init: stop: "+row.why.Error()))
			if row.stop {
				require.GreaterOrEqual(t, time.Since(began), b.times.stop)
			}
		})
	}
}

// Before the disk is found nothing can be written down; the boot ends soon.
func TestFailsBeforeTheDiskIsFound(t *testing.T) {
	b := newBench(t, trialRecord())
	b.haveState.Store(false)
	b.onTrial.Store(false)
	require.NoError(t, b.cannotStart(errors.New("CHOBA_SLOT is \"\"")))
	require.Equal(t, system.Reboot, b.end(t))
	require.Equal(t, trialRecord().B, b.record(t).B)
}

// Whatever hangs while a failed boot is ended is left behind.
func TestNothingKeepsTheEndFromComing(t *testing.T) {
	b := newBench(t, trialRecord())
	order := make(chan string, 2)
	b.atEnd("closing the data", func() error { order <- "data"; return nil })
	b.atEnd("stopping the services", func() error { order <- "services"; select {} })
	b.world.show = func(notice.Page) (func(), error) { select {} }
	require.NoError(t, b.giveUp("x"))
	require.Equal(t, system.Reboot, b.end(t))
	require.Equal(t, []string{"services", "data"}, []string{<-order, <-order})
	require.Contains(t, b.out.String(), "stopping the services: takes longer than 200ms, and is left")
}

// An end that a person wished for is no failure, also before the register is ready.
func TestWishedEnd(t *testing.T) {
	b := newBench(t, trialRecord())
	require.NoError(t, slots{b.machine}.Restart("update"))
	require.Equal(t, bootapi.Conflict, bootapi.KindOf(slots{b.machine}.Restart("again")))
	require.NoError(t, b.machine.end(<-b.wishes))
	require.Equal(t, system.Reboot, b.end(t))
	rec := b.record(t)
	require.Empty(t, rec.Departed, "a watchdog that fires from now on is no evidence")
	require.Equal(t, slot.Trial, rec.B.State)
	require.Empty(t, b.past(t))
	require.Contains(t, b.out.String(), "reboot: update")
	require.Equal(t, bootapi.Unavailable, bootapi.KindOf(slots{b.machine}.Clear()))
}

func TestRestartIntoRecovery(t *testing.T) {
	b := newBench(t, keptRecord())
	require.NoError(t, slots{b.machine}.Restart(bootapi.ReasonRecovery))
	require.Equal(t, slot.AskedByPerson, b.record(t).Asked)
	require.Equal(t, history.Asked, b.past(t)[0].Kind)
}

// What breaks is an error, and not the end of PID 1: a step of the plan, and a look at what a service wrote.
func TestPanicsAreErrors(t *testing.T) {
	require.EqualError(t, caught(func() error { panic("no such slot") }), "panic: no such slot")
	require.NoError(t, caught(func() error { return nil }))
	_, err := quietly(func() (int, error) { panic("what lies in the slot") })
	require.EqualError(t, err, "panic: what lies in the slot")
	n, err := quietly(func() (int, error) { return 7, nil })
	require.NoError(t, err)
	require.Equal(t, 7, n)
}

// The clock of a trial begins with init, whatever the plan took of it.
func TestTrialsTime(t *testing.T) {
	b := newBench(t, trialRecord())
	b.times.ready = time.Hour
	b.began = system.SinceBoot() - 20*time.Minute
	require.WithinDuration(t, time.Now().Add(40*time.Minute), b.trial().ReadyBy, time.Minute)
}
