package table

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
)

// made says whether s has from one to most letters, all of these. (Written out because every process of a register
// reads the table when it starts, and compiled expressions would cost each of them time.)
func made(s string, most int, of string) bool {
	return s != "" && len(s) <= most && strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune(of, r) }) < 0
}

func isName(s string) bool {
	return made(s, 31, lower+digits+"-") && strings.Contains(lower, s[:1])
}

// isPrefix: words that each end in a full stop.
func isPrefix(s string) bool {
	rest, ok := strings.CutSuffix(s, ".")
	for word := range strings.SplitSeq(rest, ".") {
		ok = ok && isName(word)
	}
	return ok
}

func isArgument(s string) bool { return made(s, 64, lower+strings.ToUpper(lower)+digits+"=/._-") }

// Groups are the system call groups that a row may ask for beyond the common list; init/confine says what is in them.
func Groups() []string {
	return []string{"drm", "exec", "inet", "input", "net", "netlink", "serial", "usbfs", "usbguard"}
}

// Rights are the capabilities that a row may keep; every one of them needs a reason in docs/formats/table.md.
func Rights() []string { return []string{"net_admin", "net_raw"} }

// maxRows keeps a table small enough to be read by a person.
const maxRows = 64

// check refuses a table that init could not carry out, or that lets trust run uphill.
func check(rows []Row) error {
	if len(rows) == 0 || len(rows) > maxRows {
		return fmt.Errorf("%d rows, want 1 … %d", len(rows), maxRows)
	}
	names, uids, data := map[string]int{}, map[uint32]string{}, map[string]string{}
	for i, r := range rows {
		if err := checkRow(r); err != nil {
			return fmt.Errorf("row %d (%q): %w", i+1, r.Name, err)
		}
		if _, twice := names[r.Name]; twice {
			return fmt.Errorf("row %d (%q): the name is there twice", i+1, r.Name)
		}
		if other, twice := uids[r.UID]; twice {
			return fmt.Errorf("row %d (%q): uid %d is already %q", i+1, r.Name, r.UID, other)
		}
		if other, twice := data[r.Data]; twice && r.Data != "" {
			return fmt.Errorf("row %d (%q): %s is already %q's", i+1, r.Name, r.Data, other)
		}
		names[r.Name], uids[r.UID], data[r.Data] = i, r.Name, r.Name
	}
	for i, r := range rows {
		if err := checkRunRead(r, rows); err != nil {
			return fmt.Errorf("row %d (%q): %w", i+1, r.Name, err)
		}
		if err := checkCallers(r, i, names); err != nil {
			return fmt.Errorf("row %d (%q): %w", i+1, r.Name, err)
		}
	}
	return checkGuard(rows)
}

// checkCallers holds the rule that the less trusted calls the more trusted, never back: every caller stands below.
// A table without a cycle always has such an order, and a reader sees it at a glance.
func checkCallers(r Row, at int, names map[string]int) error {
	seen := map[string]bool{}
	for _, c := range r.Callers {
		if seen[c] {
			return fmt.Errorf("caller %q is there twice", c)
		}
		seen[c] = true
		if c == Init {
			continue
		}
		where, known := names[c]
		switch {
		case !known:
			return fmt.Errorf("caller %q has no row", c)
		case where <= at:
			return fmt.Errorf("caller %q stands above: the less trusted calls the more trusted, never back", c)
		}
	}
	for c, prefixes := range r.Kinds {
		if !seen[c] {
			return fmt.Errorf("kinds for %q, which is no caller", c)
		}
		for _, p := range prefixes {
			if !isPrefix(p) {
				return fmt.Errorf("kind prefix %q for %q", p, c)
			}
		}
	}
	return nil
}

// checkRunRead lets a row read, of all that lies under /run, the facts of the boot and other rows' own folders.
func checkRunRead(r Row, rows []Row) error {
	for _, p := range r.Read {
		if !inside(p, "/run") || p == Facts {
			continue
		}
		if !slices.ContainsFunc(rows, func(o Row) bool { return o.Run == p && o.Name != r.Name }) {
			return fmt.Errorf("read path %q", p)
		}
	}
	return nil
}

// checkGuard refuses a second owner of anything that can have only one.
func checkGuard(rows []Row) error {
	guards, writers, devices := 0, 0, map[string]string{}
	for _, r := range rows {
		if r.IdleSlot {
			writers++
		}
		if r.USBGuard {
			guards++
		}
		for _, d := range r.Devices {
			if other, twice := devices[d]; twice {
				return fmt.Errorf("%q: %s is already %q's", r.Name, d, other)
			}
			devices[d] = r.Name
		}
	}
	if guards > 1 {
		return errors.New("more than one row has usbGuard")
	}
	if writers > 1 {
		return errors.New("more than one row has idleSlot")
	}
	return nil
}

func checkRow(r Row) error {
	switch {
	case !isName(r.Name) || r.Name == Init:
		return errors.New("not a service name")
	case !under(r.Binary, "/svc"):
		return fmt.Errorf("binary %q is not under /svc", r.Binary)
	case r.UID < 900 || r.UID > 999:
		return fmt.Errorf("uid %d, want 900 … 999", r.UID)
	case r.Data != "" && !under(r.Data, "/data"):
		return fmt.Errorf("data %q is not a folder right under /data", r.Data)
	case r.Run != "" && r.Run != "/run/"+r.Name, r.Run == SocketDir:
		return fmt.Errorf("run %q is not /run/%s", r.Run, r.Name)
	case len(r.Rights) > 0 && !r.Network:
		return errors.New("rights without the machine's network")
	case r.MemoryMiB < 8 || r.MemoryMiB > 1024:
		return fmt.Errorf("memoryMiB %d, want 8 … 1024", r.MemoryMiB)
	case r.PIDs < 8 || r.PIDs > 1024:
		return fmt.Errorf("pids %d, want 8 … 1024", r.PIDs)
	case r.Files < 16 || r.Files > 4096:
		return fmt.Errorf("files %d, want 16 … 4096", r.Files)
	case len(r.Args) > 8 || len(r.Callers) > maxRows || len(r.Devices) > 32 || len(r.Read) > 32:
		return errors.New("a list is too long")
	}
	for _, a := range r.Args {
		if !isArgument(a) {
			return fmt.Errorf("argument %q", a)
		}
	}
	for _, g := range r.Groups {
		if !slices.Contains(Groups(), g) {
			return fmt.Errorf("group %q is not known", g)
		}
	}
	for _, c := range r.Rights {
		if !slices.Contains(Rights(), c) {
			return fmt.Errorf("right %q is not known", c)
		}
	}
	return checkPaths(r)
}

func checkPaths(r Row) error {
	for _, d := range r.Devices {
		if _, err := path.Match(d, "x"); err != nil || !clean(d) || !strings.HasPrefix(d, "/dev/") || wide(d) {
			return fmt.Errorf("device pattern %q", d)
		}
	}
	for _, p := range r.Read {
		if inside(p, "/run") {
			continue // checkRunRead
		}
		proc := inside(p, "/proc") && !strings.HasPrefix(p, "/proc/sys/") // the kernel's settings tell of no process
		if !clean(p) || p == "/" || inside(p, "/data") || inside(p, "/dev") || proc {
			return fmt.Errorf("read path %q", p)
		}
	}
	return nil
}

// wide says whether a device pattern would take in nodes that no service may have: its last element must begin with
// two letters at least, and only the last element may hold wildcards.
func wide(pattern string) bool {
	dir, file := path.Split(pattern)
	fixed := strings.IndexAny(file+"*", "*?[\\")
	return strings.ContainsAny(dir, "*?[\\") || fixed < 2
}

// under says whether p is a plain name right below dir.
func under(p, dir string) bool {
	return clean(p) && path.Dir(p) == dir && isName(path.Base(p))
}

func inside(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

func clean(p string) bool {
	return strings.HasPrefix(p, "/") && path.Clean(p) == p && !strings.ContainsAny(p, "\x00\n")
}
