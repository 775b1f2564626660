package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/init/system"
	"github.com/choba-os/choba/keys/seal"
)

// readRunning reads what the running release says of itself. Recovery has verified it; the root hash ties the text to
// what runs.
func (m *machine) readRunning() error {
	part := m.disk.Parts[layout.SlotPartition(string(m.facts.slot))]
	f, err := os.Open(part.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	signed, err := release.ReadHead(f, part.Size)
	if err != nil {
		return err
	}
	running, err := release.Check(m.trust, signed, release.Register{Hardware: release.HardwarePC})
	if err != nil {
		return err
	}
	if root := running.Verity.Root.String(); root != m.facts.rootHash || running.Version != m.facts.version {
		return fmt.Errorf("slot %s holds version %d with root hash %s, running is version %d with %s",
			m.facts.slot, running.Version, root, m.facts.version, m.facts.rootHash)
	}
	m.running = running
	return nil
}

// ready is called on the supervision's goroutine when every needed service has said that it is ready. A release that
// was kept before is kept again at once; one on trial has some seconds to go.
func (m *machine) ready() {
	at := system.SinceBoot()
	m.console.Say("ready to sell, %.2f s since boot, %.2f s in init", at.Seconds(), (at - m.began).Seconds())
	services := strings.Join(m.readyAfter, ", ")
	m.console.Say("ready after its start: %s", services)
	content := map[string]any{
		"slot": m.facts.slot, "version": m.facts.version, "bootMs": at.Milliseconds(), "initMs": (at - m.began).Milliseconds(),
		"services": services, "trial": m.onTrial.Load(),
	}
	if m.onTrial.Load() {
		m.console.Say("on trial: kept when every service is ready and none fails for %v", m.times.soak)
		m.journal.Add("boot.ready", content)
		return
	}
	go m.keepRelease(content)
}

// healthy is called on the supervision's goroutine when a trial was passed.
func (m *machine) healthy() {
	m.console.Say("health: version %d has passed its trial", m.facts.version)
	go m.keepRelease(map[string]any{"slot": m.facts.slot, "version": m.facts.version, "trial": true,
		"passedMs": system.SinceBoot().Milliseconds()})
}

// keepRelease commits the release, and then does what only a release that has proved itself may do: raise the floor,
// bring the boot partition up to date. It waits for the disk and so runs beside the supervision.
func (m *machine) keepRelease(content map[string]any) {
	if err := m.commit(); err != nil {
		m.console.Say("committing slot %s: %v", m.facts.slot, err)
		content["commit"] = err.Error()
	}
	if err := m.raiseFloor(); err != nil {
		m.console.Say("raising the version floor: %v", err)
		content["floorError"] = err.Error()
	}
	content["floor"] = m.floor.Load()
	if m.committed.Load() {
		m.console.Say("committed: version %d in slot %s, floor %d", m.running.Version, m.facts.slot, m.floor.Load())
	}
	if m.onTrial.Load() {
		m.journal.Add("boot.kept", content)
	} else {
		m.journal.Add("boot.ready", content)
	}
	if m.committed.Load() {
		m.finishBootUpdate()
	}
	m.closeTPM()
}

// commit writes into the slot record that the running release has reached ready. An end of the boot that has begun
// meanwhile comes first: what it wrote down stays.
func (m *machine) commit() error {
	if m.over.Load() {
		return errors.New("the boot ends already")
	}
	_, err := m.change(func(rec slot.Record) (slot.Record, error) {
		return slot.MarkReady(rec, m.facts.slot, m.running.Version, m.running.ID)
	})
	if err == nil {
		m.committed.Store(true)
	}
	return err
}

// floorOf is what the floor should be by now: the lower of two committed versions; 0 while there are not two. The
// record is signed by nobody, so it never counts for more than the running version, which the TPM let open the data.
func floorOf(rec slot.Record, running uint64) uint64 {
	if rec.A.State != slot.Good || rec.B.State != slot.Good {
		return 0
	}
	return min(rec.A.Version, rec.B.Version, running)
}

// raiseFloor brings the TPM's floor up to where the slot record says that it should be. It is called before the door
// closes, for what a power cut left, and after a commit.
func (m *machine) raiseFloor() error {
	if m.tpm == nil {
		return nil
	}
	rec, _, err := m.loadState()
	owner, ok := m.partition.OwnerSecret()
	if to := floorOf(rec, m.facts.version); err == nil && to > 0 && ok {
		err = m.tpm.RaiseFloor(to, owner)
	}
	return errors.Join(err, m.readFloor())
}

// readFloor learns the floor for those who ask later, when the TPM is closed.
func (m *machine) readFloor() error {
	now, err := m.tpm.Floor()
	if err != nil && !errors.Is(err, seal.ErrNoFloor) {
		return err
	}
	if was := m.floor.Swap(now); was != now && was != 0 {
		m.console.Say("the version floor is now %d", now)
	}
	return nil
}

// closeTPM gives the TPM back and forgets its owner's password.
func (m *machine) closeTPM() {
	m.partition.Forget()
	if m.tpm == nil {
		return
	}
	if err := m.tpm.Close(); err != nil {
		m.console.Say("closing the TPM: %v", err)
	}
}
