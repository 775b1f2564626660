package dhcp_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/choba-os/choba/drivers/dhcp"
	"github.com/choba-os/choba/drivers/dhcp/dhcptest"
)

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// has is what the kernel says of the register's interface: addresses and default routes.
func has(t *testing.T) (addresses, routers []string, v6 int) {
	link, err := netlink.LinkByName(dhcptest.Register)
	require.NoError(t, err)
	list, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	require.NoError(t, err)
	for _, a := range list {
		if a.IP.To4() == nil {
			v6++
			continue
		}
		addresses = append(addresses, a.IPNet.String())
	}
	routes, err := netlink.RouteList(link, netlink.FAMILY_V4)
	require.NoError(t, err)
	for _, r := range routes {
		if r.Gw != nil {
			routers = append(routers, r.Gw.String())
		}
	}
	return addresses, routers, v6
}

func renewal(m *dhcpv4.DHCPv4) bool { return !m.ClientIPAddr.IsUnspecified() }

func TestConfigureAndRenew(t *testing.T) {
	s := dhcptest.Open(t)
	s.Serve(func(m, reply *dhcpv4.DHCPv4) bool {
		if renewal(m) { // another name server, and the address as it was
			reply.UpdateOption(dhcpv4.OptDNS(net.ParseIP("10.77.0.9")))
		}
		reply.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{0x05, 0x78}))
		return true
	})
	s.InRegister(func() {
		l, err := dhcp.Configure(within(t, 20*time.Second), dhcptest.Register)
		require.NoError(t, err)
		require.Equal(t, netip.MustParsePrefix(dhcptest.Address+"/24"), l.Address)
		require.Equal(t, netip.MustParseAddr(dhcptest.Router), l.Router)
		require.Equal(t, []netip.Addr{l.Router}, l.DNS)
		require.Equal(t, time.Hour, l.Lease)
		require.Equal(t, 30*time.Minute, l.RenewAfter)
		addresses, routers, v6 := has(t)
		require.Equal(t, []string{dhcptest.Address + "/24"}, addresses)
		require.Equal(t, []string{dhcptest.Router}, routers)
		require.Zero(t, v6, "IPv6 is off")
		link, err := netlink.LinkByName(dhcptest.Register)
		require.NoError(t, err)
		require.Equal(t, 1400, link.Attrs().MTU)

		require.NoError(t, l.Renew(within(t, 10*time.Second)))
		require.Equal(t, []netip.Addr{netip.MustParseAddr("10.77.0.9")}, l.DNS)
		addresses, _, _ = has(t)
		require.Equal(t, []string{dhcptest.Address + "/24"}, addresses)

		require.NoError(t, dhcp.Clear(dhcptest.Register))
		addresses, routers, _ = has(t)
		require.Empty(t, addresses)
		require.Empty(t, routers)
	})
}

// The server takes the address back.
func TestRenewRefused(t *testing.T) {
	s := dhcptest.Open(t)
	s.Serve(func(m, reply *dhcpv4.DHCPv4) bool {
		if renewal(m) {
			reply.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeNak))
		}
		return true
	})
	s.InRegister(func() {
		l, err := dhcp.Configure(within(t, 20*time.Second), dhcptest.Register)
		require.NoError(t, err)
		require.ErrorIs(t, l.Renew(within(t, 10*time.Second)), dhcp.ErrRefused)
	})
}

func TestNobodyAnswers(t *testing.T) {
	s := dhcptest.Open(t)
	s.InRegister(func() {
		begin := time.Now()
		_, err := dhcp.Configure(within(t, 3*time.Second), dhcptest.Register)
		require.ErrorIs(t, err, dhcp.ErrNoServer)
		require.Less(t, time.Since(begin), 5*time.Second, "bounded")
		addresses, _, _ := has(t)
		require.Empty(t, addresses)
	})
	s.Cable(false)
	s.InRegister(func() {
		_, err := dhcp.Configure(within(t, time.Second), dhcptest.Register)
		require.ErrorIs(t, err, dhcp.ErrNoCable)
	})
}

// A hostile server: nothing that it says reaches the interface.
func TestAbsurdAnswers(t *testing.T) {
	s := dhcptest.Open(t)
	var change func(*dhcpv4.DHCPv4)
	s.Serve(func(_, reply *dhcpv4.DHCPv4) bool { change(reply); return true })
	for name, c := range absurd() {
		change = c
		s.InRegister(func() {
			_, err := dhcp.Configure(within(t, 3*time.Second), dhcptest.Register)
			require.Error(t, err, name)
			addresses, routers, _ := has(t)
			require.Empty(t, addresses, name)
			require.Empty(t, routers, name)
		})
	}
}

func absurd() map[string]func(*dhcpv4.DHCPv4) {
	ip := func(s string) func(*dhcpv4.DHCPv4) {
		return func(d *dhcpv4.DHCPv4) { d.YourIPAddr = net.ParseIP(s).To4() }
	}
	option := func(code dhcpv4.OptionCode, b ...byte) func(*dhcpv4.DHCPv4) {
		return func(d *dhcpv4.DHCPv4) { d.UpdateOption(dhcpv4.OptGeneric(code, b)) }
	}
	return map[string]func(*dhcpv4.DHCPv4){
		"no address":           ip("0.0.0.0"),
		"loopback":             ip("127.0.0.1"),
		"a group":              ip("239.1.2.3"),
		"broadcast":            ip("255.255.255.255"),
		"reserved":             ip("250.0.0.1"),
		"self-given":           ip("169.254.3.4"),
		"the network itself":   ip("10.77.0.0"),
		"the whole network":    ip("10.77.0.255"),
		"a mask with holes":    option(dhcpv4.OptionSubnetMask, 255, 0, 255, 0),
		"a mask of everything": option(dhcpv4.OptionSubnetMask, 0, 0, 0, 0),
		"a mask of half":       option(dhcpv4.OptionSubnetMask, 128, 0, 0, 0),
		"a mask of one":        option(dhcpv4.OptionSubnetMask, 255, 255, 255, 255),
		"half a mask":          option(dhcpv4.OptionSubnetMask, 255, 255),
		"a distant router":     option(dhcpv4.OptionRouter, 10, 78, 0, 1),
		"itself as router":     option(dhcpv4.OptionRouter, 10, 77, 0, 50),
		"a group as router":    option(dhcpv4.OptionRouter, 224, 0, 0, 1),
		"loopback for names":   option(dhcpv4.OptionDomainNameServer, 127, 0, 0, 53),
		"an MTU of nothing":    option(dhcpv4.OptionInterfaceMTU, 0, 68),
		"an MTU of everything": option(dhcpv4.OptionInterfaceMTU, 255, 255),
	}
}

func TestStatic(t *testing.T) {
	s := dhcptest.Open(t)
	settings := dhcp.Settings{
		Address: netip.MustParsePrefix("10.77.0.80/24"), Router: netip.MustParseAddr("10.77.0.1"),
		DNS: []netip.Addr{netip.MustParseAddr("10.77.0.1")},
	}
	s.InRegister(func() {
		require.NoError(t, dhcp.Static(t.Context(), dhcptest.Register, settings))
		addresses, routers, _ := has(t)
		require.Equal(t, []string{"10.77.0.80/24"}, addresses)
		require.Equal(t, []string{"10.77.0.1"}, routers)
		settings.Address, settings.Router = netip.MustParsePrefix("10.77.0.81/24"), netip.Addr{}
		require.NoError(t, dhcp.Static(t.Context(), dhcptest.Register, settings), "changed, without a router")
		addresses, routers, _ = has(t)
		require.Equal(t, []string{"10.77.0.81/24"}, addresses)
		require.Empty(t, routers)
		require.Error(t, dhcp.Static(t.Context(), "none", settings))
	})
	settings.Address = netip.MustParsePrefix("127.0.0.1/8")
	require.ErrorIs(t, dhcp.Static(t.Context(), dhcptest.Register, settings), dhcp.ErrAbsurd)
}

// Only Ethernet of a piece of hardware counts.
func TestWired(t *testing.T) {
	sys := t.TempDir()
	put := func(name string, files map[string]string) {
		for f, text := range files {
			path := filepath.Join(sys, "class/net", name, f)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		}
	}
	ether := func(more ...string) map[string]string {
		out := map[string]string{"type": "1\n", "address": "52:54:00:12:34:56\n", "device/x": "", "carrier": "1\n"}
		for _, m := range more {
			out[m] = ""
		}
		return out
	}
	put("eth1", ether())
	put("wlan0", ether("wireless/x"))
	put("lo", map[string]string{"type": "772\n", "address": "00:00:00:00:00:00\n"})
	put("br0", map[string]string{"type": "1\n", "address": "52:54:00:12:34:57\n"})
	put("eth0", map[string]string{"type": "1\n", "address": "52:54:00:12:34:58\n", "device/x": ""})
	put("odd0", map[string]string{"type": "1\n", "address": "x\n", "device/x": ""})
	got, err := dhcp.Wired(sys)
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, "eth0", got[0].Name)
	require.False(t, got[0].Cable)
	require.Equal(t, "eth1", got[1].Name)
	require.True(t, got[1].Cable)
	_, err = dhcp.Wired(filepath.Join(sys, "nothing"))
	require.Error(t, err)
}
