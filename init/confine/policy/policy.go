// Package policy turns a row of the service table into everything that confine does to the service: user, limits,
// files, sockets and system calls, as plain values that can be printed and compared.
//
// It changes nothing on the machine; package apply does. It has no exceptions for single services: what a service
// needs beyond the others stands in its row. The rule that keeps it small: same row, same text.
package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/choba-os/choba/init/confine/seccomp"
	"github.com/choba-os/choba/services/table"
)

// Policy is what holds for one service.
type Policy struct {
	Name    string
	Binary  string
	Args    []string
	UID     uint32 // user and group; no further groups
	Env     []string
	Limits  []Limit
	Nice    int
	Files   []Access
	Sockets []string // the sockets that exist under /run/choba as the service sees it
	Shown   []Shown  // what else exists under /run
	Rights  []string // the capabilities that it keeps, ambient from execve on; almost always none
	TCP     bool     // it may connect, the packet filter says where to; nobody may listen
	Calls   []seccomp.Rule
}

// Shown is a file or folder under /run as the service sees it.
type Shown struct {
	Path  string
	Owner uint32 // of a folder that confine makes when it is not there yet; 0: it is there, or it is left out
	Write bool
}

// Limit is a resource limit, soft and hard alike.
type Limit struct {
	Name  string // as in setrlimit(2), without RLIMIT_
	Value uint64
}

// Right is a set of file accesses that landlock grants.
type Right string

const (
	Execute Right = "execute" // run and read one file
	Read    Right = "read"    // read files, list folders
	Own     Right = "own"     // everything but special files and executing
	Device  Right = "device"  // read, write and control what is there
	Attr    Right = "attr"    // write existing files of sysfs
)

// Access grants a right on a file, or on a folder and all below it. The file's own mode holds as well.
type Access struct {
	Right Right
	Path  string
}

const memlock = 1 << 20 // bytes that a service may keep from being swapped

// Of is the policy for the named service.
func Of(t table.T, name string) (Policy, error) {
	r, ok := t.Row(name)
	if !ok {
		return Policy{}, fmt.Errorf("the service table has no row %q", name)
	}
	calls, err := seccomp.Rules(r.Groups)
	if err != nil {
		return Policy{}, fmt.Errorf("service %s: %w", name, err)
	}
	p := Policy{
		Shown: shown(t, r), Rights: slices.Sorted(slices.Values(r.Rights)), TCP: slices.Contains(r.Groups, "inet"),
		Name: r.Name, Binary: r.Binary, Args: r.Args, UID: r.UID,
		// The Go collector works harder before the cgroup's limit is reached, and in vain only after it.
		Env: []string{fmt.Sprintf("GOMEMLIMIT=%dMiB", r.MemoryMiB*8/10), "GOTRACEBACK=single"},
		Limits: []Limit{
			{"NOFILE", uint64(r.Files)}, {"NPROC", uint64(r.PIDs)}, {"CORE", 0}, {"MEMLOCK", memlock},
		},
		Nice:  nice(r),
		Files: files(r),
		Calls: calls,
	}
	for _, callee := range t.Calls(name) {
		p.Sockets = append(p.Sockets, table.Socket(callee))
	}
	if r.IdleSlot {
		p.Sockets = append(p.Sockets, table.InitSocket)
	}
	return p, nil
}

// shown is what the row sees under /run besides sockets: its own folder, those of others that it reads, the facts.
func shown(t table.T, r table.Row) []Shown {
	var out []Shown
	if r.Run != "" {
		out = append(out, Shown{Path: r.Run, Owner: r.UID, Write: true})
	}
	for _, f := range r.Read {
		if o, ok := t.RunOwner(f); ok {
			out = append(out, Shown{Path: f, Owner: o.UID})
		} else if f == table.Facts {
			out = append(out, Shown{Path: f})
		}
	}
	return out
}

// urgent is the nice value of a row whose device does not wait: a keyboard's events are lost after the 64th unread one.
const urgent = -10

func nice(r table.Row) int {
	if r.Urgent {
		return urgent
	}
	return 0
}

func files(r table.Row) []Access {
	out := []Access{{Execute, r.Binary}}
	for _, f := range r.Read {
		out = append(out, Access{Read, f})
	}
	if r.Data != "" {
		out = append(out, Access{Own, r.Data})
	}
	if r.Run != "" {
		out = append(out, Access{Own, r.Run})
	}
	if r.IdleSlot {
		out = append(out, Access{Device, path.Dir(table.IdleNode)})
	}
	var dirs []string
	for _, d := range r.Devices {
		// The folder, not the nodes: they come and go. Their owner and mode say which are the service's.
		dirs = append(dirs, path.Dir(d))
	}
	slices.Sort(dirs)
	for _, d := range slices.Compact(dirs) {
		if d == "/dev" || !slices.Contains(dirs, "/dev") {
			out = append(out, Access{Device, d})
		}
	}
	if r.USBGuard {
		out = append(out, Access{Attr, "/sys/devices"})
	}
	return out
}

func (s Shown) String() string {
	if s.Write {
		return s.Path + " to write"
	}
	return s.Path + " to read"
}

// String is the policy as a person reads it, one thing a line.
func (p Policy) String() string {
	var b strings.Builder
	line := func(word, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s %s\n", word, fmt.Sprintf(format, args...))
	}
	line("service", "%s", p.Name)
	line("exec", "%s", strings.Join(append([]string{p.Binary}, p.Args...), " "))
	line("user", "%d, group %d, no other groups", p.UID, p.UID)
	if len(p.Rights) == 0 {
		line("caps", "none, bounding set empty, securebits locked, no_new_privs")
	} else {
		line("caps", "%s: bounding, permitted, effective, inheritable and ambient set; securebits locked, no_new_privs", strings.Join(p.Rights, " "))
	}
	for _, e := range p.Env {
		line("env", "%s", e)
	}
	for _, l := range p.Limits {
		line("limit", "%s %d", l.Name, l.Value)
	}
	if p.Nice != 0 {
		line("nice", "%d", p.Nice)
	}
	for _, f := range p.Files {
		line("file", "%s %s", f.Right, f.Path)
	}
	if p.TCP {
		line("tcp", "connect only; the packet filter says where to")
	} else {
		line("tcp", "none")
	}
	for _, s := range p.Sockets {
		line("socket", "%s", s)
	}
	for _, f := range p.Shown {
		line("run", "%s", f)
	}
	var plain, ends []string
	for _, c := range p.Calls {
		switch {
		case c.Verdict == seccomp.Allow && len(c.When) == 0:
			plain = append(plain, c.Name)
		case c.Verdict == seccomp.Kill:
			ends = append(ends, c.Name)
		default:
			line("call", "%s", c)
		}
	}
	for names := range slices.Chunk(plain, 8) {
		line("call", "%s", strings.Join(names, " "))
	}
	for names := range slices.Chunk(ends, 8) {
		line("killed by", "%s", strings.Join(names, " "))
	}
	line("call", "anything else: EPERM")
	return b.String()
}
