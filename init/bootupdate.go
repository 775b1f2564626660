package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/image/fat"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/init/data"
	"github.com/choba-os/choba/init/espupdate"
	"github.com/choba-os/choba/init/offer"
	"github.com/choba-os/choba/keys/seal"
)

// bootUpdate is this boot's update of the boot partition, if there is one.
type bootUpdate struct {
	job     espupdate.Job
	problem error // why there is none although the boot took a jump
}

// prepareBootUpdate seals the data key to the boot image of the running release, when the boot partition has another
// one. It runs before the door closes. A release on trial changes nothing that the other one needs.
func (m *machine) prepareBootUpdate() error {
	rec, _, err := m.loadState()
	if err != nil || !m.bootFileWanted(rec) {
		return err
	}
	found, err := disk.Find("/", layout.State, layout.ESP)
	if err != nil {
		return err
	}
	image, err := os.ReadFile(offer.BootPath)
	if err != nil {
		return err
	}
	part := found.Parts[layout.ESP]
	return m.prepareBootFile(bootFile{part.Path, part.Size}, image)
}

func (m *machine) prepareBootFile(file espupdate.File, image []byte) error {
	p := espupdate.Parts{File: file, State: m.state, Events: m.facts.events, Version: m.running.Version, New: image}
	if m.tpm != nil {
		p.Keys = bootKeys{m.tpm, m.partition}
	}
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	m.boot.job, m.boot.problem = espupdate.Prepare(p)
	return m.boot.problem
}

// bootFileWanted says whether the boot partition is this release's to write: it was kept before, nothing newer is, and
// it is either started by a jump, or an earlier update has to be brought to its end.
func (m *machine) bootFileWanted(rec slot.Record) bool {
	own, other := rec.Slot(m.facts.slot), rec.Slot(m.facts.slot.Other())
	if own.State != slot.Good || other.State == slot.Good && other.Version > own.Version {
		return false
	}
	past := espupdate.Load(m.state).State
	return m.facts.jumped || past != espupdate.None && past != espupdate.Done
}

// finishBootUpdate writes the boot partition, when the release has proved itself; where nothing is to be written, both
// copies of the sealed key become the one that opened today.
func (m *machine) finishBootUpdate() {
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	if m.boot.problem != nil {
		m.journal.Add("boot.file", map[string]any{"version": m.facts.version, "error": m.boot.problem.Error()})
	}
	if !m.boot.job.Due() {
		if err := m.partition.Heal(); err != nil {
			m.console.Say("%v", err)
		}
		return
	}
	done := make(chan struct{})
	defer close(done)
	m.atEnd("finishing the boot partition", func() error { <-done; return nil })
	content := map[string]any{"version": m.facts.version, "state": espupdate.Written}
	if err := m.boot.job.Write(); err != nil {
		m.console.Say("%v", err)
		content["state"], content["error"] = espupdate.Load(m.state).State, err.Error()
	} else {
		m.console.Say("the boot partition now has the boot image of version %d", m.facts.version)
	}
	m.boot.job = espupdate.Job{} // the image is large
	m.journal.Add("boot.file", content)
}

// bootKeys is the sealed key for an update of the boot partition.
type bootKeys struct {
	tpm       *seal.TPM
	partition *data.Partition
}

func (k bootKeys) Now() (seal.Boot, error)     { return k.tpm.Boot() }
func (k bootKeys) Reseal(next seal.Boot) error { return k.partition.Reseal(next) }

// bootFile is the boot image on the boot partition, which nobody mounts.
type bootFile struct {
	path string
	size int64
}

// maxBootFile bounds what is read from the boot partition, in bytes.
const maxBootFile = 48 << 20

// Read reads it from the disk, not from what the kernel remembers of it.
func (b bootFile) Read() (image []byte, err error) {
	err = b.with(os.O_RDONLY, func(f *os.File) error {
		if err := unix.IoctlSetInt(int(f.Fd()), unix.BLKFLSBUF, 0); err != nil {
			return err
		}
		v, err := fat.Open(f, b.size)
		if err != nil {
			return err
		}
		file, err := v.Open(layout.BootFile)
		if err != nil {
			return err
		}
		if file.Size() > maxBootFile {
			return fmt.Errorf("%s has %d bytes", layout.BootFile, file.Size())
		}
		image = make([]byte, file.Size())
		_, err = io.ReadFull(io.NewSectionReader(file, 0, file.Size()), image)
		return err
	})
	return image, err
}

// Replace replaces it in one instant.
func (b bootFile) Replace(content []byte) error {
	return b.with(os.O_RDWR, func(f *os.File) error {
		return fat.Replace(f, b.size, layout.BootFile, bytes.NewReader(content), int64(len(content)))
	})
}

func (b bootFile) with(flags int, do func(*os.File) error) error {
	f, err := os.OpenFile(b.path, flags, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(do(f), f.Close()); err != nil {
		return fmt.Errorf("boot partition: %w", err)
	}
	return nil
}
