// Package update is the service that looks for newer releases, writes them into the slot that is not running, and says
// when to restart into one.
//
// It is trusted with little: it owns that slot's device node, a folder and the network, and nothing else. What it
// writes is checked by init before the next start may use it; what it reads, from a server or a stick, is believed only
// where a signature or a hash says so. Selling never waits for it and never ends because of it.
//
// Beside it: delta (where each block comes from), stage (writing), fetch (the server), schedule (when), memory (what is
// kept), words (what is said). Here is what ties them together: one goroutine owns the state and never waits; one round
// of looking and loading at a time goes on beside it.
//
// It is not init: it puts nothing on trial, commits nothing and raises no floor. The rule that keeps it small: every
// decision is a pure function elsewhere; here things are asked, told and passed on.
package update

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/repository"
	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/keys/trust"
	bootapi "github.com/choba-os/choba/services/boot/api"
	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link/feed"
	networkapi "github.com/choba-os/choba/services/network/api"
	stickapi "github.com/choba-os/choba/services/stick/api"
	"github.com/choba-os/choba/services/update/api"
	"github.com/choba-os/choba/services/update/memory"
	"github.com/choba-os/choba/services/update/schedule"
	"github.com/choba-os/choba/services/update/stage"
	"github.com/choba-os/choba/services/update/words"
)

// Repository says what a source offers; *repository.Client is one.
type Repository interface {
	Latest(ctx context.Context, f source.Fetcher, product, hardware string, now time.Time) (repository.Offer, error)
}

// Boot is init; *bootapi.Client is one.
type Boot interface {
	Status(ctx context.Context) (bootapi.Status, error)
	Clear(ctx context.Context) error
	Offer(ctx context.Context, anew bool) error
	Restart(ctx context.Context, reason string) error
}

// Stick is the stick service; *stickapi.Client is one.
type Stick interface {
	source.Fetcher
	Watch(ctx context.Context, fn func(stickapi.State) error) error
}

// Link is the network service; *networkapi.Client is one.
type Link interface {
	Watch(ctx context.Context, fn func(networkapi.State) error) error
}

// Slot is the idle slot, opened.
type Slot interface {
	frame.Device
	io.Closer
}

// Volume is the running slot, opened for reading.
type Volume interface {
	io.ReaderAt
	io.Closer
}

// Config is what the service is made of. All fields are needed but those that say otherwise.
type Config struct {
	Hardware   string
	Trust      trust.Root
	Repository Repository
	Network    source.Fetcher // nil: the image names no server
	Link       Link           // nil: when the network comes is not known
	Stick      Stick          // nil: no sticks
	Boot       Boot
	Journal    journalapi.Recorder
	Memory     memory.Folder
	Idle       func(device string) (Slot, error)
	Running    func() (Volume, error) // nil: it may not be read

	Now   func() time.Time                                 // the wall clock
	Mono  func() time.Duration                             // a clock that nobody can set
	Wait  func(ctx context.Context, d time.Duration) error // until d has passed or ctx ends
	Dice  func() float64                                   // in [0, 1)
	Tick  time.Duration                                    // between two looks at the clocks
	Log   *logrus.Entry
	Ready func()
	Alive func()
}

// Service is the update service. Run runs it; Handler answers its callers meanwhile.
type Service struct {
	Config
	do    chan func() // carried out by Run's goroutine, which alone touches st
	st    state
	view  *feed.Value[api.View]
	post  *journalapi.Queue
	round sync.WaitGroup

	busy  atomic.Bool                  // for whoever loads: a sale is open
	count atomic.Pointer[stage.Counts] // how far the loading is

	warned words.Sentence // the warning that the journal has; rounds alone touch it, and there is one at a time
}

// state belongs to Run's goroutine. Lengths are on the clock of Mono.
type state struct {
	now      standing
	inRound  bool
	stop     context.CancelFunc // of the round, while inRound
	loading  string             // the source that it loads from; "" while it does not load
	asked    bool               // look again as soon as the round is over
	person   bool               // somebody waits for the answer
	next     time.Duration      // the next check
	failures int                // rounds that came to nothing, one after the other

	stick  stickapi.State
	online bool
	again  uint64 // the release that a person wants tried once more; 0: none

	said      bool          // what the register last said of the sale
	lease     time.Duration // until when that counts
	idleSince time.Duration
	wish      bool
	postponed time.Duration // until when
	place     float64       // this register's place within the quiet hours
	leaving   bool          // init has been asked to restart
	notBefore time.Duration // init would not restart: ask again then
}

// New makes the service; nothing happens before Run.
func New(c Config) *Service {
	return &Service{
		Config: c, do: make(chan func()), view: feed.NewValue(api.View{Phase: api.PhaseIdle}), post: journalapi.NewQueue(c.Journal, kindLost, c.Log),
	}
}

// Run serves until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.round.Wait()
	defer cancel()
	s.begin(ctx)
	s.Ready()
	ticks := time.NewTicker(s.Tick)
	defer ticks.Stop()
	for {
		s.tick(ctx)
		select {
		case <-ctx.Done():
			return nil
		case f := <-s.do:
			f()
		case <-ticks.C:
		}
	}
}

func (s *Service) begin(ctx context.Context) {
	s.st = state{now: standing{phase: api.PhaseIdle}, next: s.Mono() + schedule.FirstCheck, idleSince: s.Mono(), place: s.Dice()}
	s.round.Go(func() { s.post.Run(ctx) })
	s.round.Go(func() { s.stands(ctx) })
	if s.Stick != nil {
		s.round.Go(func() { s.watchStick(ctx) })
	}
	if s.Link != nil {
		s.round.Go(func() { s.watchLink(ctx) })
	}
}

// stands finds out how things stand since before the start; the first look at a source comes later.
func (s *Service) stands(ctx context.Context) {
	r := round{Service: s, ctx: ctx}
	now, ok := r.firstLook()
	for !ok {
		if s.Wait(ctx, watchRetry) != nil {
			return
		}
		now, ok = r.firstLook()
	}
	s.tell(ctx, func() {
		if !s.st.inRound && s.st.now.running == (api.Release{}) { // a round that was quicker knows more
			s.st.now = now
		}
	})
}

// tell has f carried out by Run's goroutine, soon.
func (s *Service) tell(ctx context.Context, f func()) {
	select {
	case s.do <- f:
	case <-ctx.Done():
	}
}

// watchRetry is how soon a service that does not answer is asked again.
const watchRetry = 5 * time.Second

// watch follows a stream of another service until ctx ends; gone is called whenever it breaks off.
func (s *Service) watch(ctx context.Context, stream func() error, gone func()) {
	for ctx.Err() == nil {
		err := stream()
		if ctx.Err() != nil {
			return
		}
		s.Log.WithError(err).Debug("a service does not answer")
		s.tell(ctx, gone)
		if s.Wait(ctx, watchRetry) != nil {
			return
		}
	}
}

func (s *Service) watchStick(ctx context.Context) {
	s.watch(ctx, func() error {
		return s.Stick.Watch(ctx, func(now stickapi.State) error {
			s.tell(ctx, func() { s.stickIs(now) })
			return ctx.Err()
		})
	}, func() { s.stickIs(stickapi.State{}) })
}

func (s *Service) watchLink(ctx context.Context) {
	s.watch(ctx, func() error {
		return s.Link.Watch(ctx, func(now networkapi.State) error {
			s.tell(ctx, func() { s.linkIs(now.State == networkapi.Ready) })
			return ctx.Err()
		})
	}, func() { s.linkIs(false) })
}

// linkIs takes note of the network. When it comes back after checks that came to nothing, the next one is soon.
func (s *Service) linkIs(up bool) {
	if came := up && !s.st.online; came && s.st.failures > 0 {
		s.st.failures = 0
		s.st.next = min(s.st.next, s.Mono()+schedule.NextCheck(1, s.Dice()))
	}
	s.st.online = up
}

// stickIs takes note of a stick. One that is plugged in goes before the network: its bytes cost nothing.
func (s *Service) stickIs(now stickapi.State) {
	came := now.Present && (!s.st.stick.Present || now.Device != s.st.stick.Device)
	s.st.stick = now
	if !now.Present {
		s.st.now.dropWarning(api.SourceStick)
	}
	if came {
		s.check()
		if s.st.inRound && s.st.loading == api.SourceNetwork {
			s.st.stop()
		}
	}
}

// check has sources asked as soon as possible, for somebody who waits.
func (s *Service) check() {
	s.st.next, s.st.failures, s.st.asked, s.st.person = s.Mono(), 0, true, true
}

// tick looks at the clocks and starts what is due.
func (s *Service) tick(ctx context.Context) {
	mono := s.Mono()
	busy := s.st.said || mono >= s.st.lease
	if busy {
		s.st.idleSince = mono
	}
	s.busy.Store(busy)
	d := s.decide(mono, busy)
	switch {
	case s.st.leaving:
	case d.Restart && mono >= s.st.notBefore:
		s.restart(ctx)
	case !s.st.inRound && mono >= s.st.next && s.hasSource():
		s.start(ctx)
	}
	s.view.Set(s.show(d))
	s.Alive()
}

func (s *Service) decide(mono time.Duration, busy bool) schedule.Decision {
	ready := s.st.now.phase == api.PhaseReady && s.st.loading == ""
	if !ready {
		s.st.wish = false
	}
	return schedule.Decide(s.Now(), schedule.State{
		Ready: ready, Busy: busy, Idle: mono - s.st.idleSince, Wish: s.st.wish,
		Postponed: s.st.postponed - mono, Dice: s.st.place,
	})
}

func (s *Service) hasSource() bool { return s.Network != nil || s.st.stick.Present }

// roundTime bounds a round: a source that sends a byte now and then must not hold it for ever.
const roundTime = 6 * time.Hour

// start begins a round beside the loop.
func (s *Service) start(whole context.Context) {
	ctx, cancel := context.WithTimeout(whole, roundTime)
	r := round{Service: s, ctx: ctx, again: s.st.again, stick: s.st.stick.Present}
	s.st.inRound, s.st.stop, s.st.asked = true, cancel, false
	s.round.Go(func() {
		defer cancel()
		out := r.run()
		s.tell(whole, func() { s.finish(out) })
	})
}

// uncommitted is how soon to ask init again while the running release has not been committed.
const uncommitted = 10 * time.Second

// finish takes a round's outcome.
func (s *Service) finish(out outcome) {
	st := &s.st
	st.inRound, st.loading, st.person = false, "", false
	st.now = out.standing
	if !st.stick.Present {
		st.now.dropWarning(api.SourceStick)
	}
	if st.again == out.tried { // and not what was asked for meanwhile
		st.again = 0
	}
	st.failures++
	if !out.failed {
		st.failures = 0
	}
	st.next = s.Mono() + schedule.NextCheck(st.failures, s.Dice())
	switch {
	case st.asked:
		st.next, st.person = s.Mono(), true
	case out.soon:
		st.next = s.Mono() + uncommitted
	}
}

// restartRetry is how long after a refusal init is asked again.
const restartRetry = 5 * time.Minute

// restart asks init. The journal knows before: nobody wonders in the morning.
func (s *Service) restart(ctx context.Context) {
	s.st.leaving = true
	into := s.st.now.offered
	if s.st.inRound {
		s.st.stop()
	}
	s.round.Go(func() {
		s.record(kindRestart, restartEvent{release: releaseOf(into)})
		s.flush(ctx)
		err := s.Boot.Restart(ctx, reasonOf(into))
		if err == nil {
			return
		}
		s.Log.WithError(err).Error("init would not restart")
		s.tell(ctx, func() {
			s.st.leaving, s.st.notBefore = false, s.Mono()+restartRetry
			s.st.now.restartFailed = true
		})
	})
}
