package register

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	devices "github.com/choba-os/choba/services/devices/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/register/api"
)

func settled(v api.View) bool {
	return v.Phase == api.PhaseDone && v.Print.State == "done" && v.Drawer.State == "opened"
}

func text(job devices.Job) string {
	var out strings.Builder
	for _, l := range job.Lines {
		fmt.Fprintf(&out, "%s|%s\n", l.Text, l.Right)
	}
	return out.String()
}

// From the first scan to the paper: what is shown, what is recorded and in which order, what the devices are told.
func TestWholeSale(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.on()
	v := c.until("it is idle", inPhase(api.PhaseIdle))
	require.Equal(t, "000001", v.Receipt)
	require.Equal(t, "駅前商店 本店", v.Shop)
	require.Equal(t, "山田 花子", v.Operator.Name)
	require.Equal(t, "2026-11-21", v.Business)
	require.Equal(t, "14:32", v.Now.Format("15:04"))

	c.scanner.scan(codeTea, codeTea, codeBeer)
	v = c.until("three pieces are there", func(v api.View) bool { return v.Count == 3 })
	require.Equal(t, api.PhaseSale, v.Phase)
	require.Equal(t, int64(504), v.Total)
	require.Equal(t, []int64{1000, 5000, 10000}, v.Quick)
	require.Equal(t, []api.RateSum{{Percent: 10, Base: 228, Tax: 20}, {Percent: 8, Reduced: true, Base: 276, Tax: 20}}, v.Rates)
	require.Len(t, v.Lines, 2)
	require.Equal(t, api.Line{ID: 1, Name: "宇治抹茶入り緑茶 500ml", NameEn: "Uji green tea 500ml", Code: codeTea, Unit: 138, Qty: 2, Amount: 276, Reduced: true}, v.Lines[0])
	require.True(t, v.Lines[1].Last)

	v = c.must(api.Act{Op: api.OpTender})
	require.Equal(t, api.PhaseTender, v.Phase)
	c.must(api.Act{Op: api.OpCash, Amount: 1000})
	v = c.until("paper and drawer are done", settled)
	require.Equal(t, int64(496), v.Change)
	require.Equal(t, int64(1000), v.Paid)

	require.Equal(t, []devices.DrawerOpen{{Command: "D02-000001-1", Reason: "sale", Sale: "000001"}}, c.printer.drawer())
	jobs := c.printer.paper()
	require.Len(t, jobs, 1)
	require.True(t, jobs[0].Cut)
	for _, want := range []string{"登録番号 T7123456789012|", "2026年11月21日(土) 14:32|レジ02", "責:山田 花子|No.000001", "  ¥138 × 2|¥276※", "プレミアム缶ビール 350ml|¥228  ",
		"合計|¥504", "(8%対象 税込|¥276)", "(内消費税等|¥20)", "お預り|¥1,000", "お釣り|¥496", "※印は軽減税率(8%)対象商品です。"} {
		require.Contains(t, text(jobs[0]), want)
	}
	kinds := c.kinds()
	require.Equal(t, []string{"sale.opened", "sale.item-added", "sale.item-added", "sale.item-added", "sale.tender-entered", "sale.tendered", "sale.completed", "drawer.open"}, kinds[:8])
	require.ElementsMatch(t, []string{"print.asked", "drawer.opened", "print.done"}, kinds[8:])

	c.must(api.Act{Op: api.OpNext})
	v = c.until("it is idle again", inPhase(api.PhaseIdle))
	require.Equal(t, "000002", v.Receipt)
	require.Empty(t, v.Lines)
}

// The amount keys of the sale's screen pay at one touch, and a scan begins the next sale.
func TestOneTouchAndNextScan(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.on()
	c.scanner.scan(codeTea)
	c.until("a piece is there", inPhase(api.PhaseSale))
	c.must(api.Act{Op: api.OpCash}) // exact
	v := c.until("paper and drawer are done", settled)
	require.Zero(t, v.Change)
	c.scanner.scan(codeBeer)
	v = c.until("the next sale is open", inPhase(api.PhaseSale))
	require.Equal(t, "000002", v.Receipt)
	require.Equal(t, int64(228), v.Total)
}

func TestTypingQuantityRemoveCancel(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	v := c.must(api.Act{Op: api.OpCode, Code: "12", Qty: 3}) // レジ袋(大)
	require.Equal(t, int64(15), v.Total)
	require.Equal(t, "000012", v.Lines[0].Code)
	v = c.must(api.Act{Op: api.OpCode, Code: codeCable})
	v = c.must(api.Act{Op: api.OpQuantity, Qty: 2})
	require.Equal(t, int64(15+2560), v.Total)
	v = c.must(api.Act{Op: api.OpQuantity, Line: 1, Qty: 1})
	require.Equal(t, int64(5+2560), v.Total)
	v = c.must(api.Act{Op: api.OpRemove, Line: 1})
	require.Equal(t, int64(2560), v.Total)
	for _, c1 := range []struct {
		act  api.Act
		kind link.Kind
		code string
	}{
		{api.Act{Op: api.OpQuantity, Qty: 1000}, link.Conflict, "limit"},
		{api.Act{Op: api.OpQuantity, Qty: 0}, link.Conflict, "limit"},
		{api.Act{Op: api.OpQuantity, Line: 1, Qty: 1}, link.NotFound, "no-line"},
		{api.Act{Op: api.OpCode, Code: "999999"}, link.NotFound, "unknown-code"},
		{api.Act{Op: api.OpCode, Code: "4901234567895"}, link.Conflict, "bad-code"},
		{api.Act{Op: api.OpCode, Code: "12", Qty: -1}, link.Conflict, "limit"},
		{api.Act{Op: api.OpCode, Code: "2012345006980"}, link.Conflict, "in-store-code"},
		{api.Act{Op: api.OpBack}, link.Conflict, "not-now"},
		{api.Act{Op: api.OpNext}, link.Conflict, "not-now"},
		{api.Act{Op: api.OpPrint}, link.Conflict, "not-now"},
		{api.Act{Op: api.OpDrawer}, link.Conflict, "not-now"},
		{api.Act{Op: api.OpCash, Amount: 2559}, link.Conflict, "short-cash"},
		{api.Act{Op: api.OpCash, Amount: 4901234567894}, link.Conflict, "limit"},
	} {
		_, err := c.act(c1.act)
		require.Equal(t, c1.kind, link.KindOf(err), "%+v: %v", c1.act, err)
		v := c.until("there is a message", func(v api.View) bool { return v.Message != nil && v.Message.Code == c1.code })
		require.NotEmpty(t, v.Message.Text)
		require.NotContains(t, v.Message.Text+v.Message.TextEn, "%!")
		require.Equal(t, int64(2560), v.Total)
	}
	_, err := c.act(api.Act{Op: api.OpCash, Amount: -1})
	require.Equal(t, link.BadRequest, link.KindOf(err))
	_, err = c.act(api.Act{Op: "dance"})
	require.Equal(t, link.BadRequest, link.KindOf(err))
	_, err = c.act(api.Act{ID: "a b", Op: api.OpAck})
	require.Equal(t, link.BadRequest, link.KindOf(err))
	v = c.must(api.Act{Op: api.OpAck})
	require.Nil(t, v.Message)
	v = c.must(api.Act{Op: api.OpCancel})
	require.Equal(t, api.PhaseIdle, v.Phase)
	require.Equal(t, "000002", v.Receipt, "a sale that was given up has spent its number")
	_, err = c.act(api.Act{Op: api.OpTender})
	require.Equal(t, link.Conflict, link.KindOf(err))
}

// A touch that comes twice pays once, even over a restart.
func TestTouchesAreIdempotent(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	for range 2 {
		v := c.must(api.Act{ID: "one", Op: api.OpCode, Code: codeTea})
		require.Equal(t, 1, v.Count)
	}
	c.on()
	c.until("the sale is back", inPhase(api.PhaseSale))
	v := c.must(api.Act{ID: "one", Op: api.OpCode, Code: codeTea})
	require.Equal(t, 1, v.Count)
	for range 3 {
		c.must(api.Act{ID: "pay", Op: api.OpCash, Amount: 500})
	}
	c.until("paper and drawer are done", settled)
	c.must(api.Act{ID: "pay", Op: api.OpCash, Amount: 500})
	require.Len(t, c.printer.drawer(), 1)
	require.Len(t, c.printer.paper(), 1)
}

// Whatever a scanner sends is said and breaks nothing.
func TestJunkScans(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.on()
	c.scanner.scan(codeTea)
	c.until("a piece is there", inPhase(api.PhaseSale))
	for code, want := range map[string]string{
		"4909999999998": "unknown-code", "49123456": "unknown-code", "4901234567895": "bad-code", "12": "bad-code", "": "bad-code", "HELLO": "bad-code",
		"2012345006980": "in-store-code", strings.Repeat("9", 100): "bad-code", "4111111111111111": "bad-code",
	} {
		c.scanner.scan(code)
		v := c.until(code+" is explained", func(v api.View) bool { return v.Message != nil && v.Message.Code == want })
		require.Equal(t, 1, v.Count)
		require.NotContains(t, v.Message.Text, "411111111111", "a card's number is not shown")
		c.must(api.Act{Op: api.OpAck})
	}
	c.scanner.put(devices.Scan{Bad: "too long", At: time.Now()})
	c.until("the bad scan is explained", func(v api.View) bool { return v.Message != nil && v.Message.Code == "bad-code" })
	c.scanner.scan(codeBeer)
	v := c.until("the next piece is there", func(v api.View) bool { return v.Count == 2 })
	require.Equal(t, "bad-code", v.Message.Code, "a good scan does not wipe away that another registered nothing")
	c.scanner.scan("4909999999998")
	v = c.until("the next one waits behind it", func(v api.View) bool { return strings.Contains(v.Message.Text, "ほか1件") })
	require.Equal(t, "bad-code", v.Message.Code)
	require.Equal(t, "unknown-code", c.must(api.Act{Op: api.OpAck}).Message.Code)
	require.Nil(t, c.must(api.Act{Op: api.OpAck}).Message)
	require.Len(t, c.entries(), 3, "junk is not recorded")
}

func TestScanWhilePaying(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.on()
	c.scanner.scan(codeTea)
	c.until("a piece is there", inPhase(api.PhaseSale))
	c.must(api.Act{Op: api.OpTender})
	c.scanner.scan(codeBeer)
	v := c.until("it is said", func(v api.View) bool { return v.Message != nil && v.Message.Code == "in-tender" })
	require.Equal(t, api.PhaseTender, v.Phase)
	require.Contains(t, v.Message.Text, "プレミアム缶ビール")
	require.NotContains(t, v.Message.Text+v.Message.TextEn, "%!")
	require.Equal(t, 1, v.Count)
	c.must(api.Act{Op: api.OpBack})
	c.scanner.scan(codeBeer)
	c.until("it is added", func(v api.View) bool { return v.Count == 2 })
}

// B03: the sale goes on without printer and drawer; later the receipt and the drawer are had with one touch.
func TestB03NoPrinter(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.printer.gone()
	c.on()
	c.scanner.scan(codeTea)
	v := c.until("a piece is there", inPhase(api.PhaseSale))
	require.Equal(t, "absent", v.Devices[1].State)
	require.Contains(t, v.Devices[1].Text, "販売は続けられます")
	require.Equal(t, "absent", v.Devices[2].State)
	c.must(api.Act{Op: api.OpCash, Amount: 200})
	v = c.until("it is said", func(v api.View) bool { return v.Print.State == "not-done" && v.Drawer.State == "failed" })
	require.Equal(t, api.PhaseDone, v.Phase)
	require.Equal(t, int64(62), v.Change)
	require.NotNil(t, v.Message)

	c.printer = playPrinter(t, c.at("printer"), c.journal.Client("printer"))
	c.until("the printer is seen", func(v api.View) bool { return v.Devices[1].State == "ready" })
	c.must(api.Act{Op: api.OpPrint})
	c.until("paper and drawer are done", settled)
	require.NotContains(t, text(c.printer.paper()[0]), "再発行", "none came out before")
	require.Len(t, c.printer.drawer(), 1)
}

func TestReprintIsMarked(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.on()
	c.scanner.scan(codeTea)
	c.until("a piece is there", inPhase(api.PhaseSale))
	c.must(api.Act{Op: api.OpCash})
	c.until("paper and drawer are done", settled)
	c.must(api.Act{Op: api.OpPrint})
	c.until("the second is done", func(v api.View) bool { return settled(v) && len(c.printer.paper()) == 2 })
	c.must(api.Act{Op: api.OpNext})
	c.must(api.Act{Op: api.OpPrint}) // also when the next customer is there
	require.Eventually(t, func() bool { return len(c.printer.paper()) == 3 }, 5*time.Second, 5*time.Millisecond)
	jobs := c.printer.paper()
	require.NotContains(t, text(jobs[0]), "再発行")
	require.Contains(t, text(jobs[1]), "再発行")
	require.Contains(t, text(jobs[2]), "再発行")
	require.Len(t, c.printer.drawer(), 1, "a copy does not open the drawer")
}

// Paper that is out holds up the paper, not the next customers; every result finds its sale.
func TestPaperWaitsWhileSellingGoesOn(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.printer.wait = make(chan struct{})
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	for i := range 4 {
		c.must(api.Act{Op: api.OpCode, Code: codeTea})
		v := c.must(api.Act{Op: api.OpCash})
		require.Equal(t, fmt.Sprintf("%06d", i+1), v.Receipt)
		require.Equal(t, "printing", v.Print.State)
	}
	close(c.printer.wait)
	c.until("the last receipt is done", func(v api.View) bool { return v.Print.State == "done" })
	require.Eventually(t, func() bool { return strings.Count(strings.Join(c.kinds(), " "), "print.done") == 4 }, 5*time.Second, 10*time.Millisecond)
	var ids []string
	for _, j := range c.printer.paper() {
		ids = append(ids, j.ID)
	}
	require.Equal(t, []string{"R02-000001-1", "R02-000002-1", "R02-000003-1", "R02-000004-1"}, ids)
}

// Ten scans a second and far more: none is lost, none doubled, and a screen that reads slowly holds up nothing.
func TestScanBurst(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := 0
	go c.client.Watch(ctx, func(api.View) error { seen++; time.Sleep(time.Second); return nil })
	const n = 600
	want := map[string]int{}
	begin := time.Now()
	for i := range n {
		code := []string{codeTea, codeTea, codeBeer}[i%3]
		want[code]++
		c.scanner.scan(code)
	}
	v := c.until("all are there", func(v api.View) bool { return v.Count == n })
	t.Logf("%d scans recorded one by one in %v", n, time.Since(begin))
	got := map[string]int{}
	for _, l := range v.Lines {
		got[l.Code] += l.Qty
	}
	require.Equal(t, want, got)
	require.Equal(t, int64(400*138+200*228), v.Total)
}

func TestScannerRestart(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.on()
	c.scanner.scan(codeTea, codeTea, codeTea)
	c.until("three are there", func(v api.View) bool { return v.Count == 3 })
	c.scanner.restart()
	c.scanner.scan(codeBeer, codeBeer)
	v := c.until("the new ones are there too", func(v api.View) bool { return v.Count == 5 })
	require.Nil(t, v.Message)
	c.on() // now the register: it goes on after the newest recorded scan
	c.until("the sale is back", func(v api.View) bool { return v.Count == 5 })
	c.scanner.scan(codeBeer)
	c.until("one more is there", func(v api.View) bool { return v.Count == 6 })
	time.Sleep(2 * retryTime)
	require.Equal(t, 6, c.must(api.Act{Op: api.OpAck}).Count)
}

func TestMissedScansAreSaid(t *testing.T) {
	t.Parallel()
	c := set(t)
	c.scanner.scan(codeTea)
	c.scanner.mu.Lock()
	c.scanner.scans[0].Seq = 4 // three were overtaken
	c.scanner.mu.Unlock()
	c.on()
	v := c.until("the loss is said", func(v api.View) bool { return v.Message != nil && v.Message.Code == "scanner-gap" })
	require.Contains(t, v.Message.Text, "3件")
	require.Equal(t, 1, v.Count, "the one that is there counts")
}
