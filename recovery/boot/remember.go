package boot

import (
	"errors"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/slot"
)

// remember appends to the history. A register whose history cannot be written still
// sells. What is found before there is a disk waits for it.
func (b *Boot) remember(kind string, pairs ...string) {
	e := history.Entry{Kind: kind, Wall: b.world.Now(), Text: history.Text(pairs...)}
	if len(b.disk.Parts) == 0 {
		b.late = append(b.late, e)
		return
	}
	for _, e := range append(b.late, e) {
		_ = b.noteError("the history is not written", remember(b.world, b.disk, e))
	}
	b.late = nil
}

func remember(w World, d disk.Disk, e history.Entry) error {
	return withState(w, d, func(state Partition) error {
		all, err := history.Load(state)
		if err != nil {
			return err
		}
		if e.Kind == history.Passed && known(all, e) || e.Kind == history.Stopped && known(history.Fresh(all), e) {
			return nil // a register that waits for a person starts again every few minutes
		}
		if e.Wall.IsZero() {
			e.Wall = w.Now()
		}
		return history.Append(state, e)
	})
}

// known says whether this is the last thing that was written of its kind, or the one
// before: each slot may be passed over for its own lasting reason, at every boot.
func known(all []history.Entry, e history.Entry) bool {
	seen := 0
	for i := len(all) - 1; i >= 0 && seen < len(slot.Names()); i-- {
		if all[i].Kind != e.Kind {
			continue
		}
		if all[i].Text == e.Text {
			return true
		}
		seen++
	}
	return false
}

// storeRecord stores the slot record, durably.
func (b *Boot) storeRecord(rec slot.Record) error {
	if err := storeRecord(b.world, b.disk, rec); err != nil {
		return err
	}
	b.record = rec
	return nil
}

func storeRecord(w World, d disk.Disk, rec slot.Record) error {
	return withState(w, d, func(state Partition) error { return slot.Store(state, rec) })
}

func withState(w World, d disk.Disk, do func(Partition) error) error {
	p, ok := d.Parts[layout.State]
	if !ok {
		return disk.ErrAbsent
	}
	state, err := w.Open(p.Path, true)
	if err != nil {
		return err
	}
	return errors.Join(do(state), state.Close())
}
