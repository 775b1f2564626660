package register

import (
	"context"
	"image/png"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	printerservice "github.com/choba-os/choba/services/devices/printer"
	portsapi "github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/till/sale"
	twin "github.com/choba-os/choba/tests/bench/printer"
)

// realPrinter puts the real printer service, with the bench's printer on its line, where the played one was.
func (c *counter) realPrinter() *twin.Printer {
	c.printer.gone()
	paper := twin.New(twin.Options{LineTime: time.Microsecond, Buffer: 1 << 16})
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(c.t, err)
	theirs := os.NewFile(uintptr(fds[1]), "twin")
	go paper.Serve(theirs) // ends when the line is closed
	c.t.Cleanup(func() { theirs.Close() })
	plug := make(chan *portsapi.Handed, 1)
	plug <- &portsapi.Handed{Role: "printer", Device: "played", Kind: "bytes", File: os.NewFile(uintptr(fds[0]), "line")}
	s := printerservice.New(printerservice.Options{
		Claim: func(ctx context.Context) (*portsapi.Handed, error) {
			select {
			case h := <-plug:
				return h, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
		Journal: c.journal.Client("printer"), Now: time.Now, Log: silent(),
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
	return paper
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

// The longest sale fits on the longest job.
func TestLongestReceipt(t *testing.T) {
	t.Parallel()
	c := set(t)
	for i := range c.pack.Articles {
		c.pack.Articles[i].Name = "とても長い名前の商品で一行には入りきらないもの その番号は数えて十と四つ目の一覧の中"
	}
	tape := c.realPrinter()
	c.on()
	c.until("it is idle", inPhase(api.PhaseIdle))
	for i := range sale.MaxLines {
		c.must(api.Act{Op: api.OpCode, Code: c.pack.Articles[i%200].Code, Qty: 2})
	}
	c.must(api.Act{Op: api.OpCash})
	c.until("the receipt is printed", func(v api.View) bool { return v.Print.State == "done" })
	require.Len(t, tape.Papers(), 1)
}
