package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
)

// What begins each copy on the state partition: of a sealed key, and of one that
// lies in the open because the register has no TPM.
const (
	magic      = "CHOBA-KEY-1"
	clearMagic = "CHOBA-CLEAR-1"
)

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

// clearPair has the places of pair: a disk holds the one or the other.
func clearPair() frame.Pair {
	p := pair()
	p.Magic, p.Check = clearMagic, nil
	return p
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
	// Clear is a secret that lies in the open. It is given only where no sealed key
	// can be read: a sealed one is never passed over.
	Clear []byte
	// Left says that a secret still lies in the open beside a sealed key: the power
	// went while it was being sealed. Save removes it.
	Left bool
	// Whole says that both copies could be read.
	Whole bool
	// Trouble says in words which copy could not be read; empty when both could.
	Trouble string
}

// Load reads the sealed keys from the state partition.
func Load(from io.ReaderAt) (Stored, error) {
	found, err := pair().Load(from)
	if blank(found.Problem[0]) && blank(found.Problem[1]) {
		return Stored{}, ErrNone
	}
	open, openErr := clearPair().Load(from)
	if errors.Is(err, frame.ErrUnreadable) && openErr == nil {
		return Stored{Clear: open.Payload}, nil
	}
	if err != nil {
		return Stored{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	s := Stored{Left: openErr == nil, Whole: found.Problem == [2]error{}}
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
		if problem != nil && !blank(problem) && !s.Left {
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

// SaveBeside writes b as the newest key and leaves keep, which must be one of the
// stored ones, where it is.
func SaveBeside(to frame.Device, keep, b Blob) error {
	if err := pair().StoreBeside(to, keep.Encode(), b.Encode()); err != nil {
		return fmt.Errorf("storing sealed key: %w", err)
	}
	return nil
}

// SaveClear writes a secret in the open, for a register without a TPM. It refuses
// where a sealed key lies.
func SaveClear(to frame.Device, secret []byte) error {
	if len(secret) == 0 || len(secret) > MaxSecret {
		return fmt.Errorf("storing key in the open: it has %d bytes, want 1 to %d", len(secret), MaxSecret)
	}
	if stored, err := Load(to); err == nil && len(stored.Blobs) > 0 {
		return errors.New("storing key in the open: there is a sealed one")
	}
	if err := clearPair().Store(to, secret); err != nil {
		return fmt.Errorf("storing key in the open: %w", err)
	}
	return nil
}
