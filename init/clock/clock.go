// Package clock says whether the machine's clock can be believed at boot.
//
// It is not a time service and sets nothing: a register with an empty clock battery goes on selling, and every entry of its journal also carries
// the time since boot. Authenticated time is the network service's. The rule that keeps it small: one comparison.
package clock

import (
	"fmt"
	"time"
)

// Earliest is a day on which this source was already written: a clock before it is certainly wrong. It is raised now
// and then by hand; the build itself has no date, so that it can be repeated byte for byte.
func Earliest() time.Time { return time.Date(2026, time.October, 1, 0, 0, 0, 0, time.UTC) }

// horizon is how far behind Earliest a clock may be believed: longer than a register is in use.
const horizon = 30 * 365 * 24 * time.Hour

// Check says why now cannot be right, or nil. last is the latest time that this register is known to have seen, or
// the zero time.
func Check(now, last time.Time) error {
	now, last = now.UTC(), last.UTC()
	switch {
	case now.Before(Earliest()):
		return fmt.Errorf("it shows %s, which is before this software was written", now.Format(time.DateTime))
	case now.After(Earliest().Add(horizon)):
		return fmt.Errorf("it shows %s, which is too far away", now.Format(time.DateTime))
	case now.Before(last.Add(-time.Minute)):
		return fmt.Errorf("it shows %s, but %s was already seen", now.Format(time.DateTime), last.Format(time.DateTime))
	}
	return nil
}
