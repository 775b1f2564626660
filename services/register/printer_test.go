package register

import (
	"context"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/escpos"
	"github.com/choba-os/choba/drivers/escpos/outline"
	devices "github.com/choba-os/choba/services/devices/api"
	printerservice "github.com/choba-os/choba/services/devices/printer"
	"github.com/choba-os/choba/services/link"
	portsapi "github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/till/catalogue"
	"github.com/choba-os/choba/services/till/day"
	"github.com/choba-os/choba/services/till/receipt"
	"github.com/choba-os/choba/services/till/sale"
	"github.com/choba-os/choba/services/till/tax"
	twin "github.com/choba-os/choba/tests/bench/printer"
)

// realPrinter puts the real printer service, with the bench's printer on its line, where the played one was.
func (c *counter) realPrinter() *twin.Printer {
	c.printer.gone()
	font, err := outline.New()
	require.NoError(c.t, err)
	tape := twin.New(twin.Options{Font: font, LineTime: time.Microsecond, Buffer: 1 << 16})
	ended := make(chan struct{}, 1)
	ended <- struct{}{}
	s := printerservice.New(printerservice.Options{
		Claim: func(ctx context.Context) (*portsapi.Handed, error) { // a new line whenever the last one was given up
			select {
			case <-ended:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return nil, err
			}
			go func() {
				tape.Serve(os.NewFile(uintptr(fds[1]), "twin"))
				ended <- struct{}{}
			}()
			return &portsapi.Handed{Role: "printer", Device: "played", Kind: "bytes", File: os.NewFile(uintptr(fds[0]), "line")}, nil
		},
		Font: font, Journal: c.journal.Client("printer"), Now: time.Now, Log: silent(),
		Mono: func() (int64, error) {
			var ts unix.Timespec
			err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
			return ts.Nano(), err
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { s.Run(ctx, func() {}) })
	serve(c.t, &wait, ctx, c.at("printer"), s.Handler())
	c.t.Cleanup(func() { cancel(); wait.Wait() })
	return tape
}

// The real printer service takes the register's proofs and lines: one pulse, and the receipt on paper.
func TestRealPrinterService(t *testing.T) {
	t.Parallel()
	c := set(t)
	tape := c.realPrinter()
	c.on()
	c.until("the printer is there", func(v api.View) bool { return v.Devices[1].State != "absent" })
	c.scanner.scan(codeTea, codeTea, codeBeer, codeCable)
	c.until("four are there", func(v api.View) bool { return v.Count == 4 })
	c.must(api.Act{Op: api.OpCash, Amount: 10000})
	v := c.until("paper and drawer have an end", func(v api.View) bool {
		return v.Print.State != "printing" && v.Print.State != "" && v.Drawer.State != "opening" && v.Drawer.State != ""
	})
	require.Equal(t, "done", v.Print.State)
	require.Equal(t, "opened", v.Drawer.State)
	require.Len(t, tape.Kicks(), 1)
	require.Len(t, tape.Papers(), 1)
	for _, want := range []string{"登録番号 T7123456789012", "宇治抹茶入り緑茶 500ml", "¥276※", "¥1,784", "(内消費税等", "お釣り", "※印は軽減税率(8%)対象商品です。"} {
		require.Contains(t, tape.Papers()[0].Text, want)
	}
	if dir := os.Getenv("CHOBA_PICTURES"); dir != "" {
		f, err := os.Create(filepath.Join(dir, "receipt.png"))
		require.NoError(t, err)
		defer f.Close()
		require.NoError(t, png.Encode(f, tape.Papers()[0].Image))
	}
}

// The longest sale in the longest words on the narrowest paper is still a job that the printer takes.
func TestLongestReceipt(t *testing.T) {
	t.Parallel()
	s := sale.State{}
	do := func(e sale.Event) {
		var err error
		s, _, err = sale.Apply(s, e)
		require.NoError(t, err)
	}
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	longest := strings.Repeat("長", catalogue.MaxName)
	do(sale.Opened{Sale: "000001", Register: "02", Business: day.Of(noon), At: noon, Operator: sale.Operator{ID: "1", Name: longest}, Pack: "p.1",
		Terms: tax.Terms{Included: true, Rounding: tax.Floor, Rates: []tax.Rate{{Class: tax.Reduced, Points: 800, Reduced: true}}}})
	for i := range sale.MaxLines {
		do(sale.ItemAdded{Sale: "000001", Line: i + 1, Qty: 2, Item: catalogue.Article{Code: "000001", Name: longest, NameEn: "x", Department: "d", Tax: tax.Reduced, Price: 90_000}})
	}
	do(sale.Tendered{Sale: "000001", Tender: "cash", Type: sale.Cash, Amount: 90_000_000})
	done, err := s.Completion(noon)
	require.NoError(t, err)
	do(done)
	lines, err := receipt.Build(receipt.Shop{Name: longest, Address: longest, Phone: longest}, s, sale.Job{ID: "j", Reissue: true, At: noon}, receipt.Narrow)
	require.NoError(t, err)
	require.LessOrEqual(t, len(lines), escpos.MaxLines)
	body, err := json.Marshal(devices.Job{ID: "j", Lines: paper(lines), Cut: true})
	require.NoError(t, err)
	require.Less(t, len(body), link.MaxBody)
}
