package boot

import (
	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/plan"
)

// Stopped is what Run leaves behind when it boots no slot: all that is known, and the
// machine to go on with. PCR 13 holds Recovery then, so that the data key stays shut
// until the next start; whoever goes on ends with World.Restart, or stays for ever, and
// feeds the watchdog meanwhile. A field is zero when Run did not come so far.
type Stopped struct {
	World World

	// Asked: a person asked for recovery. The slots were looked at, but not tried, and
	// the next start takes one again.
	Asked    bool
	Troubles []explain.Trouble // why, in the order in which it was found

	Root   trust.Root                    // zero: the trust list cannot be read, nothing can be redeployed
	Disk   disk.Disk                     // state and both slots at least; factory, boot and data partition when they are there
	Record slot.Record                   // as it is stored; after a lost one slot.Default
	Floor  uint64                        // lowest version that can open the data; 0 = none is known
	Found  map[slot.Name]release.Release // slots that hold a release that verifies, whatever the record says of them
	Open   []string                      // protections that are missing and may be: NoTPM, NoSecureBoot
	Notes  []string                      // what was odd, in English
}

// StoreRecord stores the slot record.
func (s *Stopped) StoreRecord(rec slot.Record) error {
	if err := storeRecord(s.World, s.Disk, rec); err != nil {
		return err
	}
	s.Record = rec
	return nil
}

// Remember appends to the history (image/history): a kind, then names and values in turns.
func (s *Stopped) Remember(kind string, pairs ...string) error {
	return remember(s.World, s.Disk, history.Entry{Kind: kind, Text: history.Text(pairs...)})
}

// stop is what Run does when it boots no slot.
func (b *Boot) stop(troubles ...explain.Trouble) Stopped {
	b.troubles = append(b.troubles, troubles...)
	_ = b.stopping().Run() // no step of it returns an error
	found := map[slot.Name]release.Release{}
	for _, n := range slot.Names() {
		if r, ok := b.found[n]; ok && b.problem[n] == nil {
			found[n] = r
		}
	}
	return Stopped{World: b.world, Asked: b.asked == slot.AskedByPerson && !b.halfReset, Troubles: b.troubles, Root: b.root, Disk: b.disk,
		Record: b.record, Floor: b.floor, Found: found, Open: b.open, Notes: b.notes}
}

func (b *Boot) stopping() plan.Plan {
	return plan.Plan{Title: "stop in recovery", Steps: []plan.Step{
		{Name: "measure recovery into PCR 13, so that the data key stays shut", Do: func() error {
			return b.noteError("recovery is not measured", b.measure(seal.Recovery()))
		}},
		{Name: "write the reasons into the history", Do: func() error {
			b.rememberStop()
			return nil
		}},
		{Name: "look for the other partitions", Do: func() error {
			b.findRest()
			return nil
		}},
	}}
}

// rememberStop writes one record for the stop; those of the slots are written already.
func (b *Boot) rememberStop() {
	reason := "no slot may boot"
	if len(b.troubles) > 0 {
		reason = b.troubles[len(b.troubles)-1].English()
	}
	b.remember(history.Stopped, "reason", reason)
}

// findRest adds the partitions that booting does not need, each when it is there: without the factory release the sales
// can still be saved.
func (b *Boot) findRest() {
	if len(b.disk.Parts) == 0 {
		return
	}
	for _, n := range []string{layout.Factory, layout.ESP, layout.Data} {
		all, err := b.world.FindDisk(layout.State, layout.SlotA, layout.SlotB, n)
		_ = b.noteError("the watchdog is not fed", b.world.FeedWatchdog())
		if err != nil {
			b.note("not every partition is there: %v", err)
			continue
		}
		b.disk.Parts[n] = all.Parts[n]
	}
}
