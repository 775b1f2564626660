// Package console writes lines to the machine's console without ever waiting for it.
//
// A serial console is slow and may stand still; PID 1 must not. Lines wait in a bounded queue; those that do not fit
// are counted and the count is written. It is no log: what must be kept goes to the journal.
//
// The rule that keeps it small: lines in, bytes out, one goroutine.
package console

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Prefix begins each line of init itself; tests and technicians search for it.
const Prefix = "choba-init: "

const room = 1024 // lines that wait

// Console is a queue of lines in front of a writer.
type Console struct {
	to    io.Writer
	lines chan string
	mu    sync.Mutex // guards what follows
	lost  int
	left  int // lines taken and not written yet
}

// New is a console that writes to w.
func New(w io.Writer) *Console {
	c := &Console{to: w, lines: make(chan string, room)}
	go c.run()
	return c
}

// Say writes a line of init's own.
func (c *Console) Say(format string, args ...any) { c.Line(Prefix + fmt.Sprintf(format, args...)) }

// Line writes a line; what would be several becomes one.
func (c *Console) Line(text string) {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost > 0 && len(c.lines) < room-1 {
		c.lines <- fmt.Sprintf("%s(%d lines left out)", Prefix, c.lost)
		c.left++
		c.lost = 0
	}
	select {
	case c.lines <- text:
		c.left++
	default:
		c.lost++
	}
}

// Flush waits until everything is written, or for at most limit.
func (c *Console) Flush(limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Millisecond) {
		c.mu.Lock()
		done := c.left == 0
		c.mu.Unlock()
		if done {
			return
		}
	}
}

func (c *Console) run() {
	for l := range c.lines {
		io.WriteString(c.to, l+"\n") // when the console cannot be written to, nobody can be told
		c.mu.Lock()
		c.left--
		c.mu.Unlock()
	}
}
