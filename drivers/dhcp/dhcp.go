// Package dhcp gives a wired Ethernet interface an address: by asking the shop's DHCP server, or from fixed settings.
//
// Whatever answers on a shop's cable is not trusted. An answer is taken only when it is a plain unicast address in a
// plausible network; everything it could say beyond address, router, name servers and MTU is neither asked for nor
// read. Every step ends by itself. Keeping an address (when to renew, what to do when it is lost) is the caller's
// matter: here are the single steps.
//
// It is not a network manager and no resolver: it writes no file, filters nothing and knows no second interface. IPv6
// is switched off on every interface that it brings up. The rule that keeps it small: one interface, one IPv4
// address, and nothing on trust.
package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
)

// Errors that callers tell apart.
var (
	ErrNoCable  = errors.New("no cable, or nothing at its other end")
	ErrNoServer = errors.New("no DHCP server answered")
	ErrRefused  = errors.New("the DHCP server refused the address")     // ask anew from the beginning
	ErrAbsurd   = errors.New("the answer of the DHCP server is absurd") // wrapped with what is wrong in it
)

// Bounds of one exchange with a server.
const (
	firstWait = 2 * time.Second // for an answer; doubled with each try
	tries     = 3
	// MaxAsk is the longest time that Ask takes when its context has no earlier end: two questions.
	MaxAsk = 2 * (1 + 2 + 4) * firstWait
)

// Settings are what an interface gets.
type Settings struct {
	Address netip.Prefix // the own address and the length of the network's mask
	Router  netip.Addr   // inside that network; zero: no default route
	DNS     []netip.Addr // at most MaxDNS
	MTU     int          // bytes; 0: leave it as it is
	Server  netip.Addr   // the DHCP server; zero in fixed settings

	// Lease is how long the address may be used, RenewAfter and RebindAfter when to ask for more (RFC 2131, 4.4.5), all counted
	// from when it was asked for. Zero in fixed settings: for ever.
	Lease, RenewAfter, RebindAfter time.Duration
}

// Lease is an address from a server. It is used by one goroutine at a time.
type Lease struct {
	Settings
	Asked time.Time // when; the times count from here

	iface string
	raw   *nclient4.Lease
}

// Configure brings iface up, waits for its cable until ctx ends, asks for an address, and sets it.
func Configure(ctx context.Context, iface string) (*Lease, error) {
	if err := Up(iface); err != nil {
		return nil, err
	}
	if err := WaitCable(ctx, iface); err != nil {
		return nil, err
	}
	l, err := Ask(ctx, iface)
	if err != nil {
		return nil, err
	}
	if err := apply(iface, l.Settings); err != nil {
		return nil, err
	}
	return l, nil
}

// Static brings iface up and sets fixed settings, which are checked like a server's. It does not wait for a cable.
func Static(_ context.Context, iface string, s Settings) error {
	s.Lease, s.RenewAfter, s.RebindAfter = 0, 0, 0
	if err := s.Check(); err != nil {
		return err
	}
	if err := Up(iface); err != nil {
		return err
	}
	return apply(iface, s)
}

// Ask asks for an address on an interface that is up, and changes nothing.
func Ask(ctx context.Context, iface string) (*Lease, error) {
	asked := time.Now()
	var raw *nclient4.Lease
	err := talk(iface, func(c *nclient4.Client) (err error) {
		raw, err = c.Request(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	s, err := read(raw.ACK)
	if err != nil {
		return nil, err
	}
	return &Lease{Settings: s, Asked: asked, iface: iface, raw: raw}, nil
}

// Renew asks the server for more time and sets what it answers. After ErrRefused the address must not be used any
// more: Clear, and begin anew. After another error the lease is as it was.
func (l *Lease) Renew(ctx context.Context) error {
	asked := time.Now()
	var raw *nclient4.Lease
	err := talk(l.iface, func(c *nclient4.Client) (err error) {
		raw, err = c.Renew(ctx, l.raw, request)
		return err
	})
	if err != nil {
		return err
	}
	s, err := read(raw.ACK)
	if err != nil {
		return err
	}
	if err := apply(l.iface, s); err != nil {
		return err
	}
	l.Settings, l.Asked, l.raw = s, asked, raw
	return nil
}

// request asks for what is read and nothing else.
func request(d *dhcpv4.DHCPv4) {
	d.UpdateOption(dhcpv4.OptParameterRequestList(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter,
		dhcpv4.OptionDomainNameServer, dhcpv4.OptionInterfaceMTU))
}

// talk opens a packet socket on iface for one exchange and says in our words why it came to nothing.
func talk(iface string, do func(*nclient4.Client) error) error {
	c, err := nclient4.New(iface, nclient4.WithTimeout(firstWait), nclient4.WithRetry(tries))
	if err != nil {
		return fmt.Errorf("asking for an address on %s: %w", iface, err)
	}
	err = do(c)
	c.Close() // nothing of it is needed any more
	var nak *nclient4.ErrNak
	switch {
	case errors.As(err, &nak):
		err = ErrRefused
	case errors.Is(err, nclient4.ErrNoResponse), errors.Is(err, context.DeadlineExceeded):
		err = ErrNoServer
	}
	if err != nil {
		return fmt.Errorf("asking for an address on %s: %w", iface, err)
	}
	return nil
}
