package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	bootapi "github.com/choba-os/choba/services/boot/api"
)

func (b *bench) kinds() (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.told {
		out = append(out, e.Kind)
	}
	return out
}

func (b *bench) until(t *testing.T, kind string) {
	t.Helper()
	require.Eventually(t, func() bool {
		b.journal.Drain(t.Context())
		return strings.Contains(strings.Join(b.kinds(), " "), kind)
	}, 10*time.Second, 5*time.Millisecond)
}

// On trial, being ready is not enough: only a passed trial is written down, and cannot be taken back afterwards.
func TestTrialIsKeptWhenPassed(t *testing.T) {
	b := newBench(t, trialRecord())
	b.ready()
	b.until(t, "boot.ready")
	require.Equal(t, slot.Trial, b.record(t).B.State)
	require.False(t, b.committed.Load())
	b.healthy()
	b.until(t, "boot.kept")
	rec := b.record(t)
	require.Equal(t, slot.Slot{State: slot.Good, Version: 17, Manifest: manifest(2)}, rec.B)
	require.Equal(t, slot.B, rec.Preferred)
	require.Empty(t, rec.Departed)
	require.True(t, b.committed.Load())
}

func TestKeptReleaseIsKeptAtReady(t *testing.T) {
	b := newBench(t, keptRecord())
	b.ready()
	b.until(t, "boot.ready")
	require.Zero(t, b.record(t).B.Unready)
	require.Contains(t, string(b.told[0].Content), `"floor":0`)
}

// A boot that is being ended is not kept any more: its refusal stays.
func TestRefusedIsNotKept(t *testing.T) {
	b := newBench(t, trialRecord())
	require.NoError(t, b.giveUp("x"))
	require.Error(t, b.commit())
	require.Equal(t, slot.Refused, b.record(t).B.State)
}

// The floor is the lower of two committed versions, and nothing while there are not two.
func TestFloorOf(t *testing.T) {
	good := func(v uint64) slot.Slot { return slot.Slot{State: slot.Good, Version: v} }
	require.EqualValues(t, 16, floorOf(slot.Record{A: good(16), B: good(17)}, 17))
	require.EqualValues(t, 16, floorOf(slot.Record{A: good(17), B: good(16)}, 17))
	require.EqualValues(t, 17, floorOf(slot.Record{A: good(99), B: good(98)}, 17), "a forged record")
	for _, s := range []slot.State{slot.Trial, slot.Empty, slot.Refused, slot.Unknown} {
		require.Zero(t, floorOf(slot.Record{A: good(16), B: slot.Slot{State: s, Version: 17}}, 17), s)
		require.Zero(t, floorOf(slot.Record{A: slot.Slot{State: s, Version: 17}, B: good(16)}, 17), s)
	}
}

func TestSlotsStatusAndClear(t *testing.T) {
	b := newBench(t, keptRecord())
	b.machine.idle.Size = 96 << 20
	s := slots{b.machine}
	require.Equal(t, bootapi.Unavailable, bootapi.KindOf(s.Clear()), "not before the running release has proved itself")
	require.Equal(t, bootapi.Unavailable, bootapi.KindOf(s.Offer(t.Context(), false)))
	require.NoError(t, b.commit())
	require.Equal(t, bootapi.Unavailable, bootapi.KindOf(s.Clear()), "there is no other slot")
	b.machine.idle.Path = "/no/such"
	require.NoError(t, s.Clear())
	st, err := s.Status()
	require.NoError(t, err)
	require.Equal(t, bootapi.Status{
		Slot: "b", Idle: "a", IdleDevice: "/dev/choba/idle", IdleSize: 96 << 20, Version: 17, Name: "1.7", Root: strings.Repeat("ab", 32),
		Slots: [2]bootapi.SlotStatus{{Name: "a", State: "empty", Manifest: strings.Repeat("0", 64)},
			{Name: "b", State: "good", Version: 17, Manifest: "02" + strings.Repeat("0", 62)}},
		Failed: []bootapi.Failure{}, Reason: "slot a is being written", Committed: true,
	}, st)
	require.Equal(t, bootapi.Internal, bootapi.KindOf(s.Offer(t.Context(), false)), "nothing can be read there")
	b.until(t, "boot.offer")
	require.Equal(t, []string{"boot.clear", "boot.offer"}, b.kinds())
	require.Equal(t, bootapi.Conflict, bootapi.KindOf(refusalOf(slot.ErrFailedBefore)))
	require.Equal(t, bootapi.Refused, bootapi.KindOf(refusalOf(release.ErrFloor)))
	require.NoError(t, refusalOf(nil))
}

func TestBootFileIsTheNewestReleases(t *testing.T) {
	b := newBench(t, keptRecord())
	require.False(t, b.bootFileWanted(b.record(t)), "no jump, nothing begun")
	b.facts.jumped = true
	require.True(t, b.bootFileWanted(b.record(t)))
	newer := keptRecord()
	newer.A.Version = 18
	require.False(t, b.bootFileWanted(newer))
	require.False(t, b.bootFileWanted(trialRecord()))
}
