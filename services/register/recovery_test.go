package register

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/till/book"
	"github.com/choba-os/choba/services/till/sale"
)

// fold replays what is recorded, as an auditor would.
func fold(t *testing.T, entries []journalapi.Entry) book.State {
	s := book.State{}
	for _, e := range entries {
		event, err := sale.Decode(e.Kind, e.Content)
		require.NoError(t, err)
		next, _, err := book.Apply(s, event)
		require.NoError(t, err, "entry %d %s", e.Seq, e.Content)
		s = next
	}
	return s
}

// story is one whole sale as it is recorded: two goods, cash, paper, drawer, next customer.
func story(t *testing.T) []journalapi.Entry {
	c := set(t)
	c.on()
	c.scanner.scan(codeTea, codeBeer)
	c.until("two are there", func(v api.View) bool { return v.Count == 2 })
	c.must(api.Act{ID: "tender", Op: api.OpTender})
	c.must(api.Act{ID: "pay", Op: api.OpCash, Amount: 1000})
	c.until("paper and drawer are done", settled)
	c.must(api.Act{ID: "next", Op: api.OpNext})
	return c.entries()
}

// What is on the screen after a power cut, by the last thing that was recorded before it.
var afterCut = map[string]struct {
	phase                  api.Phase
	print, drawer, message string
}{
	"sale.opened":         {phase: api.PhaseIdle},
	"sale.item-added":     {phase: api.PhaseSale},
	"sale.tender-entered": {phase: api.PhaseTender},
	"sale.tendered":       {phase: api.PhaseSale, message: "interrupted"},
	"sale.completed":      {phase: api.PhaseDone, message: "interrupted"},
	"drawer.open":         {phase: api.PhaseDone, drawer: "unknown", message: "interrupted"},
	"print.asked":         {phase: api.PhaseDone, print: "unknown", message: "reprint?"},
	"sale.dismissed":      {phase: api.PhaseIdle},
}

// The plug is pulled after every single entry: the open sale is back, the completed one is complete with its change, nothing is printed and no drawer opens
// by itself, and the sale can be brought to its end, with at most one receipt that is not marked as a copy.
func TestPowerCutAtEveryEvent(t *testing.T) {
	t.Parallel()
	all := story(t)
	require.Equal(t, 11, len(all))
	for n := range len(all) + 1 {
		t.Run(fmt.Sprintf("%02d", n), func(t *testing.T) {
			t.Parallel()
			c := set(t)
			kind := ""
			for _, e := range all[:n] {
				_, err := c.journal.Client(self).Append(context.Background(), e.Event)
				require.NoError(t, err)
				kind = e.Kind
			}
			c.on()
			v := c.until("it has started", func(v api.View) bool { return v.Phase != api.PhaseStarting })
			if want, ok := afterCut[kind]; ok {
				require.Equal(t, want.phase, v.Phase)
				if want.print != "" {
					require.Equal(t, want.print, v.Print.State)
				}
				if want.drawer != "" {
					require.Equal(t, want.drawer, v.Drawer.State)
				}
				require.Equal(t, want.message != "", v.Message != nil)
				if v.Message != nil {
					require.Equal(t, want.message, v.Message.Code)
				}
			}
			if v.Phase == api.PhaseDone {
				require.Equal(t, int64(1000-366), v.Change)
			}
			require.Empty(t, c.printer.paper(), "nothing is printed by itself")
			require.Empty(t, c.printer.drawer(), "no drawer opens by itself")
			c.finish(v)
			end := fold(t, c.entries())
			require.Equal(t, sale.Complete, end.Sale.Phase)
			require.Equal(t, "000001", end.Sale.Opened.Sale, "no number is lost, none is given twice")
			originals := 0
			for _, j := range c.printer.paper() {
				if !strings.Contains(text(j), "再発行") {
					originals++
				}
			}
			require.LessOrEqual(t, originals, 1)
		})
	}
}

// finish brings whatever is on the counter to its end, as a cashier would.
func (c *counter) finish(v api.View) {
	switch v.Phase {
	case api.PhaseIdle:
		if v.Receipt != "000001" {
			return
		}
		c.must(api.Act{Op: api.OpCode, Code: codeTea})
	case api.PhaseDone:
		c.must(api.Act{Op: api.OpPrint})
		c.until("it is printed", func(v api.View) bool { return v.Print.State == "done" })
		return
	}
	c.must(api.Act{Op: api.OpCash})
	c.until("paper and drawer are done", settled)
}

// The journal fails at every single append, in each way it can: it says no, or it takes the entry and the answer is lost. The same two
// scans and the same touch end in the same sale.
func TestJournalFailsAtEveryAppend(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"refused", "lost"} {
		for n := range 9 {
			t.Run(fmt.Sprintf("%s %d", way, n), func(t *testing.T) {
				t.Parallel()
				c := set(t)
				c.on()
				c.until("it is idle", inPhase(api.PhaseIdle))
				if way == "refused" {
					c.faults.set(n, 2, 0, 0) // the mark that follows is refused too
				} else {
					c.faults.set(n, 0, 2, 0)
				}
				c.scanner.scan(codeTea, codeBeer)
				c.until("two are there", func(v api.View) bool { return v.Count == 2 })
				var err error
				for range 100 {
					if _, err = c.act(api.Act{ID: "pay", Op: api.OpCash, Amount: 1000}); err == nil {
						break
					}
					require.Contains(t, []link.Kind{link.Unavailable, link.Conflict}, link.KindOf(err))
					time.Sleep(50 * time.Millisecond)
				}
				require.NoError(t, err)
				v := c.until("paper and drawer have an end", func(v api.View) bool {
					return v.Phase == api.PhaseDone && v.Devices[3].State == "ready" && v.Print.State != "" && v.Print.State != "printing" && v.Drawer.State != "" && v.Drawer.State != "opening"
				})
				require.Equal(t, int64(1000-366), v.Change)
				end := fold(t, c.entries())
				require.Equal(t, "000001", end.Sale.Opened.Sale)
				require.Len(t, end.Sale.Lines, 2)
				require.Equal(t, 2, end.Sale.Count())
				require.LessOrEqual(t, len(c.printer.paper()), 1)
				require.LessOrEqual(t, len(c.printer.drawer()), 1)
				if v.Print.State == "done" {
					require.Len(t, c.printer.paper(), 1)
				}
			})
		}
	}
}

// Without the journal nothing is sold, and that is said; when it is back, what was scanned meanwhile comes in, once.
func TestJournalAway(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.on()
	c.scanner.scan(codeTea)
	c.until("a piece is there", inPhase(api.PhaseSale))
	c.journal.Stop()
	c.scanner.scan(codeBeer, codeBeer, codeCable)
	v := c.until("it is said", func(v api.View) bool { return v.Message != nil && v.Message.Code == "journal" })
	require.Equal(t, "error", v.Message.Kind)
	require.Equal(t, 1, v.Count)
	_, err := c.act(api.Act{Op: api.OpCash})
	require.Equal(t, link.Unavailable, link.KindOf(err))
	c.journal.Restart()
	v = c.until("all are there", func(v api.View) bool { return v.Count == 4 && v.Message == nil })
	require.Equal(t, int64(138+2*228+1280), v.Total)
	c.must(api.Act{Op: api.OpCash})
	c.until("paper and drawer are done", settled)
}

func TestStartsBeforeTheJournal(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.journal.Stop()
	c.on()
	v := c.until("it says that it starts", inPhase(api.PhaseStarting))
	require.Equal(t, "journal", v.Message.Code)
	_, err := c.act(api.Act{Op: api.OpCode, Code: codeTea})
	require.Equal(t, link.Unavailable, link.KindOf(err))
	c.journal.Restart()
	c.until("it is idle", inPhase(api.PhaseIdle))
}

// A slow journal makes a slow register, not a wrong one.
func TestSlowJournal(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	c.faults.set(0, 0, 0, 150*time.Millisecond)
	c.scanner.scan(codeTea, codeBeer)
	c.until("two are there", func(v api.View) bool { return v.Count == 2 })
	c.must(api.Act{Op: api.OpCash})
	c.until("paper and drawer are done", settled)
	require.Equal(t, 2, fold(t, c.entries()).Sale.Count())
}

// One that hangs is given up, and what it took nevertheless is found afterwards.
func TestHangingJournal(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for real time")
	}
	c := set(t)
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	c.faults.set(0, 0, 0, appendTime+500*time.Millisecond)
	c.scanner.scan(codeTea)
	c.until("it is said", func(v api.View) bool { return v.Message != nil && v.Message.Code == "journal" })
	c.faults.set(0, 0, 0, 0)
	c.until("one is there", func(v api.View) bool { return v.Count == 1 && v.Message == nil })
	require.Equal(t, 1, fold(t, c.entries()).Sale.Count())
}

// A register whose record is long reads back only as far as it has to.
func TestStartReadsTheNewestEntries(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	c.must(api.Act{Op: api.OpCode, Code: codeTea})
	c.must(api.Act{Op: api.OpCash})
	c.until("paper and drawer are done", settled)
	c.cut()
	other := c.journal.Client("ports")
	for range window + 10 {
		_, err := other.Append(context.Background(), journalapi.Event{Kind: "port.seen"})
		require.NoError(t, err)
	}
	c.on()
	v := c.until("the finished sale is back", inPhase(api.PhaseDone))
	require.Equal(t, "000001", v.Receipt)
	c.must(api.Act{Op: api.OpCode, Code: codeTea})
	c.on()
	v = c.until("the open one is back", inPhase(api.PhaseSale))
	require.Equal(t, "000002", v.Receipt)
}

// Entries of others, and of this service about other things, are not the book's; its own that make no sense stop it.
func TestForeignAndBrokenEntries(t *testing.T) {
	t.Parallel()
	c := set(t)
	printer, own := c.journal.Client("printer"), c.journal.Client(self)
	ctx := context.Background()
	_, err := printer.Append(ctx, journalapi.Event{Kind: "drawer.refused", Content: []byte(`{"why":"test"}`)})
	require.NoError(t, err)
	_, err = own.Append(ctx, journalapi.Event{Kind: "day.opened"})
	require.NoError(t, err)
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	c.cut()
	_, err = own.Append(ctx, journalapi.Event{Kind: "sale.exploded"})
	require.NoError(t, err)
	c.on()
	v := c.until("it refuses", func(v api.View) bool { return v.Message != nil && v.Message.Kind == "error" })
	require.Equal(t, api.PhaseStarting, v.Phase)
	require.Contains(t, v.Message.Text, "整合")
}
