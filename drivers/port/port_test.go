package port_test

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/port"
	"github.com/choba-os/choba/drivers/port/porttest"
)

func usual() port.Line { return port.Line{Baud: 115200, Bits: 8, Parity: port.None, Stop: 1} }

func TestBytesPassUnchanged(t *testing.T) {
	line := porttest.Open(t)
	p, err := port.Open(line.Node, usual())
	require.NoError(t, err)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	got := make([]byte, 256)
	_, err = p.Write(all)
	require.NoError(t, err)
	_, err = io.ReadFull(line.Device, got)
	require.NoError(t, err)
	require.Equal(t, all, got)
	_, err = line.Device.Write(all)
	require.NoError(t, err)
	_, err = io.ReadFull(p, got)
	require.NoError(t, err)
	require.Equal(t, all, got)
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	_, err = p.Write(all)
	require.Error(t, err)
}

func TestCloseEndsARead(t *testing.T) {
	line := porttest.Open(t)
	p, err := port.Open(line.Node, usual())
	require.NoError(t, err)
	ended := make(chan error)
	go func() {
		_, err := p.Read(make([]byte, 1))
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond)
	require.NoError(t, p.Close())
	require.Error(t, <-ended)
}

// A line that takes nothing any more blocks the writer, not Close.
func TestCloseEndsAWrite(t *testing.T) {
	line := porttest.Open(t)
	p, err := port.Open(line.Node, usual())
	require.NoError(t, err)
	ended := make(chan error)
	go func() {
		_, err := p.Write(make([]byte, 1<<20))
		ended <- err
	}()
	time.Sleep(50 * time.Millisecond)
	closed := make(chan error)
	go func() { closed <- p.Close() }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(5 * time.Second):
		require.FailNow(t, "close hangs")
	}
	require.NoError(t, line.Device.Close())
	require.Error(t, <-ended)
}

func TestUnplugEndsARead(t *testing.T) {
	line := porttest.Open(t)
	p, err := port.Open(line.Node, usual())
	require.NoError(t, err)
	ended := make(chan error)
	go func() {
		_, err := p.Read(make([]byte, 1))
		ended <- err
	}()
	require.NoError(t, line.Device.Close())
	require.Error(t, <-ended)
	require.NoError(t, p.Close())
}

func TestOpenedOnce(t *testing.T) {
	line := porttest.Open(t)
	p, err := port.Open(line.Node, usual())
	require.NoError(t, err)
	defer func() { _ = p.Close() }()
	if os.Getuid() == 0 {
		t.Skip("root may open a line that is taken")
	}
	_, err = port.Open(line.Node, usual())
	require.Error(t, err)
}

func TestSettings(t *testing.T) {
	for _, l := range []port.Line{
		{}, {Baud: 9601, Bits: 8, Parity: port.None, Stop: 1}, {Baud: 9600, Bits: 9, Parity: port.None, Stop: 1},
		{Baud: 9600, Bits: 8, Parity: "mark", Stop: 1}, {Baud: 9600, Bits: 8, Parity: port.None, Stop: 3},
	} {
		require.Error(t, l.Check(), "%+v", l)
		_, err := port.Open("/dev/null", l)
		require.Error(t, err)
	}
	for _, parity := range []string{port.None, port.Even, port.Odd} {
		require.NoError(t, port.Line{Baud: 9600, Bits: 7, Parity: parity, Stop: 2}.Check())
	}
	_, err := port.Open("/dev/null", usual())
	require.Error(t, err, "not a serial line")
}
