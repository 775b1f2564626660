// Package powercut replays what a register wrote to its disk up to every instant at which the power could have gone,
// and has the product's own code read what is left.
//
// A machine of tests/bench records its writes (QEMU's blklogwrites). Between two flushes a disk may keep any part of
// what it was given, in any order, so the states that are tried are: every prefix, every prefix with the last request
// torn at sectors, and arbitrary subsets of the requests since the last flush, whole or torn. A sector of 512 bytes is
// whole or not there: disks promise that, and everything that a register boots from relies on it.
//
// It is not a model of the register: what a state is worth is said by the packages that will read it after the power
// is back. The rule that keeps it small: a log, a disk made from a part of it, and the enumeration of the parts.
package powercut

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// Sector is the unit that a disk writes whole or not at all, in bytes.
const Sector = 512

// Op is one request to the disk: a write, a flush, or both (the flush first, as the kernel means it).
type Op struct {
	Sector int64
	Data   []byte // whole sectors; empty for a flush alone
	Flush  bool   // everything before is on the disk
	FUA    bool   // this very write is on the disk when it is answered
}

// The format of the log: drivers/md/dm-log-writes.c of Linux.
const (
	logMagic   = 0x6a736677736872
	logVersion = 1

	flagFlush   = 1 << 0
	flagFUA     = 1 << 1
	flagDiscard = 1 << 2
	flagMark    = 1 << 3
)

// ReadLog reads a log to its end. The number of entries in its head is not believed: QEMU brings it up to date only
// when it ends cleanly, and a machine whose plug is pulled does not.
func ReadLog(path string) ([]Op, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the log of writes: %w", err)
	}
	ops, err := parseLog(b)
	if err != nil {
		return nil, fmt.Errorf("reading the log of writes %s: %w", path, err)
	}
	return ops, nil
}

func parseLog(b []byte) ([]Op, error) {
	if len(b) < Sector || binary.LittleEndian.Uint64(b) != logMagic || binary.LittleEndian.Uint64(b[8:]) != logVersion {
		return nil, errors.New("not a log of writes, version 1")
	}
	unit := int(binary.LittleEndian.Uint32(b[24:]))
	if unit != Sector {
		return nil, fmt.Errorf("sectors of %d bytes, want %d", unit, Sector)
	}
	var ops []Op
	for at := Sector; at+Sector <= len(b); {
		sector, count := binary.LittleEndian.Uint64(b[at:]), binary.LittleEndian.Uint64(b[at+8:])
		flags, size := binary.LittleEndian.Uint64(b[at+16:]), binary.LittleEndian.Uint64(b[at+24:])
		at += Sector
		if flags&flagMark != 0 {
			at += int((size + Sector - 1) / Sector * Sector)
			continue
		}
		if flags&flagDiscard != 0 {
			return nil, fmt.Errorf("entry %d: a discard; nothing of ours discards", len(ops))
		}
		n := int(count) * Sector
		if count > 1<<20 || at+n > len(b) {
			return ops, nil // the machine was cut while it wrote the log itself
		}
		op := Op{Sector: int64(sector), Data: b[at : at+n], Flush: flags&flagFlush != 0, FUA: flags&flagFUA != 0}
		if n > 0 || op.Flush {
			ops = append(ops, op)
		}
		at += n
	}
	return ops, nil
}
