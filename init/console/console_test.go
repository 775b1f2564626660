package console

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// gate is a console that stands still until it is opened.
type gate struct {
	mu   sync.Mutex
	open chan struct{}
	buf  bytes.Buffer
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.buf.Write(b)
}

func TestNeverWaitsAndCountsWhatIsLost(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	c := New(g)
	c.Say("start, %d\nnext\n", 1)
	began := time.Now()
	for i := range 2 * room {
		c.Line(fmt.Sprintf("x: %d", i))
	}
	require.Less(t, time.Since(began), 5*time.Second)
	c.Flush(10 * time.Millisecond) // it gives up
	close(g.open)
	c.Flush(10 * time.Second)
	c.Say("end")
	c.Flush(10 * time.Second)
	g.mu.Lock()
	defer g.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(g.buf.String()), "\n")
	require.Equal(t, "choba-init: start, 1; next", lines[0])
	require.Equal(t, "choba-init: end", lines[len(lines)-1])
	require.Contains(t, lines[len(lines)-2], "lines left out")
}
