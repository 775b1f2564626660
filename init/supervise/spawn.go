package supervise

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/table"
)

// The words of a life line.
const (
	wordReady = "ready"
	wordAlive = "alive"
)

type word struct {
	service string
	starts  int // which start of the service said it
	text    string
	at      time.Time
}

type line struct{ service, text string }

// Bounds for what a service writes to the console.
const (
	maxLine  = 512 // bytes; the rest of a longer line is left out
	maxBurst = 200 // lines in one second; more are counted only
)

// listen makes a listening socket that any local user may connect to: the server looks at the peer's credentials.
func listen(path string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), path)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return nil, errors.Join(fmt.Errorf("binding %s: %w", path, err), f.Close())
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := unix.Listen(fd, 128); err != nil {
		return nil, errors.Join(fmt.Errorf("listening at %s: %w", path, err), f.Close())
	}
	return f, nil
}

// makeCgroup makes the service's cgroup below root and sets its limits.
func makeCgroup(root string, r table.Row) (*os.File, error) {
	dir := filepath.Join(root, r.Name)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("making cgroup: %w", err)
	}
	for _, k := range [][2]string{
		{"memory.max", strconv.Itoa(r.MemoryMiB << 20)},
		{"memory.oom.group", "1"},
		{"pids.max", strconv.Itoa(r.PIDs)},
	} {
		if err := os.WriteFile(filepath.Join(dir, k[0]), []byte(k[1]), 0); err != nil {
			return nil, fmt.Errorf("setting %s of cgroup %s: %w", k[0], r.Name, err)
		}
	}
	return os.Open(dir)
}

// memoryKills asks the cgroup how often the kernel ended something in it for want of memory.
func memoryKills(cgroup *os.File) int {
	if cgroup == nil {
		return 0
	}
	text, err := os.ReadFile(filepath.Join(cgroup.Name(), "memory.events"))
	if err != nil {
		return 0 // only the words of an exit event hang on it
	}
	for l := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(l), "oom_kill "); ok {
			kills, _ := strconv.Atoi(n)
			return kills
		}
	}
	return 0
}

// spawn starts the service: file 0 is /dev/null, 1 and 2 go to its console lines, 3 is its listening socket, 4 its
// life line.
func (s *Set) spawn(u *unit) (int, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	said, says, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer says.Close()
	life, lives, err := os.Pipe()
	if err != nil {
		return 0, errors.Join(err, said.Close())
	}
	defer lives.Close()
	attr := &syscall.SysProcAttr{Setsid: true}
	if s.cfg.Namespaces {
		attr.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWNET
		if u.row.Network {
			attr.Cloneflags &^= unix.CLONE_NEWNET
		}
	}
	if u.cgroup != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(u.cgroup.Fd())
	}
	pid, err := syscall.ForkExec(s.cfg.Confine, []string{s.cfg.Confine, u.row.Name}, &syscall.ProcAttr{
		Dir: "/", Sys: attr,
		Files: []uintptr{null.Fd(), says.Fd(), says.Fd(), u.listen.Fd(), lives.Fd()},
	})
	if err != nil {
		return 0, errors.Join(fmt.Errorf("running %s: %w", s.cfg.Confine, err), said.Close(), life.Close())
	}
	go s.readLines(u.row.Name, said)
	go s.readLife(u.row.Name, u.starts, life)
	return pid, nil
}

// readLife passes words on until the service has closed its end. Anything but the two words is nothing.
func (s *Set) readLife(service string, starts int, life *os.File) {
	defer life.Close()
	in := bufio.NewScanner(life)
	in.Buffer(make([]byte, 64), 64)
	for in.Scan() {
		if t := in.Text(); t == wordReady || t == wordAlive {
			s.words <- word{service: service, starts: starts, text: t, at: time.Now()}
		}
	}
}

// readLines passes on what the service writes until it has closed its end, cut to the bounds. A line too many is
// counted and the count is said, so that silence is never mistaken for quiet.
func (s *Set) readLines(service string, said *os.File) {
	defer said.Close()
	in := bufio.NewReaderSize(said, maxLine)
	var second time.Time
	burst, lost := 0, 0
	for {
		text, err := readLine(in)
		if now := time.Now(); now.Sub(second) >= time.Second {
			if lost > 0 {
				s.lines <- line{service, fmt.Sprintf("(%d lines left out)", lost)}
			}
			second, burst, lost = now, 0, 0
		}
		if text != "" {
			if burst++; burst <= maxBurst {
				s.lines <- line{service, text}
			} else {
				lost++
			}
		}
		if err != nil {
			if lost > 0 {
				s.lines <- line{service, fmt.Sprintf("(%d lines left out)", lost)}
			}
			return
		}
	}
}

// readLine reads up to the next line feed and keeps the first maxLine bytes that print.
func readLine(in *bufio.Reader) (string, error) {
	part, err := in.ReadSlice('\n')
	text := printable(part)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = in.ReadSlice('\n') // the rest of a line that is too long
	}
	return text, err
}

// printable is the line without control characters: a service must not be able to steer a terminal.
func printable(b []byte) string {
	b = bytes.TrimRight(b, "\r\n")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(string(b), "?"))
}
