// Package fat reads FAT12, FAT16, FAT32 and exFAT volumes that anybody may have made, and changes such a volume in two ways
// only: it replaces a file (the boot image on the ESP) and it adds one (what is exported to a stick).
//
// The reader is for sticks out of a stranger's pocket: every chain, folder and name is bounded, nothing is allocated by
// a header's word, and what cannot be right is an error, never a guess. Two names for one thing are refused too.
//
// A power cut at any instant leaves the file of before or the file of after. That stands on one assumption about the
// disk: a 512-byte sector is written whole or not at all, and what was written before a flush that returned is there.
// Between two flushes sectors may reach the disk in any order, or not at all. Replace therefore goes:
//
//	free clusters that nothing refers to (an earlier cut left them)   flush
//	the new content into free clusters                                flush, read back, compare
//	its chain into both tables                                        flush
//	one sector of the folder: first cluster and size                  flush   ← the instant
//	the old chain out of both tables                                  flush
//	the free-cluster hint                                             flush
//
// It is not a file system: it makes no folder, deletes and renames nothing, never writes FAT12 or exFAT. The rule that
// keeps it small: one change is one sector, everything before it is invisible and everything after it is tidying.
package fat

import (
	"errors"

	"io/fs"
)

// Why a volume or a file cannot be used. Other errors are the disk's own.
var (
	ErrNotFAT  = errors.New("not a FAT file system")      // the text says what it is, where that is known
	ErrDamaged = errors.New("the file system is damaged") // or made to mislead
	ErrMissing = fs.ErrNotExist
	ErrExists  = fs.ErrExist
	ErrFull    = errors.New("no room on the file system")
	ErrName    = errors.New("not a name for a file here")
)
