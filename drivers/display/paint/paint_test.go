package paint

import (
	"image"
	"testing"

	"github.com/stretchr/testify/require"
)

// scene paints every kind of shape.
func scene(c *Canvas) {
	c.Fill(c.Bounds(), RGB(0xe9edf2))
	c.Shadow(Rect(20, 20, 80, 50), 12, 8, 3, 0x80203040)
	c.Round(Rect(20, 20, 80, 50), 12, RGB(0xffffff))
	c.Shadow(Rect(110, 30, 30, 9), 14, 10, 4, 0xff000000)
	c.Round(Rect(110, 30, 30, 9), 40, RGB(0x0b7a6b).Alpha(128))
	c.Fill(Rect(60, 60, 60, 60), RGB(0xb3232a).Alpha(77))
	for i := None; i < Icons; i++ {
		c.Icon(i, int(i)*9-4, 90+int(i)%3*10, 24, RGB(0x123456).Alpha(200))
	}
	c.Shadow(Rect(-10, 120, 40, 40), 6, 5, 2, 0xff000000)
}

// Painting in pieces gives the same picture as painting at once: package list rests on it.
func TestClipLeavesNoSeam(t *testing.T) {
	whole := New(160, 140)
	scene(whole)
	for _, tile := range []int{1, 7, 32, 159} {
		pieces := New(160, 140)
		for y := 0; y < 140; y += tile {
			for x := 0; x < 160; x += tile {
				pieces.Clip(Rect(x, y, tile, tile))
				scene(pieces)
			}
		}
		require.Equal(t, whole.Pix, pieces.Pix, "tiles of %d", tile)
	}
}

func TestRoundIsSymmetric(t *testing.T) {
	c := New(41, 31)
	c.Round(c.Bounds(), 11, RGB(0xffffff))
	for y := range c.H {
		for x := range c.W {
			p := c.Pix[y*c.W+x]
			require.Equal(t, p, c.Pix[y*c.W+c.W-1-x])
			require.Equal(t, p, c.Pix[(c.H-1-y)*c.W+x])
		}
	}
	require.Zero(t, c.Pix[0], "a corner stays empty")
	require.Equal(t, uint32(0xffffff), c.Pix[15*c.W+20])
}

func TestShadowStaysInItsBounds(t *testing.T) {
	c := New(100, 100)
	r := Rect(30, 30, 40, 30)
	c.Shadow(r, 10, 8, 4, 0xffffffff)
	touched := image.Rectangle{}
	for y := range c.H {
		for x := range c.W {
			if c.Pix[y*c.W+x] != 0 {
				touched = touched.Union(Rect(x, y, 1, 1))
			}
		}
	}
	require.True(t, touched.In(ShadowBounds(r, 8, 4)), "%v", touched)
	require.False(t, touched.In(r))
}

func TestIconsDiffer(t *testing.T) {
	seen := map[string]Icon{}
	for i := None + 1; i < Icons; i++ {
		c := New(48, 48)
		c.Icon(i, 0, 0, 48, RGB(0xffffff))
		ink, key := 0, make([]byte, 0, len(c.Pix))
		for _, p := range c.Pix {
			ink += int(p & 0xff)
			key = append(key, byte(p))
		}
		require.Greater(t, ink, 255*48*48/25, "icon %d is drawn", i)
		require.NotContains(t, seen, string(key), "icon %d looks like icon %d", i, seen[string(key)])
		seen[string(key)] = i
	}
	c := New(8, 8)
	c.Icon(Icons, 0, 0, 8, RGB(0xffffff))
	c.Icon(Check, 0, 0, 0, RGB(0xffffff))
	require.Equal(t, make([]uint32, 64), c.Pix)
}

func TestFullOpacityReplaces(t *testing.T) {
	c := New(2, 1)
	c.Fill(c.Bounds(), RGB(0x123456))
	require.Equal(t, []uint32{0x123456, 0x123456}, c.Pix)
	c.Fill(Rect(0, 0, 1, 1), RGB(0xffffff).Alpha(0))
	require.Equal(t, uint32(0x123456), c.Pix[0])
	m := image.NewAlpha(image.Rect(0, 0, 1, 1))
	m.Pix[0] = 255
	c.Mask(m, 1, 0, RGB(0xabcdef))
	require.Equal(t, uint32(0xabcdef), c.Pix[1])
	require.Equal(t, []uint8{0x12, 0x34, 0x56, 255, 0xab, 0xcd, 0xef, 255}, c.Image().Pix)
}
