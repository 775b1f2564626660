package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/drivers/display/notice"
	"github.com/choba-os/choba/drivers/watchdog"
	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/init/console"
	"github.com/choba-os/choba/init/data"
	"github.com/choba-os/choba/init/nodes"
	"github.com/choba-os/choba/init/plan"
	"github.com/choba-os/choba/init/record"
	"github.com/choba-os/choba/init/supervise"
	"github.com/choba-os/choba/init/system"
	"github.com/choba-os/choba/init/volume"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
	bootapi "github.com/choba-os/choba/services/boot/api"
	"github.com/choba-os/choba/services/table"
)

// machine is init's state while it lives. The plan's steps fill it in; after the plan nothing in it changes but what
// says so.
type machine struct {
	environ []string
	console *console.Console
	began   time.Duration // since boot, when init started
	times   times
	world   world

	facts     facts
	trust     trust.Root
	table     table.T
	disk      disk.Disk
	idle      disk.Partition  // of the other slot; zero when it is missing
	running   release.Release // what runs, as its own slot says
	tpm       *seal.TPM       // nil: there is none, and the trust list lets the register sell without
	partition *data.Partition
	volume    *volume.Volume
	watcher   *nodes.Watcher
	journal   *record.Queue
	clock     error // why the clock is not to be believed
	fallback  *bootapi.Fallback
	rebound   uint32 // how often the data key was taken out of escrow
	boot      bootUpdate

	services   *supervise.Set
	start      chan []string // names of services that may start
	readyAfter []string      // "NAME N s", in the order of being ready; the supervision's
	planned    chan struct{} // closed when the plan was run to its end
	wishes     chan wish     // for the end of this boot

	doing     atomic.Value // string: the step of the plan under way
	haveState atomic.Bool  // state is open
	onTrial   atomic.Bool  // the running release is new here
	committed atomic.Bool  // the running release has reached ready, and the slot record says so
	over      atomic.Bool  // somebody ends this boot
	floor     atomic.Uint64

	stateMu sync.Mutex   // held over reading and writing what state keeps: slot record, history, how far a boot update is
	state   frame.Device // state partition

	closersMu sync.Mutex // guards closers
	closers   []closer   // what must be closed before the power goes

	dogMu sync.Mutex    // guards dog
	dog   *watchdog.Dog // nil: none
}

// times are the waits of a boot; tests have shorter ones.
type times struct {
	ready time.Duration // a release on trial: from init's start to every service being ready
	soak  time.Duration // and so long after that without a fault
	grace time.Duration // what the plan may take beyond ready before init itself is at fault
	stop  time.Duration // how long a register that cannot start says why, before it restarts
	early time.Duration // the same, when it is not even known whether the release is on trial
	page  time.Duration // how long a failed trial stays on the screen
	step  time.Duration // the longest that one act of ending a failed boot may take
	all   time.Duration // the same, when a person ends a boot: services may finish what they do
}

func usual() times {
	return times{
		ready: 25 * time.Second, soak: 10 * time.Second, grace: 2 * time.Second,
		stop: time.Minute, early: 10 * time.Second, page: 2 * time.Second, step: 4 * time.Second,
		all: 20 * time.Second,
	}
}

// world is what ends a boot; tests have another one.
type world struct {
	power func(system.End) error
	show  func(notice.Page) (done func(), err error)
}

// wish is somebody's wish for the end of this boot.
type wish struct {
	how system.End
	why string
}

func newMachine(environ []string, c *console.Console) *machine {
	m := &machine{
		environ: environ, console: c, began: system.SinceBoot(), times: usual(), world: world{system.End.Now, show},
		start: make(chan []string, 2), planned: make(chan struct{}), wishes: make(chan wish, 1),
	}
	m.journal = record.New(record.Journal{Socket: table.Socket("journal")}, func(s string) { c.Say("%s", s) })
	return m
}

// live is the life of the register from here to the end of power. It returns only when even switching off failed.
func (m *machine) live() error {
	asked := make(chan os.Signal, 4)
	signal.Notify(asked, unix.SIGTERM, unix.SIGINT)
	go m.signals(asked)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m.console.Say("start, %.2f s since boot", m.began.Seconds())
	go m.watchPlan(ctx)
	if err := m.plan().Run(ctx, m.stepDone); err != nil {
		return m.cannotStart(err)
	}
	close(m.planned)
	return m.end(<-m.wishes)
}

// stepDone feeds the watchdog: a step that came to its end is a sign of life. The time of every step is bounded by the
// watchdog's own.
func (m *machine) stepDone(s plan.Step, took time.Duration, err error) {
	m.feed()
	if err != nil {
		m.console.Say("%s: %v", s.Name, err)
	}
	if took >= slow {
		m.console.Say("%s: took %.2f s", s.Name, took.Seconds())
	}
}

// slow is the time from which on a step's own is worth a line.
const slow = 100 * time.Millisecond

// signals turns signals into wishes.
func (m *machine) signals(asked <-chan os.Signal) {
	for s := range asked {
		if s == unix.SIGINT {
			m.wish(wish{system.Reboot, "ctrl-alt-del"})
		} else {
			m.wish(wish{system.PowerOff, "asked to"})
		}
	}
}

// wish notes a wish; the first one counts.
func (m *machine) wish(w wish) bool {
	select {
	case m.wishes <- w:
		return true
	default:
		return false
	}
}

func (m *machine) feed() {
	m.dogMu.Lock()
	defer m.dogMu.Unlock()
	if m.dog == nil {
		return
	}
	if err := m.dog.Feed(); err != nil {
		m.console.Say("%v", err)
	}
}
