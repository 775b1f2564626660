package vm

import (
	"image"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/view"
	"github.com/choba-os/choba/tests/bench"
	"github.com/choba-os/choba/tests/bench/wedge"
)

// The goods of the sample shop that the tests sell.
const (
	tea     = "4901234567894" // ¥138, reduced rate
	onigiri = "4902345678905" // ¥168, reduced rate
	cable   = "4905678901238" // ¥1,280, standard rate
)

// receipts waits until n receipts are cut off and returns the last.
func receipts(t *testing.T, r *bench.Register, n int) string {
	t.Helper()
	require.Eventually(t, func() bool { return len(r.Printer.Papers()) >= n }, 60*time.Second, 50*time.Millisecond,
		"receipt %d; hanging: %q", n, r.Printer.Hanging().Text)
	p := r.Printer.Papers()
	require.Len(t, p, n)
	return p[n-1].Text
}

// line finds the line of a receipt that contains the word.
func line(t *testing.T, text, word string) string {
	t.Helper()
	for _, l := range strings.Split(text, "\n") {
		if strings.Contains(l, word) {
			return l
		}
	}
	t.Fatalf("no line with %q on\n%s", word, text)
	return ""
}

// From power to a printed receipt: three goods, one dearer by rate, cash, the
// change on the screen, the drawer, the paper (A27, A29, A35, A37, B03).
func TestSale(t *testing.T) {
	r := register(t, nil)
	on(t, r, ready)
	wait(t, r, `screen: painted`)
	m := newMirror(t)
	m.shows(r, "sale-empty", below)

	for _, code := range []string{tea, onigiri, cable} {
		require.NoError(t, r.Scan(code))
		m.do(api.Act{Op: api.OpCode, Code: code})
		m.shows(r, "sale-"+code, below)
	}
	require.EqualValues(t, 138+168+1280, m.now.Total)

	m.touch(r, "tender:cash")
	m.do(api.Act{Op: api.OpTender})
	m.shows(r, "tender", below)
	m.touch(r, "quick:2000")
	m.do(api.Act{Op: api.OpCash, Amount: 2000})
	require.EqualValues(t, 414, m.now.Change)
	m.shows(r, "change", changeOnly(m))

	paper := receipts(t, r, 1)
	save(t, r.Printer.Papers()[0].Image, "receipt")
	require.Contains(t, line(t, paper, "合計"), "1,586")
	require.Contains(t, line(t, paper, "10%対象"), "1,280")
	require.Contains(t, line(t, paper, "8%対象"), "306")
	require.Contains(t, paper, "116") // 1280×10/110
	require.Contains(t, paper, "22")  // 306×8/108
	require.Contains(t, line(t, paper, "釣"), "414")
	require.Contains(t, line(t, paper, "緑茶"), "※")
	require.Regexp(t, `T\d{13}`, paper)
	require.Len(t, r.Printer.Kicks(), 1)
	require.True(t, r.DrawerOpen())
	r.CloseDrawer()

	strangers(t, r)
	junk(t, r, m)
	burst(t, r)
	offline(t, r)
}

// changeOnly is the dialog without the lines that tell of the devices, which
// the mirror has not got.
func changeOnly(*mirror) image.Rectangle { return view.Paid(width, height) }

// total is the panel with the sum and the number of pieces.
var total = image.Rect(592, 72, 1264, 248)

// A device that the policy does not name stays off, and it is recorded (A25, A41, A63).
func strangers(t *testing.T, r *bench.Register) {
	for port, d := range map[int]interface {
		Plug(string) error
		Configured() <-chan struct{}
		Unplug()
	}{1: wedge.Keyboard(), 2: wedge.Stick(), 3: wedge.Unit("SWAPPED-1")} {
		require.NoError(t, d.Plug(r.USB(port)))
		select {
		case <-d.Configured():
			t.Errorf("the stranger on port %d was bound", port)
		case <-time.After(4 * time.Second):
		}
		d.Unplug()
	}
}

// Unknown barcodes, absurd lengths and stray keys lose nothing and break nothing.
func junk(t *testing.T, r *bench.Register, m *mirror) {
	odd := []string{"4909999999998", "1", strings.Repeat("9", 200), "abc<script>", "\x1b\b\t"}
	for _, code := range odd {
		require.NoError(t, r.Scan(code))
		time.Sleep(time.Second)
	}
	require.NoError(t, r.Scan(tea))
	m.do(api.Act{Op: api.OpNext})
	m.do(api.Act{Op: api.OpCode, Code: tea})
	time.Sleep(3 * time.Second)
	keep(t, r, "junk")
	for range odd { // each has to be confirmed: goods may lie in the bag that are not on the list
		require.NoError(t, r.Tap(width/2, 495)) // the dialog's one key, wherever its text ends
		time.Sleep(1500 * time.Millisecond)
	}
	m.shows(r, "after-junk", below)
	exact(t, r, m)
	require.Contains(t, line(t, receipts(t, r, 2), "合計"), "138")
	r.CloseDrawer()
}

// exact pays whatever is open with the exact amount.
func exact(t *testing.T, r *bench.Register, m *mirror) {
	m.touch(r, "tender:cash")
	m.do(api.Act{Op: api.OpTender})
	time.Sleep(time.Second)
	m.touch(r, "exact")
	m.do(api.Act{Op: api.OpCash})
}

// Ten scans a second for a while: none is lost, none counted twice (A27).
func burst(t *testing.T, r *bench.Register) {
	const scans = 100
	for range scans {
		require.NoError(t, r.Scan(tea))
		time.Sleep(100 * time.Millisecond)
	}
	end := time.Now()
	m := newMirror(t)
	m.do(api.Act{Op: api.OpCode, Code: tea})
	m.do(api.Act{Op: api.OpQuantity, Qty: scans})
	m.shows(r, "burst", total)
	t.Logf("%d scans in 10 s: the last one is on the screen %.1f s later", scans, time.Since(end).Seconds())
	m.touch(r, "tender:cash")
	m.do(api.Act{Op: api.OpTender})
	time.Sleep(2 * time.Second)
	m.touch(r, "exact")
	text := receipts(t, r, 3)
	require.Contains(t, line(t, text, "合計"), "13,800")
	r.CloseDrawer()
}

// Without its printer the register goes on selling and says what is missing (B03).
func offline(t *testing.T, r *bench.Register) {
	r.UnplugPrinter()
	time.Sleep(2 * time.Second)
	require.NoError(t, r.Scan(cable))
	time.Sleep(2 * time.Second)
	keep(t, r, "printer-missing")
	require.Len(t, r.Printer.Papers(), 3)
}
