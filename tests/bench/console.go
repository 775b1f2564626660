package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"time"
)

// tail copies the growing console file into memory and to the listener.
func (m *Machine) tail(exited chan struct{}) {
	var f *os.File
	for f == nil {
		select {
		case <-exited:
			return
		case <-time.After(10 * time.Millisecond):
			f, _ = os.Open(m.path("console.log")) // not there yet is not an error
		}
	}
	defer f.Close()
	buf := make([]byte, 32<<10)
	for last := false; ; {
		n, err := f.Read(buf)
		if n > 0 {
			m.grow(buf[:n])
			continue
		}
		if err != nil && err != io.EOF || last {
			return
		}
		select {
		case <-exited:
			last = true // one more read takes what came before the end
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (m *Machine) grow(b []byte) {
	m.mu.Lock()
	m.console = append(m.console, b...)
	close(m.more)
	m.more = make(chan struct{})
	m.mu.Unlock()
	if m.cfg.Console != nil {
		m.cfg.Console.Write(b)
	}
}

var ansi = regexp.MustCompile(`\x1b\[[0-9;?=]*[A-Za-z]|\r`)

// Text is all that the guest has printed since power on, without the
// firmware's colours.
func (m *Machine) Text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(ansi.ReplaceAll(m.console, nil))
}

// Wait waits until the console matches one of the patterns and returns the
// matched text. When ctx ends or the machine does, the error carries the last
// lines of the console.
func (m *Machine) Wait(ctx context.Context, patterns ...string) (string, error) {
	return m.WaitFrom(ctx, 0, patterns...)
}

// WaitFrom is Wait for what was printed after the first skip bytes of Text.
func (m *Machine) WaitFrom(ctx context.Context, skip int, patterns ...string) (string, error) {
	var res []*regexp.Regexp
	for _, p := range patterns {
		re, err := regexp.Compile(p)
		if err != nil {
			return "", fmt.Errorf("waiting on console: %w", err)
		}
		res = append(res, re)
	}
	for {
		m.mu.Lock()
		more := m.more
		m.mu.Unlock()
		text := m.Text()
		for _, re := range res {
			if s := re.FindString(text[min(skip, len(text)):]); s != "" {
				return s, nil
			}
		}
		select {
		case <-more:
		case <-m.exited:
			time.Sleep(50 * time.Millisecond) // tail takes the rest
			if text = m.Text(); anyMatch(res, text[min(skip, len(text)):]) {
				continue
			}
			return "", fmt.Errorf("waiting for %q: the machine ended:\n%s", patterns, lastLines(text, 25))
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for %q: %w:\n%s", patterns, ctx.Err(), lastLines(text, 25))
		}
	}
}

func anyMatch(res []*regexp.Regexp, text string) bool {
	for _, re := range res {
		if re.MatchString(text) {
			return true
		}
	}
	return false
}

func lastLines(s string, n int) string {
	lines := bytes.Split([]byte(s), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}

// startLocked starts cmd from a thread that lives as long as the process:
// Pdeathsig fires when the starting thread ends, and Go ends idle threads.
func startLocked(cmd *exec.Cmd) error {
	errs := make(chan error)
	go func() {
		runtime.LockOSThread()
		errs <- cmd.Start()
		select {}
	}()
	return <-errs
}
