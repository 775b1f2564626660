package stick

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/disk"
	"github.com/choba-os/choba/image/fat"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/recovery/act"
)

// memory is a stick with its content in memory.
type memory struct {
	data   []byte
	closed bool
}

func (m *memory) ReadAt(b []byte, off int64) (int, error) {
	return bytes.NewReader(m.data).ReadAt(b, off)
}
func (m *memory) WriteAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > int64(len(m.data)) {
		return 0, io.ErrShortWrite
	}
	return copy(m.data[off:], b), nil
}
func (m *memory) Sync() error  { return nil }
func (m *memory) Size() int64  { return int64(len(m.data)) }
func (m *memory) Name() string { return "memory" }
func (m *memory) Close() error { m.closed = true; return nil }

const size = 64 * layout.MiB

// formatted is a stick without a partition table, with one file.
func formatted(t *testing.T) *memory {
	m := &memory{data: make([]byte, size)}
	require.NoError(t, disk.WriteESP(m, 0, size, "BUNDLES/OLD.BIN", []byte("old release")))
	return m
}

func TestStick(t *testing.T) {
	m := formatted(t)
	s, err := New(m)
	require.NoError(t, err)
	names, err := s.Files("bundles")
	require.NoError(t, err)
	require.Equal(t, []string{"OLD.BIN"}, names)
	f, err := s.Open("bundles/old.bin")
	require.NoError(t, err)
	require.Equal(t, int64(11), f.Size())
	_, err = s.Open("nothing")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = s.Files("nowhere")
	require.ErrorIs(t, err, fs.ErrNotExist)

	before, err := s.Free()
	require.NoError(t, err)
	require.Greater(t, before, int64(size*9/10))
	text := bytes.Repeat([]byte("sales "), 100000)
	require.NoError(t, s.Create("choba-7k3m-00.000", bytes.NewReader(text), int64(len(text))))
	after, err := s.Free()
	require.NoError(t, err)
	require.Equal(t, (int64(len(text))+511)/512*512, before-after)
	f, err = s.Open("choba-7k3m-00.000")
	require.NoError(t, err, "what was created is seen at once")
	got, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	require.NoError(t, err)
	require.Equal(t, text, got)
	require.ErrorIs(t, s.Create("choba-7k3m-00.000", bytes.NewReader(nil), 0), fs.ErrExist)
	require.ErrorIs(t, s.Create("large", bytes.NewReader(nil), 2*size), fat.ErrFull)
	require.NoError(t, s.Close())
	require.True(t, m.closed)
}

func TestNotAStick(t *testing.T) {
	m := &memory{data: bytes.Repeat([]byte("noise"), 1<<20)}
	_, err := New(m)
	require.ErrorIs(t, err, fat.ErrNotFAT)
	require.True(t, m.closed, "a stick that is not used is given back")
}

func TestPart(t *testing.T) {
	p := part{&memory{data: []byte("0123456789")}, 2, 5}
	b := make([]byte, 9)
	n, err := p.ReadAt(b, 1)
	require.Equal(t, "3456", string(b[:n]), "nothing outside the volume is read")
	require.ErrorIs(t, err, io.EOF)
	_, err = p.ReadAt(b, 5)
	require.ErrorIs(t, err, io.EOF)
	_, err = p.WriteAt([]byte("xx"), 4)
	require.True(t, errors.Is(err, io.ErrShortWrite), "nor written")
}

func TestNoneIsThere(t *testing.T) {
	_, err := Finder{Root: t.TempDir()}.Open(context.Background(), false)
	require.ErrorIs(t, err, act.ErrNoStick)
}
