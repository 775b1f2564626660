package nodes

import (
	"encoding/json"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/table"
)

func product(t testing.TB) table.T {
	t.Helper()
	tab, err := table.Load("../../services/table/table.json")
	require.NoError(t, err)
	return tab
}

// A25: a node belongs to the one service that drives it, and to nobody when no row names it.
func TestOwner(t *testing.T) {
	tab := product(t)
	for node, want := range map[string]string{
		"/dev/ttyUSB0": "ports", "/dev/ttyACM12": "ports", "/dev/input/event3": "ports", "/dev/hidraw0": "ports",
		"/dev/usb/lp0": "ports", "/dev/ttyS1": "ports", "/dev/dri/card0": "screen",
		"/dev/ttyS0": "", "/dev/ttyS10": "", "/dev/console": "", "/dev/mem": "", "/dev/tpmrm0": "", "/dev/tpm0": "",
		"/dev/watchdog0": "", "/dev/vda1": "", "/dev/sda": "", "/dev/dm-0": "", "/dev/mapper/control": "",
		"/dev/dri/renderD128": "", "/dev/input/mouse0": "", "/dev/ttyUSB0/x": "",
	} {
		uid, ok := Owner(tab, node)
		require.Equal(t, want != "", ok, node)
		if ok {
			require.Equal(t, want, tab.NameOf(uid), node)
		}
	}
}

func message(fields ...string) []byte { return []byte(strings.Join(fields, "\x00") + "\x00") }

func TestEvents(t *testing.T) {
	tab := product(t)
	const usb = "/devices/pci0000:00/0000:00:04.0/usb1/1-1"
	for _, c := range []struct {
		msg  []byte
		want []Change
	}{
		{message("add@"+usb+"/1-1:1.0/ttyUSB0/tty/ttyUSB0", "ACTION=add", "SUBSYSTEM=tty", "DEVNAME=ttyUSB0", "MAJOR=188"),
			[]Change{{"/dev/ttyUSB0", 902, 0o600}}},
		{message("add@"+usb, "ACTION=add", "SUBSYSTEM=usb", "DEVTYPE=usb_device", "DEVNAME=bus/usb/001/002"),
			[]Change{{"/dev/bus/usb/001/002", 902, 0o600}, {"/sys" + usb + "/authorized", 902, 0o600}}},
		{message("add@/devices/pci0000:00/0000:00:02.0/drm/card0", "SUBSYSTEM=drm", "DEVNAME=dri/card0"),
			[]Change{{"/dev/dri/card0", 906, 0o600}}},
		{message("remove@"+usb, "SUBSYSTEM=usb"), nil},
		{message("add@/devices/virtual/block/dm-0", "SUBSYSTEM=block", "DEVNAME=dm-0"), nil},
		{message("add@/bus/usb/drivers/x", "SUBSYSTEM=usb"), nil},
	} {
		e, err := Parse(c.msg)
		require.NoError(t, err)
		require.Equal(t, c.want, For(tab, e), string(c.msg))
	}
}

func TestEventsRefused(t *testing.T) {
	for _, bad := range [][]byte{
		nil, []byte("add"), message("add@/devices/../etc"), message("add@devices/x"),
		message("add@/devices/x", "DEVNAME=../etc/passwd"), message("add@/devices/x", "DEVNAME=/dev/ttyUSB0"), message("add@/devices/x", "NONSENSE"),
	} {
		_, err := Parse(bad)
		require.Error(t, err, string(bad))
	}
}

// Only devices and files of sysfs are given away, whatever stands under a name.
func TestGiveOnlyDevices(t *testing.T) {
	file := t.TempDir() + "/ttyUSB0"
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	require.ErrorContains(t, give(Change{file, 902, 0o600}), "no device")
	require.ErrorIs(t, give(Change{file + "x", 902, 0o600}), os.ErrNotExist)
}

// The idle slot's writer gets a node of that partition and of nothing else.
func TestIdle(t *testing.T) {
	none := one(t, "/dev/no-such-device*")
	require.NoError(t, Idle(none, "/no/such", "/no/such"), "nobody to give it to")
	text, err := json.Marshal([]table.Row{{Name: "x", Binary: "/svc/x", UID: 999, IdleSlot: true, MemoryMiB: 8, PIDs: 8, Files: 16}})
	require.NoError(t, err)
	tab, err := table.Parse(text)
	require.NoError(t, err)
	file := t.TempDir() + "/disk"
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.ErrorContains(t, Idle(tab, file, t.TempDir()+"/choba/idle"), "no block device")
	require.ErrorIs(t, Idle(tab, file+"x", t.TempDir()+"/choba/idle"), os.ErrNotExist)

	const loop = 7 << 8 // no such disk need be there to make a node for it
	if err := unix.Mknod(file+"b", unix.S_IFBLK|0o600, loop); err != nil {
		t.Skip("no right to make nodes: ", err)
	}
	node := t.TempDir() + "/choba/idle"
	require.NoError(t, Idle(tab, file+"b", node))
	var st unix.Stat_t
	require.NoError(t, unix.Stat(node, &st))
	require.EqualValues(t, 999, st.Uid)
	require.EqualValues(t, loop, st.Rdev)
	require.EqualValues(t, unix.S_IFBLK|0o600, st.Mode)

	// and may read the running one's, whose node stays root's.
	node = t.TempDir() + "/choba/running"
	require.NoError(t, Running(none, "/no/such", "/no/such"))
	require.NoError(t, Running(tab, file+"b", node))
	require.NoError(t, unix.Stat(node, &st))
	require.Zero(t, st.Uid)
	require.EqualValues(t, 999, st.Gid)
	require.EqualValues(t, unix.S_IFBLK|0o440, st.Mode)
}

func TestWatchAndScan(t *testing.T) {
	tab := one(t, "/dev/no-such-device*")
	w, err := Watch(tab, func(s string) { t.Log(s) })
	if err != nil {
		t.Skip("no netlink here: ", err)
	}
	require.NoError(t, w.Scan())
}

// one is a table with a single row that wants devices.
func one(t *testing.T, pattern string) table.T {
	t.Helper()
	text, err := json.Marshal([]table.Row{{Name: "x", Binary: "/svc/x", UID: 999, Devices: []string{pattern}, MemoryMiB: 8, PIDs: 8, Files: 16}})
	require.NoError(t, err)
	tab, err := table.Parse(text)
	require.NoError(t, err)
	return tab
}

func FuzzParse(f *testing.F) {
	f.Add(message("add@/devices/pci0000:00/usb1/1-1", "SUBSYSTEM=usb", "DEVNAME=bus/usb/001/002"))
	f.Add(message("remove@/devices/x"))
	f.Add([]byte("libudev\x00\xfe\xed\xca\xfe"))
	tab := product(f)
	f.Fuzz(func(t *testing.T, msg []byte) {
		e, err := Parse(msg)
		if err != nil {
			return
		}
		for _, c := range For(tab, e) {
			require.Equal(t, path.Clean(c.Path), c.Path)
			require.True(t, strings.HasPrefix(c.Path, "/dev/") || strings.HasPrefix(c.Path, "/sys/devices/"), c.Path)
			require.NotZero(t, c.UID)
		}
	})
}
