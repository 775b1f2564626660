// Package network keeps the register on the shop's cable: it finds the wired interface, asks for an address, renews it,
// writes where names are resolved, and says how it is. The packet filter is set before the first interface is switched
// on; without it none ever is.
//
// It carries nobody's data, knows no server of ours, and has nothing to set up. The rule that keeps it small: one
// interface at a time, one worker that waits for the wire, and selling never depends on any of it.
package network

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/choba-os/choba/drivers/dhcp"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/link/feed"
	"github.com/choba-os/choba/services/network/api"
)

// Config is what the service works with.
type Config struct {
	Filter func() error                     // sets the packet filter
	Find   func() ([]dhcp.Interface, error) // the wired interfaces
	Dir    string                           // own folder: /run/network
	Note   func(kind string, content any)   // an event for the journal; must not block
	Ready  func()                           // called once, when the filter is in place
	Alive  func()                           // called by Run while the worker turns
	Worker func(work func())                // runs the worker until it ends; nil: a goroutine
	Log    *logrus.Entry
}

// Times.
const (
	turn       = time.Second                  // between looks at the cable
	firstRetry = 2 * time.Second              // after a server that does not answer; doubled each time
	lastRetry  = time.Minute                  // the longest of these
	stuck      = dhcp.MaxAsk + 15*time.Second // a worker that did not turn for so long is not alive
)

// Service is the network of one register.
type Service struct {
	c     Config
	state *feed.Value[api.State]
	turns atomic.Int64 // when the worker last turned, Unix nanoseconds

	// What follows is the worker's.
	lease  *dhcp.Lease
	iface  string        // the one that has the lease, or was asked last
	next   time.Time     // before that nothing is asked
	wait   time.Duration // until the next question after one without an answer
	failed error         // why the last question came to nothing
	faults map[string]bool
}

// New is a service that does nothing yet.
func New(c Config) *Service {
	if c.Worker == nil {
		c.Worker = func(work func()) { work() }
	}
	return &Service{c: c, state: feed.NewValue(searching(nil)), faults: map[string]bool{}}
}

// Handler answers the update service.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/state", func(w http.ResponseWriter, r *http.Request) {
		send := link.Lines(w)
		_ = s.state.Follow(r.Context(), func(v api.State) error { return send(v) }) // the caller left
	})
	return mux
}

// Run sets the filter and then keeps the network until ctx ends. Without a filter it keeps trying to set it, and
// touches no interface.
func (s *Service) Run(ctx context.Context) error {
	s.turns.Store(time.Now().UnixNano())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.c.Worker(func() { s.work(ctx) })
	}()
	tick := time.NewTicker(turn)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-tick.C:
			if time.Since(time.Unix(0, s.turns.Load())) < stuck {
				s.c.Alive()
			}
		}
	}
}

// work is the one goroutine that waits for the wire.
func (s *Service) work(ctx context.Context) {
	tick := time.NewTicker(turn)
	defer tick.Stop()
	set := false
	for ctx.Err() == nil {
		s.turns.Store(time.Now().UnixNano())
		if !set {
			set = s.filter()
		}
		if set {
			s.turn(ctx)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (s *Service) filter() bool {
	if err := s.c.Filter(); err != nil {
		s.fault(err)
		s.state.Set(unprotected())
		return false
	}
	s.c.Ready()
	return true
}

// turn looks at the cable and does what is due.
func (s *Service) turn(ctx context.Context) {
	found, err := s.c.Find()
	if err != nil {
		s.fault(err)
	}
	cabled, err := s.cabled(found)
	if err != nil {
		s.fault(err)
	}
	switch {
	case s.lease != nil && !contains(cabled, s.iface):
		s.drop("no-cable")
	case s.lease != nil:
		s.keep(ctx)
	}
	switch {
	case s.lease != nil:
	case len(found) == 0:
		s.idle(absent())
	case len(cabled) == 0:
		s.idle(noCable())
	default:
		s.ask(ctx, cabled)
	}
}

// idle is a register that has nobody to ask.
func (s *Service) idle(state api.State) {
	s.next, s.wait, s.failed = time.Time{}, 0, nil
	s.state.Set(state)
}

// cabled switches the interfaces on and gives those with a cable.
func (s *Service) cabled(found []dhcp.Interface) (out []string, err error) {
	for _, i := range found {
		if !i.Cable { // switched off, or nothing at the other end: switching on twice does no harm
			if e := dhcp.Up(i.Name); e != nil {
				err = errors.Join(err, e)
				continue
			}
		}
		on, e := dhcp.Cable(i.Name)
		if err = errors.Join(err, e); on {
			out = append(out, i.Name)
		}
	}
	return out, err
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// ask asks the next cabled interface after the one that was asked last, when it is time.
func (s *Service) ask(ctx context.Context, cabled []string) {
	s.state.Set(searching(s.failed))
	if time.Now().Before(s.next) {
		return
	}
	s.iface = after(cabled, s.iface)
	asking, cancel := context.WithTimeout(ctx, dhcp.MaxAsk)
	defer cancel()
	lease, err := dhcp.Configure(asking, s.iface)
	if err != nil {
		if ctx.Err() != nil {
			return
		}
		s.fault(err)
		s.failed, s.wait = err, min(max(2*s.wait, firstRetry), lastRetry)
		s.next = time.Now().Add(s.wait)
		s.state.Set(searching(err))
		return
	}
	s.lease = lease
	s.next, s.wait, s.failed = time.Time{}, 0, nil
	s.have("got")
}

// after gives the name behind the given one, in a circle.
func after(names []string, name string) string {
	for i, n := range names {
		if n == name {
			return names[(i+1)%len(names)]
		}
	}
	return names[0]
}

// have makes known that there is an address.
func (s *Service) have(how string) {
	clear(s.faults)
	if err := s.resolver(s.lease.DNS); err != nil {
		s.fault(err)
	}
	was := s.state.Get()
	s.state.Set(ready(s.lease.Address.String()))
	if now := s.state.Get(); now == was {
		return // renewed as it was
	}
	s.c.Log.WithFields(logrus.Fields{"interface": s.iface, "address": s.lease.Address.String()}).Info("the network is there")
	s.c.Note("network.up", up{Interface: s.iface, Address: s.lease.Address.String(), Router: text(s.lease.Router), Server: text(s.lease.Server),
		DNS: texts(s.lease.DNS), LeaseSeconds: int(s.lease.Lease.Seconds()), How: how})
}

// keep renews the lease when it is due: from RenewAfter on again and again, at half of what is left each time, until
// the address may not be used any more.
func (s *Service) keep(ctx context.Context) {
	now := time.Now()
	end := s.lease.Asked.Add(s.lease.Lease)
	if !now.Before(end) {
		s.drop("lease-over")
		return
	}
	if now.Before(s.lease.Asked.Add(s.lease.RenewAfter)) || now.Before(s.next) {
		return
	}
	err := s.lease.Renew(ctx)
	switch {
	case err == nil:
		s.next = time.Time{}
		s.have("renewed")
	case errors.Is(err, dhcp.ErrRefused):
		s.fault(err)
		s.drop("refused")
	case ctx.Err() == nil:
		s.fault(err)
		s.next = time.Now().Add(max(time.Until(end)/2, firstRetry))
	}
}

// drop gives up the address.
func (s *Service) drop(why string) {
	if err := dhcp.Clear(s.iface); err != nil {
		s.fault(err)
	}
	if err := s.resolver(nil); err != nil {
		s.fault(err)
	}
	s.c.Log.WithFields(logrus.Fields{"interface": s.iface, "why": why}).Info("the network is gone")
	s.c.Note("network.down", down{Interface: s.iface, Why: why})
	s.lease, s.next = nil, time.Time{}
}

// fault says a thing once until there is a network again: a cable to a mute network must not fill the console.
func (s *Service) fault(err error) {
	if text := err.Error(); !s.faults[text] && len(s.faults) < 100 {
		s.faults[text] = true
		s.c.Log.WithError(err).Warn("the network")
	}
}
