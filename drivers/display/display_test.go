package display

import (
	"encoding/binary"
	"image"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/stretchr/testify/require"
)

// The sizes are part of each ioctl's number: a wrong one is a call that the kernel does not know.
func TestStructuresHaveTheKernelsSizes(t *testing.T) {
	require.EqualValues(t, 64, unsafe.Sizeof(resources{}))
	require.EqualValues(t, 68, unsafe.Sizeof(modeInfo{}))
	require.EqualValues(t, 80, unsafe.Sizeof(connector{}))
	require.EqualValues(t, 20, unsafe.Sizeof(encoder{}))
	require.EqualValues(t, 104, unsafe.Sizeof(crtc{}))
	require.EqualValues(t, 32, unsafe.Sizeof(createDumb{}))
	require.EqualValues(t, 16, unsafe.Sizeof(mapDumb{}))
	require.EqualValues(t, 104, unsafe.Sizeof(framebuffer{}))
	require.EqualValues(t, 24, unsafe.Sizeof(dirty{}))
	require.EqualValues(t, 8, unsafe.Sizeof(clip{}))
}

func TestPreferredMode(t *testing.T) {
	require.Equal(t, uint16(1280), preferred([]modeInfo{{w: 1024}, {w: 1280, kind: preferredMode | 1<<6}}).w)
	require.Equal(t, uint16(1024), preferred([]modeInfo{{w: 1024}, {w: 800}}).w)
}

// Rows of a buffer may be longer than the picture; nothing outside the damage, or outside the screen, is written.
func TestShowCopiesDamageOnly(t *testing.T) {
	const w, h, pitch = 5, 4, 32
	o := &Output{w: w, h: h, pitch: pitch, mem: make([]byte, pitch*h), noDirty: true}
	c := paint.New(7, 6) // larger than the screen
	c.Fill(c.Bounds(), paint.RGB(0xaabbcc))
	require.NoError(t, o.Show(c, []image.Rectangle{image.Rect(3, 1, 7, 3), image.Rect(9, 9, 12, 12)}))
	for y := range h {
		for x := range pitch / 4 {
			want := uint32(0)
			if image.Pt(x, y).In(image.Rect(3, 1, 5, 3)) {
				want = 0xaabbcc
			}
			require.Equal(t, want, binary.LittleEndian.Uint32(o.mem[y*pitch+x*4:]), "%d, %d", x, y)
		}
	}
	require.NoError(t, o.Show(c, nil))
	require.Equal(t, uint32(0xaabbcc), binary.LittleEndian.Uint32(o.mem))
}

func TestOpenRefusesWhatIsNoCard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "card0")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := Open(path)
	require.ErrorContains(t, err, "counting the card's parts")
	_, err = Open(path + "1")
	require.ErrorIs(t, err, os.ErrNotExist)
}
