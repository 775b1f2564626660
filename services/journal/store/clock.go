package store

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const bootID = "/proc/sys/kernel/random/boot_id"

// SystemClock is the machine's clock. exact is false when the kernel's number for the boot cannot be read: then a
// random one stands for it, and every start of the journal counts as a boot of its own. No rule of the log depends on
// the difference.
func SystemClock() (clock Clock, exact bool) {
	clock.Now = func() (time.Time, int64) {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
			panic("the kernel has no clock: " + err.Error())
		}
		return time.Now(), ts.Nano()
	}
	if text, err := os.ReadFile(bootID); err == nil && len(strings.TrimSpace(string(text))) == 36 {
		clock.Boot = strings.TrimSpace(string(text))
		return clock, true
	}
	var id [16]byte
	rand.Read(id[:]) // never fails
	clock.Boot = hex.EncodeToString(id[:])
	return clock, false
}
