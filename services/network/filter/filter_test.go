package filter

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/dhcp"
	"github.com/choba-os/choba/drivers/dhcp/dhcptest"
)

const updateUID = 907

func product() Policy { return Of([]Client{{"update", updateUID}}) }

// A change of the filter shows here, and is to be looked at. UPDATE=1 writes the file anew.
func TestGolden(t *testing.T) {
	const file = "testdata/policy.golden"
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, []byte(product().String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), product().String())
}

// as runs fn with files made as this user; the thread is the caller's own (InRegister's).
func as(t *testing.T, uid int, fn func()) {
	old, _, _ := unix.RawSyscall(unix.SYS_SETFSUID, uintptr(uid), 0, 0)
	fn()
	unix.RawSyscall(unix.SYS_SETFSUID, old, 0, 0)
	_ = t
}

func dial(network, to string) error {
	c, err := net.DialTimeout(network, to, 2*time.Second)
	if err == nil {
		err = c.Close()
	}
	return err
}

// A network with both ends up, and the filter set in the register's.
func filtered(t *testing.T) *dhcptest.Shop {
	s := dhcptest.Open(t)
	s.InRegister(func() {
		lo, err := netlink.LinkByName("lo")
		require.NoError(t, err)
		require.NoError(t, netlink.LinkSetUp(lo))
		link, err := netlink.LinkByName(dhcptest.Register)
		require.NoError(t, err)
		addr, err := netlink.ParseAddr(dhcptest.Address + "/24")
		require.NoError(t, err)
		require.NoError(t, dhcp.Up(dhcptest.Register))
		require.NoError(t, netlink.AddrAdd(link, addr))
		err = product().Set()
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTONOSUPPORT) {
			t.Skipf("this kernel has no nftables of that kind: %v", err)
		}
		require.NoError(t, err)
	})
	return s
}

func listen(t *testing.T, in func(func()), at string) {
	var ln net.Listener
	in(func() {
		var err error
		ln, err = net.Listen("tcp", at)
		require.NoError(t, err)
	})
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Write([]byte("hello")) // and then the register's end closes
			c.Close()
		}
	}()
}

// Only the update service gets out, and nobody gets in.
func TestWhoMaySpeak(t *testing.T) {
	s := filtered(t)
	listen(t, s.InShop, dhcptest.Router+":443")
	listen(t, s.InRegister, dhcptest.Address+":80")
	s.InRegister(func() {
		as(t, updateUID, func() {
			c, err := net.DialTimeout("tcp", dhcptest.Router+":443", 5*time.Second)
			require.NoError(t, err, "update reaches its server")
			defer c.Close()
			b := make([]byte, 5)
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			_, err = c.Read(b)
			require.NoError(t, err, "and hears it")
			u, err := net.Dial("udp", dhcptest.Router+":53")
			require.NoError(t, err)
			defer u.Close()
			_, err = u.Write([]byte("x"))
			require.NoError(t, err, "it may ask for names")
			v, err := net.Dial("udp", dhcptest.Router+":123")
			require.NoError(t, err)
			defer v.Close()
			_, err = v.Write([]byte("x"))
			require.ErrorIs(t, err, unix.EPERM, "and nothing else over UDP")
		})
		for _, uid := range []int{0, 905, 909} {
			begin := time.Now()
			as(t, uid, func() { require.Error(t, dial("tcp", dhcptest.Router+":443"), "uid %d", uid) })
			require.Less(t, time.Since(begin), time.Second, "it is told, it need not wait")
		}
		as(t, updateUID, func() { require.Error(t, dial("tcp", dhcptest.Address+":80"), "nobody is served, not even locally") })
	})
	s.InShop(func() {
		require.Error(t, dial("tcp", dhcptest.Address+":80"), "nobody gets in")
	})
}

// A second time in place of the first, and back again: always whole.
func TestSetAnew(t *testing.T) {
	s := filtered(t)
	s.InRegister(func() {
		require.NoError(t, Of(nil).Set())
		as(t, updateUID, func() { require.Error(t, dial("tcp", dhcptest.Router+":443"), "without a client nobody gets out") })
		require.NoError(t, product().Set())
		require.NoError(t, product().Set())
		c, err := nftables.New()
		require.NoError(t, err)
		tables, err := c.ListTables()
		require.NoError(t, err)
		require.Len(t, tables, 1)
	})
}
