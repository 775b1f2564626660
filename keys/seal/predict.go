package seal

import (
	"crypto/sha256"
	"errors"
	"fmt"
)

// Why the PCR of another boot image cannot be told in advance.
var (
	ErrEvents   = errors.New("the firmware's event log does not lead to the present PCR 4")
	ErrNotInLog = errors.New("the boot image that is to be replaced is not in the firmware's event log")
)

// PredictImage is PCR 4 after the file on the boot partition, whose Authenticode
// hash is old, was replaced by one with hash new. events are the digests that the
// firmware's log has for PCR 4, in order; now is the present value, which they must
// lead to. The last event that is old changes; all others are taken to happen
// again. Errors: ErrEvents, ErrNotInLog.
func PredictImage(events []Digest, now Digest, old, new [32]byte) (Digest, error) {
	if replay(events) != now {
		return Digest{}, fmt.Errorf("predicting PCR 4: %w: got %s, want %s", ErrEvents, replay(events), now)
	}
	for i := len(events) - 1; i >= 0; i-- {
		if events[i] == old {
			next := append([]Digest{}, events...)
			next[i] = new
			return replay(next), nil
		}
	}
	return Digest{}, fmt.Errorf("predicting PCR 4: %w: %s", ErrNotInLog, Digest(old))
}

func replay(events []Digest) (v Digest) {
	for _, e := range events {
		v = sha256.Sum256(append(v[:], e[:]...))
	}
	return v
}
