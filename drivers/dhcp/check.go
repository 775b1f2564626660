package dhcp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Bounds of what is taken from a server.
const (
	MaxDNS     = 3
	maxOptions = 64
	maxOption  = 512 // bytes of one option
	minMTU     = 576 // every IPv4 host takes this much (RFC 791)
	maxMTU     = 9000
	minPrefix  = 8 // no shop has a larger network, and no network is larger than 10.0.0.0/8
	maxPrefix  = 30

	minLease = time.Minute    // a shorter lease is kept this long: no server may keep a register busy with asking
	maxLease = 24 * time.Hour // a longer one is renewed as if it were this long
)

// read takes the settings out of a server's answer.
func read(ack *dhcpv4.DHCPv4) (Settings, error) {
	if len(ack.Options) > maxOptions {
		return Settings{}, fmt.Errorf("%w: %d options", ErrAbsurd, len(ack.Options))
	}
	for code, value := range ack.Options {
		if len(value) > maxOption {
			return Settings{}, fmt.Errorf("%w: option %d has %d bytes", ErrAbsurd, code, len(value))
		}
	}
	var s Settings
	var err error
	if s.Address, err = network(ack.YourIPAddr, ack.Options.Get(dhcpv4.OptionSubnetMask)); err != nil {
		return Settings{}, err
	}
	if s.Server, err = address("server", ack.Options.Get(dhcpv4.OptionServerIdentifier)); err != nil {
		return Settings{}, err
	}
	// Of several routers the first is preferred (RFC 2132, 3.5), and one is enough.
	if r := ack.Options.Get(dhcpv4.OptionRouter); len(r) >= 4 {
		if s.Router, err = address("router", r[:4]); err != nil {
			return Settings{}, err
		}
	}
	for dns := ack.Options.Get(dhcpv4.OptionDomainNameServer); len(dns) >= 4 && len(s.DNS) < MaxDNS; dns = dns[4:] {
		a, err := address("name server", dns[:4])
		if err != nil {
			return Settings{}, err
		}
		s.DNS = append(s.DNS, a)
	}
	if m := ack.Options.Get(dhcpv4.OptionInterfaceMTU); len(m) == 2 {
		s.MTU = int(binary.BigEndian.Uint16(m))
	}
	times(&s, ack)
	if err := s.Check(); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// times brings the lease's times into order and between the bounds.
func times(s *Settings, ack *dhcpv4.DHCPv4) {
	s.Lease = min(max(ack.IPAddressLeaseTime(time.Hour), minLease), maxLease)
	s.RenewAfter = ack.IPAddressRenewalTime(s.Lease / 2)
	if s.RenewAfter < minLease/2 || s.RenewAfter >= s.Lease {
		s.RenewAfter = s.Lease / 2
	}
	s.RebindAfter = ack.IPAddressRebindingTime(s.Lease / 8 * 7)
	if s.RebindAfter <= s.RenewAfter || s.RebindAfter >= s.Lease {
		s.RebindAfter = s.RenewAfter + (s.Lease-s.RenewAfter)/4*3
	}
}

func network(ip net.IP, mask []byte) (netip.Prefix, error) {
	a, err := address("offered address", ip.To4())
	if err != nil {
		return netip.Prefix{}, err
	}
	ones, bits := net.IPMask(mask).Size() // 0, 0 for a mask with holes
	if len(mask) != 4 || bits != 32 {
		return netip.Prefix{}, fmt.Errorf("%w: network mask %x", ErrAbsurd, mask)
	}
	return netip.PrefixFrom(a, ones), nil
}

func address(what string, b []byte) (netip.Addr, error) {
	a, ok := netip.AddrFromSlice(b)
	if !ok || !a.Is4() {
		return netip.Addr{}, fmt.Errorf("%w: %s of %d bytes", ErrAbsurd, what, len(b))
	}
	return a, nil
}

// Check says what is wrong with the settings; every error wraps ErrAbsurd.
func (s Settings) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrAbsurd, fmt.Sprintf(format, args...))
	}
	switch {
	case !host(s.Address.Addr()):
		return bad("address %s", s.Address.Addr())
	case s.Address.Bits() < minPrefix || s.Address.Bits() > maxPrefix:
		return bad("a network mask of %d bits", s.Address.Bits())
	case edge(s.Address, s.Address.Addr()):
		return bad("%s names the whole network %s", s.Address.Addr(), s.Address.Masked())
	case s.Server.IsValid() && !host(s.Server):
		return bad("server %s", s.Server)
	case s.MTU != 0 && (s.MTU < minMTU || s.MTU > maxMTU):
		return bad("an MTU of %d", s.MTU)
	case len(s.DNS) > MaxDNS:
		return bad("%d name servers", len(s.DNS))
	}
	if s.Router.IsValid() && (!host(s.Router) || !s.Address.Contains(s.Router) || edge(s.Address, s.Router) || s.Router == s.Address.Addr()) {
		return bad("router %s beside the address %s", s.Router, s.Address)
	}
	for _, d := range s.DNS {
		if !host(d) {
			return bad("name server %s", d)
		}
	}
	return nil
}

// host says whether a is an address that one machine on a cable may have: not of this machine (127/8), no group, no
// broadcast, not "this network" (0/8), not self-given (169.254/16), not reserved (240/4).
func host(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	b := a.As4()
	return b[0] != 0 && b[0] < 224 && !a.IsLoopback() && !a.IsLinkLocalUnicast()
}

// edge says whether a is the first or last address of the network, which no machine may have.
func edge(network netip.Prefix, a netip.Addr) bool {
	b := a.As4()
	rest := uint32(1)<<(32-network.Bits()) - 1
	n := binary.BigEndian.Uint32(b[:]) & rest
	return n == 0 || n == rest
}
