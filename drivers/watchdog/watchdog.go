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
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNone: the machine has no watchdog at all, not even the kernel's.
var ErrNone = errors.New("no watchdog timer")

// softdog is the identity of the kernel's own timer, which cannot help when
// the kernel itself is stuck.
const softdog = "Software Watchdog"

// Choice is a watchdog that sysfs shows.
type Choice struct {
	Name     string // e.g. "watchdog0": its node under /dev
	Identity string // as its driver calls it
}

// Hardware says whether the timer runs outside the kernel.
func (c Choice) Hardware() bool { return c.Identity != softdog }

// Dog is an open, running watchdog.
type Dog struct {
	Choice
	// Timeout is what the timer was really set to. Some chips (iTCO) only act
	// at the second expiry: count on up to twice this time.
	Timeout time.Duration
	fd      int
}

// Choose picks the timer: hardware over softdog, then by number. root is "/" on
// the machine.
func Choose(root string) (Choice, error) {
	dir := filepath.Join(root, "sys/class/watchdog")
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Choice{}, fmt.Errorf("listing watchdogs: %w", err)
	}
	var all []Choice
	for _, e := range entries {
		id, err := os.ReadFile(filepath.Join(dir, e.Name(), "identity"))
		if err != nil {
			continue // it went away, or its driver tells no identity: not ours to use
		}
		all = append(all, Choice{Name: e.Name(), Identity: strings.TrimSpace(string(id))})
	}
	if len(all) == 0 {
		return Choice{}, ErrNone
	}
	sort.SliceStable(all, func(i, j int) bool {
		if all[i].Hardware() != all[j].Hardware() {
			return all[i].Hardware()
		}
		return number(all[i].Name) < number(all[j].Name)
	})
	return all[0], nil
}

func number(name string) (n int) {
	_, _ = fmt.Sscanf(name, "watchdog%d", &n)
	return n
}

// Open starts the timer that Choose picks and sets its timeout, in whole seconds.
// It must be fed within the timeout from now on, for ever.
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
	if err := unix.IoctlSetPointerInt(fd, unix.WDIOC_SETTIMEOUT, int(timeout/time.Second)); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return nil, errors.Join(fmt.Errorf("setting watchdog %s to %v: %w", c.Identity, timeout, err), d.Close())
	}
	seconds, err := unix.IoctlGetInt(fd, unix.WDIOC_GETTIMEOUT)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading timeout of watchdog %s: %w", c.Identity, err), d.Close())
	}
	d.Timeout = time.Duration(seconds) * time.Second
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
