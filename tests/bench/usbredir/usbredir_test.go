package usbredir

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// guest is QEMU's side, as far as these tests need it.
type guest struct {
	t *testing.T
	c net.Conn
}

func plugged(t *testing.T, m Model) (*Device, guest) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	d := New(m)
	require.NoError(t, d.Plug(path))
	c, err := l.Accept()
	require.NoError(t, err)
	c.SetDeadline(time.Now().Add(5 * time.Second))
	g := guest{t, c}
	t.Cleanup(func() { d.Unplug(); c.Close(); l.Close() })
	h, err := readPacket(c, true)
	require.NoError(t, err)
	require.Equal(t, uint32(typeHello), h.kind)
	g.send(typeHello, 0, h.body)
	for _, want := range []uint32{typeEndpointInfo, typeInterfaceInfo, typeConnect} {
		require.Equal(t, want, g.receive().kind)
	}
	return d, g
}

func (g guest) send(kind uint32, id uint64, body []byte) {
	_, err := g.c.Write(packet{kind, id, body}.encode())
	require.NoError(g.t, err)
}

func (g guest) receive() packet {
	n := make([]byte, longIDs)
	_, err := io.ReadFull(g.c, n)
	require.NoError(g.t, err)
	p := packet{kind: le.Uint32(n), id: le.Uint64(n[8:]), body: make([]byte, le.Uint32(n[4:]))}
	_, err = io.ReadFull(g.c, p.body)
	require.NoError(g.t, err)
	return p
}

var model = Model{Speed: 1, Device: []byte{18, 1, 0, 2, 0, 0, 0, 64, 1, 2, 3, 4, 0, 1, 1, 2, 3, 1},
	Config:  []byte{9, 2, 32, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 2, 3, 1, 1, 0, 7, 5, 0x81, 3, 8, 0, 1, 7, 5, 0x82, 2, 64, 0, 0},
	Strings: []string{"メーカー"}}

func TestInterruptWaitsForTheDriver(t *testing.T) {
	d, g := plugged(t, model)
	d.Interrupt(0x81, []byte{1})
	g.send(typeSetConfig, 7, []byte{1})
	for _, want := range []uint32{typeEndpointInfo, typeInterfaceInfo, typeConfigStatus} {
		require.Equal(t, want, g.receive().kind)
	}
	<-d.Configured()
	require.Equal(t, 1, d.Waiting())
	g.send(typeStartInterrupt, 8, []byte{0x81})
	require.Equal(t, uint32(typeInterruptStatus), g.receive().kind)
	p := g.receive()
	require.Equal(t, uint32(typeInterrupt), p.kind)
	require.Equal(t, []byte{0x81, 0, 1, 0, 1}, p.body)
	require.Zero(t, d.Waiting())
}

func TestBulkInIsAnsweredInPieces(t *testing.T) {
	d, g := plugged(t, model)
	ask := []byte{0x82, 0, 2, 0, 0, 0, 0, 0, 0, 0}
	g.send(typeBulk, 1, ask)
	g.send(typeBulk, 2, ask)
	require.Eventually(t, func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.endpoint(0x82).waiting) == 2 }, time.Second, time.Millisecond)
	d.Bulk(0x82, []byte("abc"))
	require.Equal(t, "ab", string(g.receive().body[10:]))
	require.Equal(t, "c", string(g.receive().body[10:]))
	g.send(typeBulk, 3, ask)
	g.send(typeCancel, 3, nil)
	p := g.receive()
	require.Equal(t, uint64(3), p.id)
	require.Equal(t, byte(Cancelled), p.body[1])
}

func TestDescriptors(t *testing.T) {
	_, g := plugged(t, model)
	g.send(typeControl, 1, []byte{0x80, 6, 0x80, 0, 1, 3, 0, 0, 255, 0})
	require.Equal(t, stringDescriptor("メーカー"), g.receive().body[10:])
	g.send(typeControl, 2, []byte{0x80, 6, 0x80, 0, 9, 3, 0, 0, 255, 0})
	require.Equal(t, byte(Stall), g.receive().body[3])
}

// A descriptor that puts another type on endpoint 0 must not reach QEMU's view.
func TestEndpointZeroStaysControl(t *testing.T) {
	m := model
	m.Config = append(append([]byte{}, model.Config...), 7, 5, 0x80, 3, 8, 0, 1)
	d := New(m)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, d.Plug(path))
	defer d.Unplug()
	c, err := l.Accept()
	require.NoError(t, err)
	h, err := readPacket(c, true)
	require.NoError(t, err)
	g := guest{t, c}
	g.send(typeHello, 0, h.body)
	info := g.receive()
	require.Equal(t, uint32(typeEndpointInfo), info.kind)
	require.Equal(t, []byte{0, 0}, []byte{info.body[0], info.body[16]})
	require.Equal(t, byte(3), info.body[17])
}

func FuzzReadPacket(f *testing.F) {
	f.Add(packet{typeHello, 0, make([]byte, helloSize)}.encode(), true)
	f.Add(packet{typeControl, 5, make([]byte, 18)}.encode(), false)
	f.Fuzz(func(t *testing.T, b []byte, hello bool) {
		p, err := readPacket(bytes.NewReader(b), hello)
		if err != nil {
			return
		}
		if hello == (p.kind == typeHello) {
			require.Equal(t, b[:len(p.encode())], p.encode())
		}
	})
}
