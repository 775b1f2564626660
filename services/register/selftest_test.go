package register

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	devices "github.com/choba-os/choba/services/devices/api"
	"github.com/choba-os/choba/services/register/api"
)

// Ready means that a test scan came through; it sells nothing and says nothing.
func TestReadyMeansAScanCameThrough(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.unproven = time.Hour
	c.scanner.scan(codeTea)
	c.on()
	v := c.until("the tea is there", func(v api.View) bool { return v.Count == 1 })
	require.Zero(t, c.ready.Load(), "the record is replayed and goods can be sold, but nothing has proved the way")
	c.scanner.mu.Lock()
	c.scanner.tests = true
	c.scanner.mu.Unlock()
	require.Eventually(t, func() bool { return c.ready.Load() == 1 }, 10*time.Second, 10*time.Millisecond)
	c.scanner.scan(codeBeer)
	after := c.until("the beer is there", func(v api.View) bool { return v.Count == 2 })
	require.Nil(t, after.Message, "no gap, no complaint")
	require.Len(t, after.Lines, 2)
	require.Nil(t, v.Message)
	require.EqualValues(t, 1, c.ready.Load())

	// a run later in the same boot is not proved by the test scan of the one before, which it is sent again
	old := c.scanner.asked[0]
	c.scanner.mu.Lock()
	c.scanner.tests = false
	c.scanner.mu.Unlock()
	c.on()
	c.until("the sale again", func(v api.View) bool { return v.Count == 2 })
	time.Sleep(300 * time.Millisecond)
	require.EqualValues(t, 1, c.ready.Load(), "test scan %s is another run's", old)
}

// Nothing that a device or another service could put into a code is a test.
func TestATestScanNeverSells(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.unproven = time.Hour
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	c.scanner.put(devices.Scan{Test: "somebody", Code: codeTea, At: time.Now()}) // no scanner service sends this
	c.scanner.scan(codeBeer)
	v := c.until("the beer is there", func(v api.View) bool { return v.Count == 1 })
	require.Equal(t, codeBeer, v.Lines[0].Code)
	require.Zero(t, c.ready.Load())
}

// Without a scanner service the register sells typed numbers, after longer than a trial waits.
func TestReadyWithoutAScanner(t *testing.T) {
	t.Parallel()
	require.Greater(t, unproven, 25*time.Second)
	require.Less(t, unproven, 90*time.Second)
	c := set(t)
	c.unproven = 1500 * time.Millisecond
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	require.Zero(t, c.ready.Load())
	require.Equal(t, 1, c.must(api.Act{Op: api.OpCode, Code: codeTea}).Count)
	require.Eventually(t, func() bool { return c.ready.Load() == 1 }, 10*time.Second, 10*time.Millisecond)
}
