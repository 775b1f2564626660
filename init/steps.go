package main

import (
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/drivers/watchdog"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/init/audit"
	"github.com/choba-os/choba/init/button"
	"github.com/choba-os/choba/init/clock"
	"github.com/choba-os/choba/init/data"
	"github.com/choba-os/choba/init/fill"
	"github.com/choba-os/choba/init/nodes"
	"github.com/choba-os/choba/init/system"
	"github.com/choba-os/choba/init/volume"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
	bootapi "github.com/choba-os/choba/services/boot/api"
	"github.com/choba-os/choba/services/table"
)

// Where things lie.
const (
	cgroupRoot = "/sys/fs/cgroup"
	trustFile  = "/etc/choba/trust.txt"
	emptyFile  = "/share/empty.ext4.gz"
	dataDir    = "/data"
	diskWait   = 10 * time.Second
)

func (m *machine) takeWatchdog() error {
	dog, err := watchdog.Open("/", dogTime)
	if err != nil {
		return err
	}
	m.dogMu.Lock()
	defer m.dogMu.Unlock()
	m.dog = dog
	m.console.Say("watchdog %s, %v", dog.Identity, dog.Timeout)
	return nil
}

func (m *machine) readFacts() (err error) {
	if m.facts, err = parseFacts(m.environ); err == nil {
		m.console.Say("%s", m.facts)
	}
	return err
}

// checkClock knows no earlier time yet: the data is closed. What the journal has seen, the journal compares.
func (m *machine) checkClock() error {
	if m.clock = clock.Check(time.Now(), time.Time{}); m.clock != nil {
		return fmt.Errorf("clock not sure: %w", m.clock)
	}
	return nil
}

func (m *machine) readTables() error {
	text, err := os.ReadFile(trustFile)
	if err != nil {
		return err
	}
	if m.trust, err = trust.Parse(text); err != nil {
		return err
	}
	m.table, err = table.Load(table.Path)
	return err
}

func (m *machine) findDisk() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), diskWait)
	defer cancel()
	if m.disk, err = disk.Wait(ctx, "/", layout.State, layout.Data, layout.SlotPartition(string(m.facts.slot))); err != nil {
		return err
	}
	state, err := os.OpenFile(m.disk.Parts[layout.State].Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	m.state = state
	m.haveState.Store(true)
	// The other slot may be missing on a damaged disk: the register sells, and cannot be updated.
	other := layout.SlotPartition(string(m.facts.slot.Other()))
	if both, err := disk.Find("/", layout.State, other); err == nil {
		m.idle = both.Parts[other]
	} else {
		m.console.Say("%v", err)
	}
	return nil
}

// fillDisk lets the data partition take what the disk has more than the image that was flashed: at the first boot, and
// after the disk was copied onto a larger one.
func (m *machine) fillDisk() error {
	was := m.disk.Parts[layout.Data]
	part, err := fill.Disk("/dev/"+m.disk.Name, was)
	if part.Size != was.Size {
		m.disk.Parts[layout.Data] = part
		m.console.Say("the data partition now has %d MiB", part.Size/layout.MiB)
	}
	return err
}

// openTPM goes on without a TPM only where both say so: recovery, which knows the machine, and the trust list of this
// release.
func (m *machine) openTPM() error {
	t, err := seal.Open(seal.Device)
	if err == nil {
		m.tpm = t
		return nil
	}
	if m.trust.NoTPM != trust.Sell || !m.facts.without(bootapi.NoTPM) {
		return err
	}
	m.console.Say("INSECURE: no TPM protects the data key: %v", err)
	return nil
}

func (m *machine) unlock() error {
	part := m.disk.Parts[layout.Data]
	raw, err := os.OpenFile(part.Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	m.volume = volume.New(part.Path, part.Size, dataDir)
	m.atEnd("closing the data", m.volume.Close)
	parts := data.Parts{
		State: m.state, Disk: raw, Random: rand.Reader, Volume: m.volume, Empty: openEmpty,
		NoTPM: m.trust.NoTPM == trust.Sell, Escrow: m.trust.Escrow,
		By:       seal.Approval{Key: m.trust.PCR, RootHash: m.facts.rootHash, Version: m.facts.version, Signature: m.facts.approval},
		Say:      func(s string) { m.console.Say("%s", s) },
		Progress: m.feed,
	}
	if m.tpm != nil {
		parts.TPM = m.tpm
	}
	m.partition = data.New(parts)
	err = m.partition.Unlock()
	var last time.Time
	if m.rebound, last = m.partition.Rebound(); m.rebound > 0 {
		m.console.Say("the data key was bound anew with a recovery code: %d in all, last at %s", m.rebound, last.UTC().Format(time.RFC3339))
	}
	return err
}

// closeDoor makes the data key unreachable for the rest of this boot, whatever happened before. The TPM itself stays
// open until the release is kept: the floor rises then.
func (m *machine) closeDoor() error {
	if m.tpm == nil { // there is none, or the plan broke off before it was opened
		if err := m.openTPM(); err != nil || m.tpm == nil {
			return err
		}
	}
	return m.tpm.Measure(seal.DoorClosed())
}

// emptyFS reads the empty file system that the image ships.
type emptyFS struct {
	*gzip.Reader
	file *os.File
}

func (e emptyFS) Close() error { return errors.Join(e.Reader.Close(), e.file.Close()) }

func openEmpty() (io.ReadCloser, error) {
	f, err := os.Open(emptyFile)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", emptyFile, err), f.Close())
	}
	return emptyFS{z, f}, nil
}

func (m *machine) giveDevices() (err error) {
	if err := nodes.Folders(m.table); err != nil {
		return err
	}
	m.watcher, err = nodes.Watch(m.table, func(s string) { m.console.Say("%s", s) })
	if err != nil {
		return err
	}
	if err := m.watcher.Scan(); err != nil {
		return err
	}
	go func() {
		if err := m.watcher.Run(context.Background()); err != nil {
			m.console.Say("%v", err)
			m.journal.Add("service.devices", map[string]string{"error": err.Error()})
		}
	}()
	return nil
}

// giveIdleSlot makes the nodes by which the update service writes the idle slot and reads the running one, while init may
// still make nodes.
func (m *machine) giveIdleSlot() error {
	if m.idle.Path == "" {
		return errors.New("the other slot's partition is missing")
	}
	if err := nodes.Running(m.table, m.disk.Parts[layout.SlotPartition(string(m.facts.slot))].Path, table.RunningNode); err != nil {
		m.console.Say("%v; an update fetches more than it need", err)
	}
	return nodes.Idle(m.table, m.idle.Path, table.IdleNode)
}

func (m *machine) listenForRefusals() error {
	r, err := audit.Listen()
	if err != nil {
		return err
	}
	go func() {
		err := r.Run(context.Background(), func(x audit.Refusal) {
			m.console.Say("refused to execute %s for %s (process %d)", x.Path, x.Process, x.PID)
			m.journal.Add("exec.refused", x)
		})
		m.console.Say("%v", err)
	}()
	return nil
}

// listenForPower lets the machine's own power button switch it off in order.
func (m *machine) listenForPower() error {
	found, err := button.Find("/")
	if err != nil {
		return err
	}
	for _, node := range found {
		f, err := os.Open(node)
		if err != nil {
			return err
		}
		go func() {
			err := button.Listen(f, func() { m.wish(wish{system.PowerOff, "power button"}) })
			m.console.Say("%v", err)
		}()
	}
	return nil
}

func (m *machine) openData() error { return m.partition.Open() }

// makeFolders gives each service that keeps data a folder that is its own.
func (m *machine) makeFolders() error {
	if err := os.Chmod(dataDir, 0o711); err != nil {
		return err
	}
	for _, r := range m.table.Rows() {
		if r.Data == "" {
			continue
		}
		if err := os.Mkdir(r.Data, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if err := os.Lchown(r.Data, int(r.UID), int(r.UID)); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) giveUpRights() error { return system.GiveUp(system.Kept()) }
