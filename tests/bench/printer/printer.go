// Package printer is the twin of a receipt printer with a cash drawer: it takes
// ESC/POS from any line, answers as the real thing does, and shows the paper as
// text and as a picture.
//
// It is not part of the product and shares no command code with the driver; it
// shares the typeface, so that the paper looks like the shop's.
//
// The rule that keeps it small: what a real printer would do with these bytes,
// and the faults that a real printer has; no judgement on whether the bytes
// were right.
package printer

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/choba-os/choba/drivers/escpos"
)

// Fault is something that is wrong with the printer.
type Fault string

// The faults.
const (
	NearEnd     Fault = "paper-near-end"
	PaperOut    Fault = "paper-out"
	CoverOpen   Fault = "cover-open"
	CutterJam   Fault = "cutter-jam"   // shows at the next cut; mended, it waits for DLE ENQ
	Offline     Fault = "offline"      // switched off line at its panel
	Garbled     Fault = "garbled"      // answers come with flipped bits
	Late        Fault = "late"         // answers come two seconds late
	Half        Fault = "half"         // of every second answer only the first half comes
	Off         Fault = "off"          // without power: what was in its buffer is lost
	DrawerStuck Fault = "drawer-stuck" // the pulse moves nothing
	NoMarks     Fault = "no-marks"     // a make that knows no process ids
)

// Faults lists them, for a page of switches.
func Faults() []Fault {
	return []Fault{NearEnd, PaperOut, CoverOpen, CutterJam, Offline, Garbled, Late, Half, Off, DrawerStuck, NoMarks}
}

// Kick is one pulse on the drawer's connector.
type Kick struct {
	At time.Time
	// Now: by the real-time command.
	Now bool
	// Pin is 2 or 5; On is the length of the pulse.
	Pin int
	On  time.Duration
}

// Options are how this printer differs from the next.
type Options struct {
	// Font draws the letters; nil leaves the picture without them.
	Font escpos.Font
	// Buffer is the size of the receive buffer, 4096 when 0.
	Buffer int
	// LineTime is how long a line takes.
	LineTime time.Duration
	// Maker and Model answer GS I.
	Maker, Model string
	// Changed is called after every change, without arguments; it must not wait.
	Changed func()
}

// Printer is one printer. It keeps its paper, its drawer and its faults over
// any number of lines (unplug, replug).
type Printer struct {
	opts Options
	line sync.Mutex // held while a line is served

	mu     sync.Mutex // guards all below
	more   *sync.Cond // tokens came, or a fault went
	faults map[Fault]bool
	paper  int // dots left on the roll, -1: a roll that never ends
	out    chan said
	flip   int // counts answers, for the faults that take every second one
	z      *Tokenizer
	rt     now
	queue  []Token
	queued int // bytes in queue
	lost   int
	asb    byte
	last   [4]byte
	jam    bool // stopped at a cut
	drawer bool
	kicks  []Kick
	log    []Token
	page   page
	done   []Paper
	gen    int // rises when the power goes, so that work under way is dropped
}

// New returns a printer with paper, closed, switched on, its drawer shut.
func New(opts Options) *Printer {
	if opts.Buffer == 0 {
		opts.Buffer = 4096
	}
	if opts.Maker == "" {
		opts.Maker, opts.Model = "EPSON", "TM-T88 twin"
	}
	p := &Printer{opts: opts, faults: map[Fault]bool{}, paper: -1, z: NewTokenizer()}
	p.more = sync.NewCond(&p.mu)
	p.page = newPage(opts.Font)
	return p
}

// Serve is the printer at the end of a line, until the line ends. One line at a
// time.
func (p *Printer) Serve(line io.ReadWriter) error {
	p.line.Lock() // a cable that is pulled and put back at once: the old end has to be gone first
	defer p.line.Unlock()
	p.mu.Lock()
	p.out = make(chan said, 1024)
	out := p.out
	p.asb = 0
	p.mu.Unlock()
	var wg sync.WaitGroup
	end := make(chan struct{})
	wg.Go(func() { p.answer(line, out) })
	wg.Go(func() { p.work(end) })
	buf := make([]byte, 1024)
	var err error
	for err == nil {
		var n int
		n, err = line.Read(buf)
		p.receive(buf[:n])
	}
	p.mu.Lock()
	p.out = nil
	close(out)
	close(end)
	p.more.Broadcast()
	p.mu.Unlock()
	wg.Wait()
	if err == io.EOF {
		return nil
	}
	return fmt.Errorf("reading the printer's line: %w", err)
}

// said is an answer and when it leaves.
type said struct {
	b   []byte
	due time.Time
}

// answer sends what was said, in order.
func (p *Printer) answer(line io.Writer, out <-chan said) {
	for a := range out {
		time.Sleep(time.Until(a.due))
		_, _ = line.Write(a.b) // the line may have ended; Read says so
	}
}

func (p *Printer) receive(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.faults[Off] || len(b) == 0 {
		return
	}
	p.rt.feed(b, p.atOnce)
	room := p.opts.Buffer - p.queued - p.z.Held()
	if len(b) > room {
		p.lost += len(b) - max(room, 0)
		b = b[:max(room, 0)]
	}
	p.z.Feed(b, func(t Token) {
		if t.Bytes[0] == 0x10 { // carried out when it came in
			return
		}
		p.queue = append(p.queue, t)
		p.queued += len(t.Bytes)
	})
	p.more.Broadcast()
}

// work carries out the buffer, and stops while somebody has to help.
func (p *Printer) work(end <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for len(p.queue) == 0 || p.stopped() {
			select {
			case <-end:
				return
			default:
			}
			p.more.Wait()
		}
		t, gen := p.queue[0], p.gen
		if t.Name == "GS V" && p.faults[CutterJam] {
			p.jam = true
			p.sense()
			continue
		}
		feed := p.do(t)
		if p.gen == gen && len(p.queue) > 0 {
			p.queue, p.queued = p.queue[1:], p.queued-len(t.Bytes)
		}
		p.used(feed)
		if feed > 0 && p.opts.LineTime > 0 {
			p.mu.Unlock()
			time.Sleep(p.opts.LineTime)
			p.mu.Lock()
		}
		p.changed()
	}
}

// used takes paper from the roll.
func (p *Printer) used(dots int) {
	if p.paper < 0 || dots == 0 {
		return
	}
	p.paper = max(0, p.paper-dots)
	p.faults[NearEnd] = p.paper < nearEndDots
	p.faults[PaperOut] = p.paper == 0
	p.sense()
}

// nearEndDots is the paper left when the near-end sensor speaks: half a metre.
const nearEndDots = 4000

func (p *Printer) stopped() bool {
	f := p.faults
	return f[PaperOut] || f[CoverOpen] || f[Offline] || f[Off] || p.jam
}

func (p *Printer) changed() {
	if p.opts.Changed != nil {
		p.opts.Changed()
	}
}

// say queues an answer, as the faults leave it.
func (p *Printer) say(b ...byte) {
	if p.out == nil || p.faults[Off] {
		return
	}
	b = append([]byte(nil), b...)
	p.flip++
	if p.faults[Garbled] {
		for i := range b {
			b[i] ^= byte(0x21 << (p.flip % 3))
		}
	}
	if p.faults[Half] && p.flip%2 == 0 {
		b = b[:len(b)/2]
	}
	a := said{b: b, due: time.Now()}
	if p.faults[Late] {
		a.due = a.due.Add(lateness)
	}
	select {
	case p.out <- a:
	default: // nobody reads: a real printer's answers are lost too
	}
}

const lateness = 2 * time.Second

// sense sends an automatic status when something changed.
func (p *Printer) sense() {
	now := p.status()
	if p.asb != 0 && now != p.last {
		p.say(now[:]...)
	}
	p.last = now
	p.more.Broadcast()
	p.changed()
}

func on(set bool, bits byte) byte {
	if set {
		return bits
	}
	return 0
}

// status is the automatic status: four bytes.
func (p *Printer) status() [4]byte {
	f := p.faults
	return [4]byte{
		0x10 | on(p.drawer, 0x04) | on(p.stopped(), 0x08) | on(f[CoverOpen], 0x20),
		on(p.jam, 0x08),
		on(f[NearEnd] || f[PaperOut], 0x03) | on(f[PaperOut], 0x0c),
		0x00,
	}
}
