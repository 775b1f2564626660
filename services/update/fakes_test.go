package update

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/layout"
	imagerelease "github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/image/verity"
	bootapi "github.com/choba-os/choba/services/boot/api"
	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	networkapi "github.com/choba-os/choba/services/network/api"
	stickapi "github.com/choba-os/choba/services/stick/api"
)

// desk is init, with the real rules of the slot record.
type desk struct {
	w    *world
	disk *frametest.Disk // slot b

	mu        sync.Mutex // guards what follows
	rec       slot.Record
	version   uint64
	floor     uint64
	committed bool
	fallback  *bootapi.Fallback
	fail      map[string]error // by verb; "after offer" is an answer that is lost
	clears    int
	size      int64 // of the idle slot; 0: partition
	anew      []bool
	restarts  []string
}

func (d *desk) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *desk) asked() (clears int, anew []bool, restarts []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clears, slices.Clone(d.anew), slices.Clone(d.restarts)
}

func (d *desk) Status(context.Context) (bootapi.Status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fail["status"]; err != nil {
		return bootapi.Status{}, err
	}
	st := bootapi.Status{
		Slot: "a", Idle: "b", IdleDevice: "/dev/choba/idle", IdleSize: cmp.Or(d.size, partition), Version: d.version, Name: fmt.Sprintf("1.%d.0", d.version),
		Floor: d.floor, Committed: d.committed, Fallback: d.fallback, Reason: d.rec.Reason,
	}
	for i, n := range slot.Names() {
		s := d.rec.Slot(n)
		if s.State == "" {
			s.State = slot.Empty
		}
		st.Slots[i] = bootapi.SlotStatus{Name: string(n), State: string(s.State), Version: s.Version, Tries: s.Tries, Unready: s.Unready, Manifest: s.Manifest.String()}
	}
	for _, f := range d.rec.Failed {
		st.Failed = append(st.Failed, bootapi.Failure{Version: f.Version, Manifest: f.Manifest.String()})
	}
	return st, nil
}

func (d *desk) Clear(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fail["clear"]; err != nil {
		return err
	}
	d.clears++
	rec, err := slot.Clear(d.rec, slot.B)
	if err != nil {
		return &bootapi.Error{Kind: bootapi.Conflict, Text: err.Error()}
	}
	d.rec = rec
	return nil
}

func (d *desk) Offer(_ context.Context, anew bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.anew = append(d.anew, anew)
	if err := d.fail["offer"]; err != nil {
		return err
	}
	signed, err := imagerelease.ReadHead(d.disk, partition)
	if err != nil {
		return &bootapi.Error{Kind: bootapi.Refused, Text: err.Error()}
	}
	rel, err := imagerelease.Check(d.w.trust, signed, imagerelease.Register{Hardware: imagerelease.HardwarePC, Floor: d.floor})
	if err != nil {
		return &bootapi.Error{Kind: bootapi.Refused, Text: err.Error()}
	}
	if err := verity.Verify(d.disk, rel.Verity); err != nil {
		return &bootapi.Error{Kind: bootapi.Refused, Text: err.Error()}
	}
	rec, err := slot.Offer(d.rec, slot.B, rel.Version, slot.Manifest(rel.ID), anew)
	if err != nil {
		return &bootapi.Error{Kind: bootapi.Conflict, Text: err.Error()}
	}
	d.rec = rec
	return d.fail["after offer"]
}

func (d *desk) Restart(_ context.Context, reason string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fail["restart"]; err != nil {
		return err
	}
	d.restarts = append(d.restarts, reason)
	return nil
}

// crash refuses what is on trial, as a boot that failed does; the register is back on version 1.
func (d *desk) crash(t testing.TB, reason, reasonJa string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	failed := d.rec.B.Version
	rec, err := slot.Refuse(d.rec, slot.B, reason)
	require.NoError(t, err)
	d.rec, d.fallback = rec, &bootapi.Fallback{Version: failed, Reason: reason, ReasonJa: reasonJa}
}

type openSlot struct{ *frametest.Disk }

func (openSlot) Close() error { return nil }

func (d *desk) open(device string) (Slot, error) {
	if device != "/dev/choba/idle" {
		return nil, os.ErrNotExist
	}
	return openSlot{d.disk}, nil
}

type openVolume struct{ *bytes.Reader }

func (openVolume) Close() error { return nil }

func (d *desk) openRunning() (Volume, error) {
	return openVolume{bytes.NewReader(d.w.running.Bundle[layout.HeadSize:])}, nil
}

// stick is the stick service.
type stick struct {
	mu      sync.Mutex // guards what follows
	state   stickapi.State
	files   source.Fetcher
	plugs   int
	changed chan struct{}
}

func (s *stick) plug(files source.Fetcher) {
	s.mu.Lock()
	s.plugs++
	s.files, s.state = files, stickapi.State{Present: files != nil, Device: fmt.Sprint(s.plugs)}
	s.mu.Unlock()
	s.changed <- struct{}{}
}

func (s *stick) now() (stickapi.State, source.Fetcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.files
}

func (s *stick) Watch(ctx context.Context, fn func(stickapi.State) error) error {
	for {
		state, _ := s.now()
		if err := fn(state); err != nil {
			return err
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errNoStick = &link.Error{Kind: link.Unavailable, Text: "no stick is plugged in"}

func (s *stick) File(ctx context.Context, path string, limit int64) ([]byte, error) {
	_, files := s.now()
	if files == nil {
		return nil, errNoStick
	}
	return files.File(ctx, path, limit)
}

func (s *stick) Range(ctx context.Context, path string, from, n int64) (io.ReadCloser, error) {
	_, files := s.now()
	if files == nil {
		return nil, errNoStick
	}
	return files.Range(ctx, path, from, n)
}

// cable is the network service.
type cable struct {
	mu      sync.Mutex // guards up
	up      bool
	changed chan struct{}
}

func (c *cable) plug(up bool) {
	c.mu.Lock()
	c.up = up
	c.mu.Unlock()
	c.changed <- struct{}{}
}

func (c *cable) Watch(ctx context.Context, fn func(networkapi.State) error) error {
	for {
		c.mu.Lock()
		state := networkapi.State{State: networkapi.NoCable}
		if c.up {
			state.State = networkapi.Ready
		}
		c.mu.Unlock()
		if err := fn(state); err != nil {
			return err
		}
		select {
		case <-c.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// journal remembers what it was handed.
type journal struct {
	mu     sync.Mutex // guards what follows
	events []journalapi.Event
	down   error
}

func (j *journal) Append(_ context.Context, v journalapi.Event) (journalapi.Proof, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.down != nil {
		return journalapi.Proof{}, j.down
	}
	if _, err := v.Normal(); err != nil {
		return journalapi.Proof{}, errors.Join(&link.Error{Kind: link.BadRequest, Text: err.Error()})
	}
	j.events = append(j.events, v)
	return journalapi.Proof{}, nil
}

func (j *journal) kinds() (out []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		out = append(out, e.Kind)
	}
	return out
}

func (j *journal) last(t testing.TB, kind string) map[string]any {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range slices.Backward(j.events) {
		if e.Kind == kind {
			var v map[string]any
			require.NoError(t, json.Unmarshal(e.Content, &v))
			return v
		}
	}
	require.Fail(t, "no event "+kind)
	return nil
}
