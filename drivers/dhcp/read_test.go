package dhcp

import (
	"net"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/stretchr/testify/require"
)

func ack(t testing.TB) *dhcpv4.DHCPv4 {
	d, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeAck), dhcpv4.WithYourIP(net.IPv4(192, 168, 1, 17).To4()),
		dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithRouter(net.IPv4(192, 168, 1, 1)), dhcpv4.WithLeaseTime(600),
		dhcpv4.WithDNS(net.IPv4(192, 168, 1, 1), net.IPv4(8, 8, 8, 8), net.IPv4(9, 9, 9, 9), net.IPv4(1, 1, 1, 1)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 168, 1, 1))))
	require.NoError(t, err)
	return d
}

func TestTimes(t *testing.T) {
	for name, c := range map[string]struct {
		lease, renew, rebind             uint32 // seconds; 0: not said
		wantLease, wantRenew, wantRebind time.Duration
	}{
		"only the lease":     {600, 0, 0, 10 * time.Minute, 5 * time.Minute, 525 * time.Second},
		"all three":          {600, 200, 400, 10 * time.Minute, 200 * time.Second, 400 * time.Second},
		"nothing":            {0, 0, 0, minLease, 30 * time.Second, 52500 * time.Millisecond},
		"one second":         {1, 1, 1, minLease, 30 * time.Second, 52500 * time.Millisecond},
		"for ever":           {0xffffffff, 0, 0, maxLease, 12 * time.Hour, 21 * time.Hour},
		"in the wrong order": {600, 700, 500, 10 * time.Minute, 5 * time.Minute, 500 * time.Second},
		"asked all the time": {600, 1, 2, 10 * time.Minute, 5 * time.Minute, 525 * time.Second},
	} {
		d := ack(t)
		d.UpdateOption(dhcpv4.OptIPAddressLeaseTime(time.Duration(c.lease) * time.Second))
		if c.renew > 0 {
			d.UpdateOption(dhcpv4.OptRenewTimeValue(time.Duration(c.renew) * time.Second))
			d.UpdateOption(dhcpv4.OptRebindingTimeValue(time.Duration(c.rebind) * time.Second))
		}
		s, err := read(d)
		require.NoError(t, err, name)
		require.Equal(t, c.wantLease, s.Lease, name)
		require.Equal(t, c.wantRenew, s.RenewAfter, name)
		require.InDelta(t, float64(c.wantRebind), float64(s.RebindAfter), float64(75*time.Second), name)
		require.Less(t, s.RenewAfter, s.RebindAfter, name)
		require.Less(t, s.RebindAfter, s.Lease, name)
	}
}

func TestManyNameServers(t *testing.T) {
	s, err := read(ack(t))
	require.NoError(t, err)
	require.Len(t, s.DNS, MaxDNS)
}

func TestTooManyOptions(t *testing.T) {
	d := ack(t)
	for i := range 100 {
		d.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(130+i), []byte{1}))
	}
	_, err := read(d)
	require.ErrorIs(t, err, ErrAbsurd)
	d = ack(t)
	d.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionDomainNameServer, make([]byte, 1024)))
	_, err = read(d)
	require.ErrorIs(t, err, ErrAbsurd)
}

// Whatever is sent: no panic, and what is taken keeps the bounds.
func FuzzRead(f *testing.F) {
	f.Add(ack(f).ToBytes())
	f.Add([]byte{2, 1, 6, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := dhcpv4.FromBytes(b)
		if err != nil {
			return
		}
		s, err := read(d)
		if err != nil {
			require.ErrorIs(t, err, ErrAbsurd)
			return
		}
		require.NoError(t, s.Check())
		require.True(t, s.Address.Addr().Is4() && !s.Address.Addr().IsLoopback() && !s.Address.Addr().IsMulticast())
		require.True(t, s.Lease >= minLease && s.Lease <= maxLease && s.RenewAfter < s.RebindAfter && s.RebindAfter < s.Lease)
		require.LessOrEqual(t, len(s.DNS), MaxDNS)
	})
}
