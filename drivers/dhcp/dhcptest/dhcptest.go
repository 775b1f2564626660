// Package dhcptest is a shop with a cable: two network namespaces, the register's and the shop's, a pair of Ethernet
// interfaces between them, and a DHCP server in the shop that answers as a test wants.
//
// It is for tests of this module and needs root. It is not a DHCP server for anybody. The rule that keeps it small: the
// kernel's own interfaces, and one answer for each question.
package dhcptest

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The ends of the cable, and who has which address.
const (
	Register = "lan0"
	shop     = "shop0"
	Network  = "10.77.0.0/24"
	Router   = "10.77.0.1" // the shop's end; also the DHCP server
	Address  = "10.77.0.50"
)

// Shop is one test's network.
type Shop struct {
	t        testing.TB
	register int // namespace files
	shop     int
}

// Open makes the namespaces and the cable, which is plugged in. Without root the test is skipped.
func Open(t testing.TB) *Shop {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	s := &Shop{t: t}
	s.register, s.shop = namespace(t), namespace(t)
	s.InShop(func() {
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: shop}, PeerName: Register}
		require.NoError(t, netlink.LinkAdd(pair))
		peer, err := netlink.LinkByName(Register)
		require.NoError(t, err)
		require.NoError(t, netlink.LinkSetNsFd(peer, s.register))
		end, err := netlink.LinkByName(shop)
		require.NoError(t, err)
		addr, err := netlink.ParseAddr(Router + "/24")
		require.NoError(t, err)
		require.NoError(t, netlink.AddrAdd(end, addr))
		require.NoError(t, netlink.LinkSetUp(end))
	})
	return s
}

// namespace makes an empty one; the thread that made it ends.
func namespace(t testing.TB) int {
	var fd int
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread is of no more use
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return
		}
		fd, err = unix.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}()
	<-done
	if err != nil {
		t.Skipf("no network namespace: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// in runs fn on a thread of its own in the namespace and waits for it. What fn opens stays in that namespace; goroutines
// that fn starts are elsewhere.
func (s *Shop) in(ns int, fn func()) {
	done := make(chan error, 1)
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		fn()
	}()
	if err := <-done; err != nil {
		s.t.Fatalf("entering a network namespace: %v", err)
	}
}

// InRegister runs fn on a thread in the register's namespace and waits for it. Goroutines that fn starts are elsewhere.
func (s *Shop) InRegister(fn func()) { s.in(s.register, fn) }

// InShop does the same in the shop's.
func (s *Shop) InShop(fn func()) { s.in(s.shop, fn) }

// Cable plugs the cable in or out, at the shop's end.
func (s *Shop) Cable(in bool) {
	s.InShop(func() {
		end, err := netlink.LinkByName(shop)
		require.NoError(s.t, err)
		if in {
			require.NoError(s.t, netlink.LinkSetUp(end))
		} else {
			require.NoError(s.t, netlink.LinkSetDown(end))
		}
	})
}

// Answer changes the answer to a request before it is sent; false sends none.
type Answer func(request, reply *dhcpv4.DHCPv4) bool

// Serve answers requests until the test ends, or the function it returns is called.
func (s *Shop) Serve(answer Answer) (stop func()) {
	var server *server4.Server
	s.InShop(func() {
		var err error
		server, err = server4.NewServer(shop, &net.UDPAddr{IP: net.IPv4zero, Port: dhcpv4.ServerPort}, func(c net.PacketConn, _ net.Addr, m *dhcpv4.DHCPv4) {
			reply, err := Reply(m)
			if err == nil && (answer == nil || answer(m, reply)) {
				c.WriteTo(reply.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ClientPort}) // who does not hear it asks again
			}
		}, server4.WithLogger(server4.EmptyLogger{}))
		require.NoError(s.t, err)
	})
	go server.Serve() // ends when it is closed
	stop = func() { server.Close() }
	s.t.Cleanup(stop)
	return stop
}

// Reply is a good answer to m.
func Reply(m *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	kind := dhcpv4.MessageTypeOffer
	if m.MessageType() == dhcpv4.MessageTypeRequest {
		kind = dhcpv4.MessageTypeAck
	}
	return dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(net.ParseIP(Address).To4()),
		dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithRouter(net.ParseIP(Router)), dhcpv4.WithDNS(net.ParseIP(Router)),
		dhcpv4.WithServerIP(net.ParseIP(Router)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP(Router))),
		dhcpv4.WithLeaseTime(3600))
}
