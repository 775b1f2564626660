// Package watchdog opens the machine's watchdog timer and feeds it: a hardware
// timer when there is one, the kernel's own (softdog) otherwise.
//
// It is not a health check: whoever feeds decides when the machine is well.
//
// The rule that keeps it small: one timer, never stopped. The kernel is built
// with NOWAYOUT, so closing the file or ending the process does not stop it
// either; the next program opens it again within the timeout.
package watchdog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNone: the machine has no watchdog at all, not even the kernel's.
var ErrNone = errors.New("no watchdog timer")

// Identities that matter. softdog is the kernel's own timer, which cannot help when
// the kernel itself is stuck. iTCO resets at its second expiry: it gets half the time
// (tried in QEMU: 30 s set, reset after 60; drivers/watchdog/iTCO_wdt.c).
const (
	softdog = "Software Watchdog"
	itco    = "iTCO_wdt"
)

// Choice is a watchdog that sysfs shows.
type Choice struct {
	Name     string // e.g. "watchdog0": its node under /dev
	Identity string // as its driver calls it
}

// Hardware says whether the timer runs outside the kernel.
func (c Choice) Hardware() bool { return c.Identity != softdog }

// Tells says whether the timer's driver can tell after a reset that it was this timer.
// Linux 6.12 drops what the iTCO chip knows, and softdog forgets with its kernel.
func (c Choice) Tells() bool { return c.Identity != softdog && c.Identity != itco }

// expiries is how often the timer runs off before it resets the machine.
func (c Choice) expiries() time.Duration {
	if c.Identity == itco {
		return 2
	}
	return 1
}

// program is what the timer is set to, in whole seconds of one expiry, so that it acts
// no later than after timeout.
func (c Choice) program(timeout time.Duration) int {
	return max(1, int(timeout/c.expiries()/time.Second))
}

// Dog is an open, running watchdog.
type Dog struct {
	Choice
	// Timeout is the time from the last feed to the reset, as the timer was really set.
	Timeout time.Duration
	fd      int
}

// Choose picks the timer: hardware over softdog, then by number. root is "/" on
// the machine.
func Choose(root string) (Choice, error) {
	all, err := list(root)
	if err != nil {
		return Choice{}, err
	}
	if len(all) == 0 {
		return Choice{}, ErrNone
	}
	return all[0], nil
}

// list are all timers that sysfs shows, the best first.
func list(root string) ([]Choice, error) {
	dir := filepath.Join(root, "sys/class/watchdog")
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listing watchdogs: %w", err)
	}
	var all []Choice
	for _, e := range entries {
		id, err := os.ReadFile(filepath.Join(dir, e.Name(), "identity"))
		if err != nil {
			continue // it went away, or its driver tells no identity: not ours to use
		}
		all = append(all, Choice{Name: e.Name(), Identity: strings.TrimSpace(string(id))})
	}
	sort.SliceStable(all, func(i, j int) bool {
		if all[i].Hardware() != all[j].Hardware() {
			return all[i].Hardware()
		}
		return number(all[i].Name) < number(all[j].Name)
	})
	return all, nil
}

// Fired returns the identity of the timer that caused the last reset of the machine, or
// "" when none says so: a power cut, an ordered restart, a panic, or a timer that does
// not tell. Its driver asked the chip when it was probed and cleared the answer, so only
// the first kernel after a reset sees it. It opens no timer and starts none.
func Fired(root string) (identity string, err error) {
	all, err := list(root)
	if err != nil {
		return "", err
	}
	for _, c := range all {
		// The kernel's struct watchdog_device.bootstatus in decimal, as WDIOC_GETBOOTSTATUS.
		text, err := os.ReadFile(filepath.Join(root, "sys/class/watchdog", c.Name, "bootstatus"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("asking watchdog %s for the last reset: %w", c.Identity, err)
		}
		status, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
		if err != nil {
			return "", fmt.Errorf("asking watchdog %s for the last reset: %w", c.Identity, err)
		}
		if c.Tells() && status&unix.WDIOF_CARDRESET != 0 {
			return c.Identity, nil
		}
	}
	return "", nil
}

func number(name string) (n int) {
	_, _ = fmt.Sscanf(name, "watchdog%d", &n)
	return n
}

// Open starts the timer that Choose picks and sets it so that it resets the machine no
// later than timeout after the last feed, in whole seconds. It must be fed from now on,
// for ever.
func Open(root string, timeout time.Duration) (*Dog, error) {
	c, err := Choose(root)
	if err != nil {
		return nil, fmt.Errorf("opening watchdog: %w", err)
	}
	path := filepath.Join(root, "dev", c.Name)
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening watchdog %s (%s): %w", path, c.Identity, err)
	}
	d := &Dog{Choice: c, fd: fd}
	if err := unix.IoctlSetPointerInt(fd, unix.WDIOC_SETTIMEOUT, c.program(timeout)); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return nil, errors.Join(fmt.Errorf("setting watchdog %s to %v: %w", c.Identity, timeout, err), d.Close())
	}
	seconds, err := unix.IoctlGetInt(fd, unix.WDIOC_GETTIMEOUT)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading timeout of watchdog %s: %w", c.Identity, err), d.Close())
	}
	d.Timeout = time.Duration(seconds) * time.Second * c.expiries()
	if err := d.Feed(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Feed starts the timeout anew.
func (d *Dog) Feed() error {
	if _, err := unix.Write(d.fd, []byte{0}); err != nil {
		return fmt.Errorf("feeding watchdog %s: %w", d.Identity, err)
	}
	return nil
}

// Close closes the file without stopping the timer; an exec does it as well.
func (d *Dog) Close() error { return unix.Close(d.fd) }
