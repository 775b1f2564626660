package dhcp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Up switches iface on, without IPv6: the kernel makes no IPv6 address for it. It needs CAP_NET_ADMIN.
func Up(iface string) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("switching %s on: %w", iface, err)
	}
	// A kernel without IPv6 knows no such setting, which is as good.
	err = netlink.LinkSetIP6AddrGenMode(link, nl.IN6_ADDR_GEN_MODE_NONE)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EAFNOSUPPORT) {
		return fmt.Errorf("switching %s on: without IPv6: %w", iface, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("switching %s on: %w", iface, err)
	}
	return nil
}

// Cable says whether iface has a cable with a running peer at its other end.
func Cable(iface string) (bool, error) {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return false, fmt.Errorf("looking at %s: %w", iface, err)
	}
	const running = unix.IFF_UP | unix.IFF_RUNNING
	return link.Attrs().RawFlags&running == running, nil
}

// Clear takes all IPv4 addresses away from iface, and with them all routes over it.
func Clear(iface string) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("clearing %s: %w", iface, err)
	}
	return clearBut(link, nil)
}

func clearBut(link netlink.Link, keep *netlink.Addr) error {
	there, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("clearing %s: %w", link.Attrs().Name, err)
	}
	for _, a := range there {
		if keep != nil && a.IPNet.String() == keep.IPNet.String() {
			continue
		}
		if err := netlink.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("clearing %s of %s: %w", link.Attrs().Name, a.IPNet, err)
		}
	}
	return nil
}

// apply sets what was checked. The address that is there already stays without interruption. The kernel itself drops
// the address at the end of the lease, whatever becomes of this process.
func apply(iface string, s Settings) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("configuring %s: %w", iface, err)
	}
	if s.MTU != 0 && s.MTU != link.Attrs().MTU {
		// A card that cannot do it is left as it is: smaller packets than the network's always pass.
		if err := netlink.LinkSetMTU(link, s.MTU); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("configuring %s: MTU %d: %w", iface, s.MTU, err)
		}
	}
	addr := &netlink.Addr{IPNet: ipnet(s.Address), Broadcast: broadcast(s.Address)}
	if s.Lease > 0 {
		addr.ValidLft, addr.PreferedLft = int(s.Lease.Seconds()), int(s.Lease.Seconds())
	}
	if err := clearBut(link, addr); err != nil {
		return err
	}
	if err := netlink.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("configuring %s: address %s: %w", iface, s.Address, err)
	}
	return route(link, s.Router)
}

// route sets the default route over link, or takes it away.
func route(link netlink.Link, router netip.Addr) error {
	_, everything, _ := net.ParseCIDR("0.0.0.0/0")
	r := netlink.Route{LinkIndex: link.Attrs().Index, Dst: everything, Protocol: unix.RTPROT_DHCP}
	if !router.IsValid() {
		if err := netlink.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("configuring %s: taking the default route away: %w", link.Attrs().Name, err)
		}
		return nil
	}
	r.Gw = router.AsSlice()
	if err := netlink.RouteReplace(&r); err != nil {
		return fmt.Errorf("configuring %s: default route over %s: %w", link.Attrs().Name, router, err)
	}
	return nil
}

func ipnet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

func broadcast(p netip.Prefix) net.IP {
	ip := p.Addr().As4()
	mask := net.CIDRMask(p.Bits(), 32)
	out := make(net.IP, 4)
	for i := range out {
		out[i] = ip[i] | ^mask[i]
	}
	return out
}
