package bench

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/choba-os/choba/drivers/escpos/outline"
	"github.com/choba-os/choba/tests/bench/page"
	"github.com/choba-os/choba/tests/bench/printer"
	"github.com/choba-os/choba/tests/bench/wedge"
)

// scannerPort is the USB port that the scanner is plugged into.
const scannerPort = 0

// Register is a machine with its scanner and its printer: what stands on a
// shop's counter.
type Register struct {
	*Machine
	Scanner *wedge.Scanner
	Printer *printer.Printer

	mu      sync.Mutex // guards line, running, out
	line    net.Conn   // the printer's cable; nil when pulled out
	running bool
	out     bool // the scanner's cable is pulled out
}

// NewRegister prepares a register.
func NewRegister(cfg Config) (*Register, error) {
	m, err := New(cfg)
	if err != nil {
		return nil, err
	}
	font, err := outline.New()
	if err != nil {
		return nil, err
	}
	return &Register{Machine: m, Scanner: wedge.New(), Printer: printer.New(printer.Options{Font: font})}, nil
}

// Start switches the register on with everything plugged in.
func (r *Register) Start(ctx context.Context) error {
	if err := r.Machine.Start(ctx); err != nil {
		return err
	}
	if err := r.PlugPrinter(); err != nil {
		return err
	}
	if err := r.Scanner.Plug(r.USB(scannerPort)); err != nil {
		return err
	}
	r.mu.Lock()
	r.running, r.out = true, false
	r.mu.Unlock()
	return nil
}

// Cut takes the power away from everything at once.
func (r *Register) Cut() {
	r.mu.Lock()
	r.running = false
	r.mu.Unlock()
	r.Machine.Cut()
	r.Scanner.Unplug()
	r.UnplugPrinter()
}

// PlugPrinter puts the printer's USB cable in.
func (r *Register) PlugPrinter() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.line != nil {
		return nil
	}
	c, err := net.Dial("unix", r.PrinterLine())
	if err != nil {
		return fmt.Errorf("plugging in the printer: %w", err)
	}
	r.line = c
	go func() {
		r.Printer.Serve(c) // ends with the line
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.line == c {
			r.line = nil
		}
		c.Close()
	}()
	return nil
}

// UnplugPrinter pulls the printer's USB cable out.
func (r *Register) UnplugPrinter() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.line != nil {
		r.line.Close()
		r.line = nil
	}
}

// Scan holds a barcode under the scanner.
func (r *Register) Scan(code string) error {
	if !r.Running() {
		return errors.New("scanning: the register is off")
	}
	return r.Scanner.Scan(code)
}

// Running tells whether the power is on and the machine has not ended.
func (r *Register) Running() bool {
	r.mu.Lock()
	on := r.running
	r.mu.Unlock()
	if !on {
		return false
	}
	select {
	case <-r.Exited():
		return false
	default:
		return true
	}
}

// The methods below make a Register what the page shows.
var _ page.Register = (*Register)(nil)

// Picture is what the screen shows; an error while the power is off.
func (r *Register) Picture() (image.Image, error) {
	if !r.Running() {
		return nil, errors.New("taking a picture: the register is off")
	}
	return r.Machine.Picture()
}

// Tap touches the screen.
func (r *Register) Tap(x, y int) error {
	if !r.Running() {
		return errors.New("touching: the register is off")
	}
	return r.Machine.Tap(x, y)
}

// DrawerOpen tells what a person sees.
func (r *Register) DrawerOpen() bool { return r.Printer.State().Drawer }

// CloseDrawer shuts it by hand.
func (r *Register) CloseDrawer() { r.Printer.MoveDrawer(false) }

// Power pulls the plug or switches on again.
func (r *Register) Power(on bool) error {
	if !on {
		r.Cut()
		return nil
	}
	if r.Running() {
		return errors.New("switching on: it is on already")
	}
	r.Cut()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return r.Start(ctx)
}

// Notes are the console's last lines.
func (r *Register) Notes() string { return lastLines(r.Text(), 40) }

// paperShown is how many receipts the tape keeps in the picture.
const paperShown = 12

// Paper is the tape: the last receipts above each other and what hangs out.
func (r *Register) Paper() (image.Image, int) {
	papers := r.Printer.Papers()
	n := len(papers)
	papers = append([]printer.Paper{}, papers[max(0, n-paperShown):]...)
	if h := r.Printer.Hanging(); h.Image != nil && strings.TrimSpace(h.Text) != "" {
		papers = append(papers, h)
	}
	const gap = 24
	w, h := 0, 0
	for _, p := range papers {
		w, h = max(w, p.Image.Bounds().Dx()), h+p.Image.Bounds().Dy()+gap
	}
	if h == 0 {
		return nil, n
	}
	out := image.NewGray(image.Rect(0, 0, w, h))
	draw.Draw(out, out.Bounds(), image.NewUniform(color.Gray{Y: 0xd7}), image.Point{}, draw.Src)
	y := 0
	for _, p := range papers {
		b := p.Image.Bounds()
		draw.Draw(out, image.Rect(0, y, b.Dx(), y+b.Dy()), p.Image, b.Min, draw.Src)
		y += b.Dy() + gap
	}
	return out, n
}

// The faults of the cables, beside the printer's own.
const (
	faultPrinterCable = "printer-unplugged"
	faultScannerCable = "scanner-unplugged"
)

var faultNames = map[printer.Fault]string{
	printer.NearEnd: "紙残りわずか", printer.PaperOut: "紙切れ", printer.CoverOpen: "カバー開", printer.CutterJam: "カッター詰まり",
	printer.Offline: "オフライン", printer.Garbled: "応答化け", printer.Late: "応答遅れ", printer.Half: "応答欠け", printer.Off: "プリンター電源断",
	printer.DrawerStuck: "引き出し固着", printer.NoMarks: "処理番号なし機種",
}

// Faults lists what can be wrong and what is.
func (r *Register) Faults() []page.Fault {
	on := map[printer.Fault]bool{}
	for _, f := range r.Printer.State().Faults {
		on[f] = true
	}
	var out []page.Fault
	for _, f := range printer.Faults() {
		out = append(out, page.Fault{ID: string(f), Device: string(f), Name: faultNames[f], On: on[f]})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(out, page.Fault{ID: faultPrinterCable, Device: "printer cable", Name: "プリンターのケーブル抜け", On: r.running && r.line == nil},
		page.Fault{ID: faultScannerCable, Device: "scanner cable", Name: "スキャナーのケーブル抜け", On: r.out})
}

// SetFault breaks or mends something.
func (r *Register) SetFault(id string, on bool) error {
	switch id {
	case faultPrinterCable:
		if on {
			r.UnplugPrinter()
			return nil
		}
		return r.PlugPrinter()
	case faultScannerCable:
		r.mu.Lock()
		r.out = on
		r.mu.Unlock()
		if on {
			r.Scanner.Unplug()
			return nil
		}
		return r.Scanner.Plug(r.USB(scannerPort))
	}
	for _, f := range printer.Faults() {
		if string(f) == id {
			r.Printer.Set(f, on)
			return nil
		}
	}
	return fmt.Errorf("breaking %q: no such fault", id)
}
