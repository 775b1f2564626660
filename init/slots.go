package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/init/offer"
	"github.com/choba-os/choba/init/system"
	"github.com/choba-os/choba/init/verdict"
	bootapi "github.com/choba-os/choba/services/boot/api"
	"github.com/choba-os/choba/services/table"
)

// slots is what the update service may ask. It believes nothing that it is told: what lies in the idle slot, it reads.
type slots struct{ m *machine }

// Status is how the slots are.
func (s slots) Status() (bootapi.Status, error) {
	m := s.m
	rec, _, err := m.loadState()
	if err != nil {
		m.console.Say("%v", err) // the default record says what counts: unknown
	}
	st := bootapi.Status{
		Slot: string(m.facts.slot), Idle: string(m.facts.slot.Other()), IdleDevice: table.IdleNode, IdleSize: m.idle.Size,
		Version: m.running.Version, Name: m.running.Name, Root: m.facts.rootHash, Failed: []bootapi.Failure{}, Reason: rec.Reason,
		Floor: m.floor.Load(), Committed: m.committed.Load(), Jumped: m.facts.jumped, Fallback: m.fallback,
	}
	for i, n := range slot.Names() {
		x := rec.Slot(n)
		if x.State == "" {
			x.State = slot.Empty
		}
		st.Slots[i] = bootapi.SlotStatus{Name: string(n), State: string(x.State), Version: x.Version, Tries: x.Tries,
			Unready: x.Unready, Manifest: x.Manifest.String()}
	}
	for _, f := range rec.Failed {
		st.Failed = append(st.Failed, bootapi.Failure{Version: f.Version, Manifest: f.Manifest.String()})
	}
	return st, nil
}

// kept refuses changes while the running release has not proved itself: the other one is needed then.
func (s slots) kept() error {
	switch {
	case s.m.over.Load():
		return &bootapi.Error{Kind: bootapi.Unavailable, Text: "the register is being stopped"}
	case !s.m.committed.Load():
		return &bootapi.Error{Kind: bootapi.Unavailable, Text: "the running release has not proved itself yet"}
	case s.m.idle.Path == "":
		return &bootapi.Error{Kind: bootapi.Unavailable, Text: "the other slot's partition was not found"}
	}
	return nil
}

// Clear empties the idle slot in the record.
func (s slots) Clear() error {
	if err := s.kept(); err != nil {
		return err
	}
	idle := s.m.facts.slot.Other()
	_, err := s.m.change(func(rec slot.Record) (slot.Record, error) { return slot.Clear(rec, idle) })
	if err != nil {
		return &bootapi.Error{Kind: bootapi.Conflict, Text: err.Error()}
	}
	s.m.journal.Add("boot.clear", map[string]any{"slot": idle})
	return nil
}

// Offer checks what lies in the idle slot and puts it on trial.
func (s slots) Offer(ctx context.Context, anew bool) error {
	if err := s.kept(); err != nil {
		return err
	}
	began := time.Now()
	idle := s.m.facts.slot.Other()
	r, err := quietly(func() (release.Release, error) { return s.check(ctx, anew) })
	content := map[string]any{"slot": idle, "anew": anew, "tookMs": time.Since(began).Milliseconds()}
	if err == nil {
		content["version"], content["manifest"] = r.Version, slot.Manifest(r.ID).String()
		_, err = s.m.change(func(rec slot.Record) (slot.Record, error) { return slot.Offer(rec, idle, r.Version, r.ID, anew) })
	}
	if err != nil {
		content["refused"] = err.Error()
	} else {
		s.m.console.Say("version %d in slot %s is on trial from the next start on", r.Version, idle)
	}
	s.m.journal.Add("boot.offer", content)
	return refusalOf(err)
}

// refusalOf gives the error its kind.
func refusalOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &bootapi.Error{Kind: bootapi.Unavailable, Text: err.Error()}
	case errors.Is(err, offer.ErrRegister):
		return &bootapi.Error{Kind: bootapi.Internal, Text: err.Error()}
	case errors.Is(err, slot.ErrState), errors.Is(err, slot.ErrFailedBefore):
		return &bootapi.Error{Kind: bootapi.Conflict, Text: err.Error()}
	}
	return &bootapi.Error{Kind: bootapi.Refused, Text: err.Error()}
}

func (s slots) check(ctx context.Context, anew bool) (release.Release, error) {
	m := s.m
	rec, _, err := m.loadState()
	if err != nil {
		return release.Release{}, fmt.Errorf("%w: %w", offer.ErrRegister, err)
	}
	f, err := os.Open(m.idle.Path)
	if err != nil {
		return release.Release{}, fmt.Errorf("%w: %w", offer.ErrRegister, err)
	}
	defer f.Close()
	// What counts is what the disk holds, not what the kernel still remembers of the writing.
	if err := unix.IoctlSetInt(int(f.Fd()), unix.BLKFLSBUF, 0); err != nil {
		return release.Release{}, fmt.Errorf("%w: %w", offer.ErrRegister, err)
	}
	at := offer.Register{
		Root: m.trust, Hardware: release.HardwarePC, Running: m.running, Slot: m.facts.slot.Other(), Record: rec, Floor: m.floor.Load(),
		Boot: func() ([]byte, error) { return os.ReadFile(offer.BootPath) }, Free: freeData,
	}
	open := func(r release.Release) (offer.Volume, error) { return offer.Open(m.idle.Path, r) }
	return offer.Check(ctx, at, offer.Idle{Device: f, Size: m.idle.Size, Open: open}, anew)
}

// freeData is the room on the data partition, in bytes.
func freeData() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dataDir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// lowest is the nice value of what may take its time.
const lowest = 19

// quietly does something on a thread of its own that goes behind everything else; the thread ends with it. A panic is
// an error of it: what a service wrote must not end PID 1.
func quietly[T any](do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, with its priority, is given up
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), lowest)
		var r result
		r.err = caught(func() (err error) { r.value, err = do(); return err })
		done <- r
	}()
	r := <-done
	return r.value, r.err
}

// Restart has everything stopped in order; recovery stops the next boot when that is the reason.
func (s slots) Restart(reason string) error {
	if reason == bootapi.ReasonRecovery {
		if err := s.askRecovery(); err != nil {
			return err
		}
	}
	if s.m.over.Load() || !s.m.wish(wish{system.Reboot, reason}) {
		return &bootapi.Error{Kind: bootapi.Conflict, Text: "the register is being stopped already"}
	}
	return nil
}

func (s slots) askRecovery() error {
	s.m.stateMu.Lock()
	defer s.m.stateMu.Unlock()
	return verdict.AskRecovery(s.m.state, "update", time.Now())
}
