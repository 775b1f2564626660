package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// system describes what runs: one line a process, mount, listening address.
func system() []string {
	var out []string
	status, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, s := range status {
		dir := filepath.Dir(s)
		exe, err := os.Readlink(dir + "/exe")
		if err != nil {
			continue // a kernel thread
		}
		fds, _ := os.ReadDir(dir + "/fd")
		out = append(out, fmt.Sprintf("process exe=%s args=%s uid=%s caps=%s nnp=%s seccomp=%s rss=%s files=%d",
			exe, arguments(dir), first(field(s, "Uid")), field(s, "CapEff"), field(s, "NoNewPrivs"), field(s, "Seccomp"),
			strings.ReplaceAll(field(s, "VmRSS"), " ", ""), len(fds)))
		out = append(out, files(exe, dir, fds)...)
	}
	return append(append(append(out, mounts()...), room("/data")), listeners()...)
}

func arguments(dir string) string {
	b, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return "?"
	}
	return strings.Join(strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")[1:], ",")
}

func first(s string) string {
	a, _, _ := strings.Cut(s, " ")
	return a
}

func files(exe, dir string, fds []os.DirEntry) []string {
	var out []string
	for _, fd := range fds {
		if to, err := os.Readlink(dir + "/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, "/") {
			out = append(out, fmt.Sprintf("file exe=%s path=%s", exe, to))
		}
	}
	return out
}

func mounts() []string {
	b, err := os.ReadFile("/proc/1/mounts")
	if err != nil {
		return []string{"mounts unreadable: " + err.Error()}
	}
	var out []string
	for _, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		if f := strings.Fields(l); len(f) > 3 {
			out = append(out, fmt.Sprintf("mount at=%s kind=%s options=%s", f[1], f[2], f[3]))
		}
	}
	return out
}

// room is the size of a file system, without what it needs for itself.
func room(at string) string {
	var s unix.Statfs_t
	if err := unix.Statfs(at, &s); err != nil {
		return fmt.Sprintf("room at=%s: %v", at, err)
	}
	return fmt.Sprintf("room at=%s MiB=%d", at, int64(s.Blocks)*s.Bsize>>20)
}

// listeners are the TCP and UDP ports open in the main network namespace.
func listeners() []string {
	var out []string
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, err := os.ReadFile("/proc/1/net/" + name)
		if err != nil {
			continue
		}
		for _, l := range strings.Split(string(b), "\n")[1:] {
			f := strings.Fields(l)
			if len(f) < 4 || strings.HasPrefix(name, "tcp") && f[3] != "0A" {
				continue
			}
			if _, port, ok := strings.Cut(f[1], ":"); ok {
				n, _ := strconv.ParseUint(port, 16, 16)
				out = append(out, fmt.Sprintf("listener %s port=%d", name, n))
			}
		}
	}
	return out
}
