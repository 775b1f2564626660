package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/drivers/display/notice"
	"github.com/choba-os/choba/drivers/watchdog"
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
	"github.com/choba-os/choba/services/table"
)

// machine is init's state while it lives. The plan's steps fill it in; after the plan nothing in it changes.
type machine struct {
	environ []string
	console *console.Console
	began   time.Duration // since boot, when init started

	facts     facts
	trust     trust.Root
	table     table.T
	disk      disk.Disk
	state     *os.File // state partition
	tpm       *seal.TPM
	partition *data.Partition
	volume    *volume.Volume
	watcher   *nodes.Watcher
	journal   *record.Queue
	clock     error // why the clock is not to be believed

	services   *supervise.Set
	start      chan []string // names of services that may start
	endService context.CancelFunc
	readyAfter []string      // "NAME N s", in the order of being ready; the supervision's
	ended      chan struct{} // closed when all services have ended

	dogMu sync.Mutex    // guards dog
	dog   *watchdog.Dog // nil: none
}

func newMachine(environ []string, c *console.Console) *machine {
	m := &machine{environ: environ, console: c, began: system.SinceBoot(), start: make(chan []string, 2), ended: make(chan struct{})}
	m.journal = record.New(record.Journal{Socket: table.Socket("journal")}, func(s string) { c.Say("%s", s) })
	return m
}

// live is the life of the register from here to the end of power. It returns only when even switching off failed.
func (m *machine) live() error {
	asked := make(chan os.Signal, 4)
	signal.Notify(asked, unix.SIGTERM, unix.SIGINT)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m.console.Say("start, %.2f s since boot", m.began.Seconds())
	if err := m.plan().Run(ctx, m.stepDone); err != nil {
		m.stopState(err, asked)
		return m.end(system.PowerOff)
	}
	return m.end(<-m.wanted(asked))
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

// wanted turns a signal into the way of ending that it asks for.
func (m *machine) wanted(asked <-chan os.Signal) <-chan system.End {
	out := make(chan system.End, 1)
	go func() {
		if s := <-asked; s == unix.SIGINT {
			out <- system.Reboot
		} else {
			out <- system.PowerOff
		}
	}()
	return out
}

// stopState says why the register cannot sell and waits for a person. Nothing runs any more but the watchdog's
// feeding: a reboot would end in the same place, and the words would be gone.
func (m *machine) stopState(why error, asked <-chan os.Signal) {
	m.console.Say("stop: %v", why)
	m.endServices()
	var screens notice.Screens
	defer screens.Close()
	if err := screens.Show(stopped(why)); err != nil {
		m.console.Say("%v", err)
	}
	feed := time.NewTicker(5 * time.Second)
	defer feed.Stop()
	for {
		select {
		case <-feed.C:
			m.feed()
		case <-asked:
			return
		}
	}
}

// end stops the services in reverse order, closes the data, and ends.
func (m *machine) end(how system.End) error {
	m.console.Say("%s", how)
	m.journal.Add("boot.end", map[string]string{"how": string(how)})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	m.journal.Drain(ctx)
	cancel()
	m.endServices()
	if m.volume != nil {
		if err := m.volume.Close(); err != nil {
			m.console.Say("%v", err)
		}
	}
	m.console.Flush(time.Second)
	if err := how.Now(); err != nil {
		return fmt.Errorf("%s: %w", how, err)
	}
	return nil
}

func (m *machine) endServices() {
	if m.endService != nil {
		m.endService()
		<-m.ended
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
