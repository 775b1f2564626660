package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
)

// magic begins each copy on the state partition.
const magic = "CHOBA-KEY-1"

// pair counts a copy only when its blob can be read: what other software left
// there must not push out a key that opens.
func pair() frame.Pair {
	return frame.Pair{
		Magic:  magic,
		Offset: [2]int64{layout.SealedCopy1, layout.SealedCopy2},
		Size:   layout.SealedSize,
		Check: func(payload []byte) error {
			_, err := ParseBlob(payload)
			return err
		},
	}
}

// ErrNone: no key was ever sealed on this disk; both copies are blank.
var ErrNone = errors.New("no sealed key on the disk")

// ErrDamaged: something was written, and none of it can be read. It is never
// to be taken for a first boot.
var ErrDamaged = errors.New("both copies of the sealed key are unreadable")

// Stored is what the disk holds.
type Stored struct {
	// Blobs has one or two keys, the newest first. The older is of use when
	// the power went between sealing to a new boot image and starting it.
	Blobs []Blob
	// Trouble says in words which copy could not be read; empty when both could.
	Trouble string
}

// Load reads the sealed keys from the state partition.
func Load(from io.ReaderAt) (Stored, error) {
	found, err := pair().Load(from)
	if blank(found.Problem[0]) && blank(found.Problem[1]) {
		return Stored{}, ErrNone
	}
	if err != nil {
		return Stored{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	var s Stored
	payloads := [][]byte{found.Payload}
	if found.Older != nil && !bytes.Equal(found.Older, found.Payload) {
		payloads = append(payloads, found.Older)
	}
	for _, payload := range payloads {
		b, err := ParseBlob(payload)
		if err != nil {
			return Stored{}, err
		}
		s.Blobs = append(s.Blobs, b)
	}
	for i, problem := range found.Problem {
		if problem != nil && !blank(problem) {
			s.Trouble = fmt.Sprintf("copy %d of the sealed key: %v", i+1, problem)
		}
	}
	return s, nil
}

func blank(problem error) bool { return errors.Is(problem, frame.ErrEmpty) }

// Save writes b as the newest key over the older or unreadable copy, and the
// first key of a disk into both. The other copy is left alone: whenever the
// power goes, one of them is whole.
func Save(to frame.Device, b Blob) error {
	if err := pair().Store(to, b.Encode()); err != nil {
		return fmt.Errorf("storing sealed key: %w", err)
	}
	return nil
}
