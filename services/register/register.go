// Package register runs the counter: it owns the open sale, takes scans and touches, has everything recorded by the journal before
// anybody sees it, and then has the drawer opened and the receipt printed.
//
// It is not the sale (package till/sale computes), not the record (the journal keeps), and not a driver. The rule that keeps it small: one
// goroutine owns the book; whatever comes from outside is a message to it, and the book changes only by an event that the journal has taken.
//
// When the journal does not answer, nothing is sold; record.go says how the register finds its way back. When any other service does not
// answer, selling goes on and the View says what is missing.
package register

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/sirupsen/logrus"

	boot "github.com/choba-os/choba/services/boot/api"
	devices "github.com/choba-os/choba/services/devices/api"
	journal "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/register/pack"
	"github.com/choba-os/choba/services/till/book"
	"github.com/choba-os/choba/services/till/catalogue"
	"github.com/choba-os/choba/services/till/sale"
	update "github.com/choba-os/choba/services/update/api"
)

// Config is what a register is built from.
type Config struct {
	Pack    pack.Pack
	Journal string      // socket
	Scanner string      // socket
	Printer string      // socket
	Update  string      // socket; "" for none: then nothing is said about updates
	Facts   *boot.Facts // what init says of this boot; nil when it says nothing
	Now     func() time.Time
	Log     *logrus.Entry
	Ready   func() // called once: the journal was replayed, and a test scan came through (selftest.go)
	Alive   func() // called by the main loop, several times a second

	Unproven time.Duration // how long readiness waits for the test scan; 0: 45 s
}

// How long things may take. The main loop waits for the journal, so these stay below the five seconds in which it must show life.
const (
	appendTime = 3 * time.Second
	drawerTime = 10 * time.Second
	printTime  = 10 * time.Minute // paper may have to be fetched
	tickTime   = 250 * time.Millisecond
	pauseTicks = 2
	printQueue = 64
)

// Register is one counter. New makes it, Run runs it; Do and Handler may be used by several goroutines at once.
type Register struct {
	cfg       Config
	zone      *time.Location
	catalogue catalogue.Catalogue
	operator  pack.Staff
	journal   *journal.Client
	scanner   *devices.ScannerClient
	printer   *devices.PrinterClient
	hub       *hub
	run       string // names this run of the program

	proved  chan struct{} // closed when the test scan has arrived
	touches chan touch
	scans   chan scan
	results chan sale.Event // of print jobs and drawer commands
	health  chan health
	jobs    chan printJob
	updates chan *update.View // what the update service says; nil: nothing any more
	told    chan error        // what it said to a touch
	busyNow chan bool         // holds one: whether a sale is open

	// The rest belongs to the goroutine of Run.
	ctx     context.Context
	begun   time.Time // when Run began, by the clock that no test holds still
	proven  bool      // the test scan has arrived
	said    bool      // Ready was called
	book    book.State
	seq     uint64       // number of the first journal entry that is not in the book
	boot    string       // the machine's boot, as the journal names it
	scanned uint64       // number of the newest recorded scan of this boot; 0 for none
	down    error        // why the journal cannot be used; nil when it can
	killed  bool         // the newest own entry is of this boot: a run before this one was ended without a reboot
	pause   int          // ticks until the next resume
	paused  bool         // the pause after a restart was made
	started bool         // the journal was replayed and what an earlier run left open is settled
	ours    map[any]bool // jobs and commands that this run has sent and that have no result yet
	late    []sale.Event // results that wait for the journal
	waiting *scan        // a scan that waits for the journal
	acked   []string     // the newest touches that needed no record
	message *api.Message
	unread  []*api.Message           // what became of scans that registered nothing, until a person confirms each
	devices map[string]devices.State // by role; what is not in it does not answer
	shown   string                   // the minute on the screen
	update  *update.View             // nil while the update service does not answer
	busy    bool                     // what it was last told
}

// New builds a register from a checked pack.
func New(cfg Config) (*Register, error) {
	zone, err := cfg.Pack.Zone()
	if err != nil {
		return nil, err
	}
	goods, err := cfg.Pack.Catalogue()
	if err != nil {
		return nil, err
	}
	if cfg.Unproven == 0 {
		cfg.Unproven = unproven
	}
	r := &Register{
		proved: make(chan struct{}), cfg: cfg, zone: zone, catalogue: goods, run: rand.Text()[:8],
		journal: journal.New(cfg.Journal), scanner: devices.Scanner(cfg.Scanner), printer: devices.Printer(cfg.Printer),
		touches: make(chan touch), scans: make(chan scan), results: make(chan sale.Event, printQueue), health: make(chan health),
		updates: make(chan *update.View), told: make(chan error, 1), busyNow: make(chan bool, 1), busy: true,
		jobs: make(chan printJob, printQueue), ours: map[any]bool{}, devices: map[string]devices.State{},
	}
	for _, s := range cfg.Pack.Staff {
		if s.ID == cfg.Pack.Operator {
			r.operator = s
		}
	}
	r.down = errNotYet
	r.message = r.say(msgStarting)
	r.hub = newHub(r.view(1))
	return r, nil
}

// Run works until ctx ends. It never gives up by itself: whatever is missing may come back.
func (r *Register) Run(ctx context.Context) error {
	r.ctx, r.begun = ctx, time.Now()
	go r.selfTest(ctx)
	go r.printJobs(ctx)
	go r.watchDevice(ctx, roleScanner, r.scanner.Watch)
	go r.watchDevice(ctx, rolePrinter, r.printer.Watch)
	r.startUpdates(ctx)
	tick := time.NewTicker(tickTime)
	defer tick.Stop()
	r.resume()
	for ctx.Err() == nil {
		r.cfg.Alive()
		select {
		case <-ctx.Done():
		case t := <-r.touches:
			t.answer <- r.touch(t.act)
		case s := <-r.scans:
			r.waiting = &s
			r.takeScan()
		case e := <-r.results:
			r.late = append(r.late, e)
			r.settleLate()
		case h := <-r.health:
			r.setHealth(h)
		case v := <-r.updates:
			r.setUpdate(v)
		case err := <-r.told:
			r.answered(err)
		case <-tick.C:
			r.tick()
		}
	}
	return nil
}

// tick does what waits: for the journal, or for the minute to be over.
func (r *Register) tick() {
	if r.down != nil {
		r.resume()
	}
	r.settleLate()
	r.sayReady()
	r.sayBusy()
	if r.now().Format("15:04") != r.shown {
		r.publish()
	}
}

func (r *Register) now() time.Time { return r.cfg.Now().In(r.zone).Truncate(time.Second) }

// publish shows the state as it is now.
func (r *Register) publish() {
	r.shown = r.now().Format("15:04")
	r.sayBusy()
	r.hub.set(r.view)
}
