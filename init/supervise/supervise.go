// Package supervise starts the services of the table, keeps them running and says how they are.
//
// One goroutine, Run's, owns all state. It is the only place of PID 1 that starts children and the only one that waits
// for them, orphans included; os/exec, which waits on its own, is not used beside it. It feeds the watchdog: never by
// a clock, only upon a word from a service, and only while all needed services have given theirs lately.
//
// It knows nothing of what services do, of disks or of boot. It calls nobody. The rule that keeps it small: what to
// start comes from the table, what happened goes out through Hooks.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/table"
)

// Times of the supervision.
const (
	FirstBackOff = 100 * time.Millisecond // before the first restart of a service
	LastBackOff  = 10 * time.Second       // the longest wait between restarts
	Healthy      = 60 * time.Second       // a service that ran this long starts at FirstBackOff again
	Fresh        = 15 * time.Second       // a needed service must have spoken within this
	StartTime    = 90 * time.Second       // from Run to all needed services being ready
	StopTime     = 3 * time.Second        // from being asked to stop to being killed
)

// Event is something that happened to a service.
type Event struct {
	Kind    string // Start or Exit
	Service string
	PID     int
	Starts  int           // how often the service was started since boot, this time included
	Ran     time.Duration // Ready and Exit: since the start
	How     string        // Exit only: "code 1", "signal killed", …
	Next    time.Duration // Exit only: until it is started again; negative: not any more
}

// The kinds of events.
const (
	Start = "start"
	Ready = "ready" // the service said so; once for each start
	Exit  = "exit"
)

// Hooks are called on Run's goroutine and must not block.
type Hooks struct {
	Line  func(service, line string) // a line that a service wrote, or one about it
	Event func(Event)
	Ready func() // once: every needed service has said that it is ready
	// Healthy is called once when a trial is passed. Failed is called once when it is not, or when a register that is
	// not on trial has not been ready to sell within StartTime. After Failed nothing is fed any more.
	Healthy func()
	Failed  func(reason string)
	Feed    func()            // a word came, and all is well
	Late    func(name string) // a needed service has not spoken for Fresh; once for each lapse
}

// Config is what a Set needs from the machine.
type Config struct {
	Rows    []table.Row
	Confine string // the program that confines and becomes the service; it gets the row's name
	Sockets string // folder of the listening sockets, which must be there
	Cgroups string // cgroup2 folder, "" for none
	// Namespaces gives each service mounts, network (unless its row says otherwise) and host name of its own.
	Namespaces bool
	Trial      *Trial // nil: the release was kept before
	Hooks      Hooks
}

// Set is the services of one table.
type Set struct {
	cfg    Config
	units  []*unit // in table order
	words  chan word
	lines  chan line
	begun  time.Time
	ready  bool // Ready was called
	ending bool // nothing is started any more
	health health
	gate   *gate // nil: not on trial
	failed bool  // Failed was called
}

// unit is one service.
type unit struct {
	row    table.Row
	listen *os.File // listening socket, for as long as the set lives
	cgroup *os.File // folder of its cgroup, nil without
	pid    int      // 0: not running
	starts int
	since  time.Time     // of the last start
	wait   time.Duration // last back-off
	due    time.Time     // of the next start; zero: not wanted
	oom    int           // how often the kernel had ended it for want of memory, when it was last started
}

// New prepares the services: sockets and cgroups. From its return on, a peer that connects waits for the service
// instead of being refused, so that the order of starting needs no waiting.
func New(cfg Config) (*Set, error) {
	s := &Set{cfg: cfg, words: make(chan word, 64), lines: make(chan line, 256), health: newHealth(cfg.Rows), gate: newGate(cfg.Trial, cfg.Rows)}
	for _, r := range cfg.Rows {
		u := &unit{row: r}
		s.units = append(s.units, u)
		var err error
		if u.listen, err = listen(cfg.Sockets + "/" + r.Name + ".sock"); err != nil {
			return nil, errors.Join(fmt.Errorf("preparing %s: %w", r.Name, err), s.close())
		}
		if cfg.Cgroups == "" {
			continue
		}
		if u.cgroup, err = makeCgroup(cfg.Cgroups, r); err != nil {
			return nil, errors.Join(fmt.Errorf("preparing %s: %w", r.Name, err), s.close())
		}
	}
	return s, nil
}

func (s *Set) close() error {
	var errs []error
	for _, u := range s.units {
		for _, f := range []*os.File{u.listen, u.cgroup} {
			if f != nil {
				errs = append(errs, f.Close())
			}
		}
	}
	return errors.Join(errs...)
}

// Run starts the services as their names come on start, in table order as far as they are there, and supervises them
// until ctx ends; then it stops them in reverse order and returns.
func (s *Set) Run(ctx context.Context, start <-chan []string) error {
	defer s.close()
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	defer signal.Stop(children)
	s.begun = time.Now()
	s.health.begin(s.begun)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(s.turn(time.Now()))
		select {
		case <-ctx.Done():
			s.stop(children)
			return nil
		case names, more := <-start:
			if !more {
				start = nil
			}
			s.want(names)
		case <-children:
			s.reap(time.Now())
		case w := <-s.words:
			s.heard(w)
		case l := <-s.lines:
			s.cfg.Hooks.Line(l.service, l.text)
		case <-timer.C:
		}
	}
}

func (s *Set) want(names []string) {
	for _, u := range s.units {
		if slices.Contains(names, u.row.Name) && u.starts == 0 && u.due.IsZero() {
			u.due = time.Now()
		}
	}
}

// turn starts what is due and gives the time until it must be called again.
func (s *Set) turn(now time.Time) time.Duration {
	next := time.Second
	for _, u := range s.units {
		switch {
		case u.due.IsZero() || u.pid != 0:
		case u.due.After(now):
			next = min(next, u.due.Sub(now))
		default:
			s.start(u, now)
		}
	}
	for _, name := range s.health.lapsed(now) {
		s.cfg.Hooks.Late(name)
	}
	s.judge(now)
	return next
}

// judge tells once how the trial went, or that a start that is no trial took too long.
func (s *Set) judge(now time.Time) {
	healthy, reason := s.gate.look(now)
	if healthy {
		s.cfg.Hooks.Healthy()
	}
	if s.gate == nil && !s.failed && !s.ending {
		reason = s.health.tooLate(now)
	}
	s.fail(reason)
}

func (s *Set) fail(reason string) {
	if reason == "" || s.failed || s.ending {
		return
	}
	s.failed = true
	s.cfg.Hooks.Failed(reason)
}

func (s *Set) start(u *unit, now time.Time) {
	u.starts++
	u.since = now
	u.due = time.Time{}
	u.oom = memoryKills(u.cgroup)
	pid, err := s.spawn(u)
	if err != nil {
		s.gone(u, "start: "+err.Error(), now)
		return
	}
	u.pid = pid
	s.cfg.Hooks.Event(Event{Kind: Start, Service: u.row.Name, PID: pid, Starts: u.starts})
}

// gone plans the next start of a service that ended.
func (s *Set) gone(u *unit, how string, now time.Time) {
	ran := now.Sub(u.since)
	e := Event{Kind: Exit, Service: u.row.Name, PID: u.pid, Starts: u.starts, Ran: ran, How: how, Next: -1}
	u.pid = 0
	if !s.ending {
		if u.wait == 0 || ran >= Healthy {
			u.wait = FirstBackOff
		} else {
			u.wait = min(2*u.wait, LastBackOff)
		}
		u.due = now.Add(u.wait)
		e.Next = u.wait
	}
	s.health.gone(u.row.Name)
	s.cfg.Hooks.Event(e)
	if !s.ending {
		s.fail(s.gate.gone(u.row.Name, how))
	}
}

// reap waits for every child that ended: services, and orphans that PID 1 inherited.
func (s *Set) reap(now time.Time) {
	for {
		var st unix.WaitStatus
		pid, err := unix.Wait4(-1, &st, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		for _, u := range s.units {
			if u.pid == pid {
				s.gone(u, how(st, memoryKills(u.cgroup) > u.oom), now)
			}
		}
	}
}

func how(st unix.WaitStatus, outOfMemory bool) string {
	switch {
	case st.Signaled() && st.Signal() == syscall.SIGSYS:
		return "signal bad system call: it tried what the filter ends a process for"
	case st.Signaled() && st.Signal() == syscall.SIGKILL && outOfMemory:
		return "signal killed: out of its memory"
	case st.Signaled():
		return "signal " + st.Signal().String()
	}
	return fmt.Sprintf("code %d", st.ExitStatus())
}

// heard takes a word from a service's life line.
func (s *Set) heard(w word) {
	u := s.unit(w.service)
	if u == nil || u.starts != w.starts || u.pid == 0 {
		return // the last words of one that is gone
	}
	if w.text == wordReady && !s.health.ready[w.service] {
		s.cfg.Hooks.Event(Event{Kind: Ready, Service: w.service, PID: u.pid, Starts: u.starts, Ran: w.at.Sub(u.since)})
	}
	s.health.heard(w.service, w.text == wordReady, w.at)
	s.gate.heard(w.service, w.text == wordReady, w.at)
	if !s.ready && s.health.allReady() {
		s.ready = true
		s.cfg.Hooks.Ready()
	}
	if s.well(w.at) {
		s.cfg.Hooks.Feed()
	}
}

// trialGrace is how long after a trial's last moment the watchdog is still fed: the gate itself answers before.
const trialGrace = 5 * time.Second

// well says whether the watchdog may be fed.
func (s *Set) well(now time.Time) bool {
	if s.failed {
		return false
	}
	if s.gate.waiting() && now.After(s.gate.trial.ReadyBy.Add(s.gate.trial.Soak+trialGrace)) {
		return false
	}
	return s.health.well(now)
}

func (s *Set) unit(name string) *unit {
	for _, u := range s.units {
		if u.row.Name == name {
			return u
		}
	}
	return nil
}

// stop ends the services one by one, those that call before those that are called.
func (s *Set) stop(children <-chan os.Signal) {
	s.ending = true
	for _, u := range slices.Backward(s.units) {
		u.due = time.Time{}
		if u.pid == 0 {
			continue
		}
		s.stopOne(u, children)
	}
	for len(s.lines) > 0 {
		l := <-s.lines
		s.cfg.Hooks.Line(l.service, l.text)
	}
}

func (s *Set) stopOne(u *unit, children <-chan os.Signal) {
	_ = unix.Kill(u.pid, unix.SIGTERM) // it is our child and was not waited for: the number is its own
	limit := time.NewTimer(StopTime)
	defer limit.Stop()
	for u.pid != 0 {
		select {
		case <-children:
			s.reap(time.Now())
		case l := <-s.lines:
			s.cfg.Hooks.Line(l.service, l.text)
		case <-s.words:
		case <-limit.C:
			s.cfg.Hooks.Line(u.row.Name, "does not stop; killed")
			_ = unix.Kill(u.pid, unix.SIGKILL)
		}
	}
}
