package register

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	devices "github.com/choba-os/choba/services/devices/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/till/sale"
)

// A day that nobody planned: touches, scans, power cuts, a journal that comes and goes, a printer that says anything. At the end the record adds up, what is on
// the screen is what the record says, every scan of an article is in the record once or was refused while paying, and no receipt without a mark came out twice.
// CHOBA_SEED repeats a day.
func TestRandomDay(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for real time")
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("CHOBA_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("CHOBA_SEED=%d", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	c := set(t)
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	for range 120 {
		c.randomStep(dice)
	}
	c.faults.set(0, 0, 0, 0)
	c.printer.will(devices.Done)
	time.Sleep(5 * retryTime) // the last scans come in
	v := c.until("it is calm", func(v api.View) bool {
		return v.Phase != api.PhaseStarting && v.Devices[3].State == "ready" && v.Print.State != "printing" && v.Drawer.State != "opening"
	})
	c.cut()
	end := fold(t, c.entries())
	switch end.Sale.Phase {
	case sale.Open, sale.Tendering:
		require.Equal(t, end.Sale.Count(), v.Count)
	case sale.Complete:
		require.Equal(t, end.Sale.Dismissed, v.Phase == api.PhaseIdle)
	}
	numbers, scans := map[string]int{}, map[string]bool{}
	for _, e := range c.entries() {
		event, err := sale.Decode(e.Kind, e.Content)
		require.NoError(t, err)
		switch event := event.(type) {
		case sale.Opened:
			numbers[event.Sale]++
			require.Equal(t, sale.Number(uint64(len(numbers))), event.Sale)
		case sale.ItemAdded:
			if event.Scan > 0 {
				key := fmt.Sprint(e.Boot, event.Scan)
				require.False(t, scans[key], "scan %d is there twice", event.Scan)
				scans[key] = true
			}
		}
	}
	originals := map[string]int{}
	for _, j := range c.printer.paper() {
		if !strings.Contains(text(j), "再発行") && !c.printer.refused[j.ID] {
			originals[j.ID[:10]]++
			require.Equal(t, 1, originals[j.ID[:10]], j.ID)
		}
	}
	t.Logf("%d sales, %d scans in the record, %d receipts", len(numbers), len(scans), len(c.printer.paper()))
}

func (c *counter) randomStep(dice *rand.Rand) {
	codes := []string{codeTea, codeBeer, codeCable, "12", "4909999999998", "junk"}
	code := codes[dice.IntN(len(codes))]
	switch dice.IntN(24) {
	case 0, 1, 2, 3, 4, 5, 6:
		c.scanner.scan(code)
	case 7:
		c.try(api.Act{Op: api.OpCode, Code: code, Qty: dice.IntN(4)})
	case 8:
		c.try(api.Act{Op: api.OpQuantity, Qty: dice.IntN(5)})
	case 9:
		c.try(api.Act{Op: api.OpRemove, Line: dice.IntN(4)})
	case 10:
		c.try(api.Act{Op: api.OpTender})
	case 11:
		c.try(api.Act{Op: api.OpBack})
	case 12, 13, 14:
		c.try(api.Act{Op: api.OpCash, Amount: int64(dice.IntN(3)) * 5000})
	case 15:
		c.try(api.Act{Op: api.OpNext})
	case 16:
		c.try(api.Act{Op: api.OpPrint})
	case 17:
		c.try(api.Act{Op: []string{api.OpCancel, api.OpDrawer, api.OpAck}[dice.IntN(3)]})
	case 18:
		c.printer.will([]string{devices.Done, devices.Done, devices.NotDone, devices.Unknown}[dice.IntN(4)])
	case 19:
		c.faults.set(dice.IntN(3), dice.IntN(2), 0, 0)
	case 20:
		c.faults.set(dice.IntN(3), 0, dice.IntN(2), 0)
	case 21:
		c.on()
	case 22:
		c.journal.Restart()
	case 23:
		time.Sleep(time.Duration(dice.IntN(300)) * time.Millisecond)
	}
}

// try does an act as a screen does: with the same identity, for as long as the answer is not clear.
func (c *counter) try(a api.Act) {
	c.acts++
	a.ID = fmt.Sprintf("t%d", c.acts)
	for range 40 {
		_, err := c.act(a)
		if k := link.KindOf(err); k != link.Unavailable && k != link.Unknown {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
}
