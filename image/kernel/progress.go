package kernel

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"time"
)

// A full build compiles about this many files.
const filesOfFullBuild = 2320

const reportEvery = 10 * time.Second

// counter passes make's output on to the log and counts what is compiled.
type counter struct {
	log io.Writer

	mu    sync.Mutex // guards the fields below
	files int
	last  []byte // the end of the output, for error messages
	rest  []byte // of an unfinished line
}

const keepOutput = 8 << 10

func (c *counter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = append(c.last, p...)
	if over := len(c.last) - keepOutput; over > 0 {
		c.last = append(c.last[:0], c.last[over:]...)
	}
	c.rest = append(c.rest, p...)
	for {
		line, rest, ok := bytes.Cut(c.rest, []byte("\n"))
		if !ok {
			break
		}
		if what := strings.Fields(string(line)); len(what) > 1 && (what[0] == "CC" || what[0] == "AS") {
			c.files++
		}
		c.rest = rest
	}
	return c.log.Write(p)
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.files
}

func (c *counter) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return lines(string(c.last), 20)
}

// report says how far make is, every few seconds until stop is called.
func (t *tree) report(c *counter) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				t.say("kernel: %d files compiled (a first build: %d)", c.count(), filesOfFullBuild)
			}
		}
	}()
	return func() { close(done); <-ended }
}
