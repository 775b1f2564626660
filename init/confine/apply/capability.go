package apply

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// capabilities turns the names of rights into the kernel's numbers.
func capabilities(rights []string) ([]int, error) {
	number := map[string]int{"net_admin": unix.CAP_NET_ADMIN, "net_raw": unix.CAP_NET_RAW}
	var out []int
	for _, r := range rights {
		n, known := number[r]
		if !known {
			return nil, fmt.Errorf("right %s is not known", r)
		}
		out = append(out, n)
	}
	return out, nil
}

// bound takes everything but keep out of the bounding set: no program that the service could start has more.
func bound(keep []int) error {
	last, err := lastCap()
	if err != nil {
		return err
	}
	for c := 0; c <= last; c++ {
		if slices.Contains(keep, c) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
			return fmt.Errorf("dropping capability %d: %w", c, err)
		}
	}
	return nil
}

// raise puts keep into the ambient set, from which execve gives it to the service. It comes before the securebits close
// that set; the change of user leaves it alone because of them.
func raise(keep []int) error {
	if len(keep) == 0 {
		return nil
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var now [2]unix.CapUserData
	if err := unix.Capget(&hdr, &now[0]); err != nil {
		return fmt.Errorf("reading capabilities: %w", err)
	}
	inherit := capSets(nil, keep)
	for i := range now {
		now[i].Inheritable = inherit[i].Inheritable
	}
	if err := unix.Capset(&hdr, &now[0]); err != nil {
		return fmt.Errorf("making capabilities inheritable: %w", err)
	}
	for _, c := range keep {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(c), 0, 0); err != nil {
			return fmt.Errorf("keeping capability %d: %w", c, err)
		}
	}
	return nil
}

// capSets are the kernel's sets with these capabilities in them, permitted and effective alike.
func capSets(have, inherit []int) [2]unix.CapUserData {
	var out [2]unix.CapUserData
	for _, c := range have {
		out[c/32].Permitted |= 1 << (c % 32)
		out[c/32].Effective |= 1 << (c % 32)
	}
	for _, c := range inherit {
		out[c/32].Inheritable |= 1 << (c % 32)
	}
	return out
}

// lastCap is the highest capability that the running kernel knows.
func lastCap() (int, error) {
	for c := 0; c < 64; c++ {
		_, _, e := unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0, 0)
		if e == unix.EINVAL {
			return c - 1, nil
		}
		if e != 0 {
			return 0, fmt.Errorf("asking for capability %d: %w", c, e)
		}
	}
	return 63, nil
}
