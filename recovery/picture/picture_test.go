package picture

import (
	"errors"
	"image/png"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/display/fonts/message"
	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/recovery/explain"
)

func page() []explain.Line {
	return explain.Page([]explain.Trouble{explain.InSlot(slot.A, trust.ErrThreshold), explain.InSlot(slot.B, dm.ErrStranger)})
}

// TestNothingIsCut: on every size of screen the last line has room above the margin.
func TestNothingIsCut(t *testing.T) {
	font, err := message.Font()
	require.NoError(t, err)
	for _, size := range [][2]int{{800, 480}, {1024, 768}, {1280, 800}, {1920, 1080}} {
		c := paint.New(size[0], size[1])
		Paint(c, font, page())
		require.Equal(t, uint32(alarm)&0xffffff, c.Pix[0]&0xffffff, "the bar above")
		for y := c.H - c.H/32; y < c.H; y++ {
			for x := range c.W {
				require.Equal(t, uint32(paper)&0xffffff, c.Pix[y*c.W+x]&0xffffff, "%v at %d,%d", size, x, y)
			}
		}
		savePicture(t, c)
		inked := 0
		for _, p := range c.Pix {
			if p&0xffffff == uint32(ink)&0xffffff {
				inked++
			}
		}
		require.Greater(t, inked, 500, size)
	}
}

func TestLongCausesShrinkTheType(t *testing.T) {
	font, err := message.Font()
	require.NoError(t, err)
	long := explain.Page([]explain.Trouble{explain.General(errors.New(strings.Repeat("because ", 200)))})
	c := paint.New(1280, 800)
	Paint(c, font, long)
	require.Less(t, height(font, long, 20, 1120), 800)
	savePicture(t, c)
}

// savePicture leaves the picture where CHOBA_PICTURES says, to be looked at.
func savePicture(t *testing.T, c *paint.Canvas) {
	dir := os.Getenv("CHOBA_PICTURES")
	if dir == "" {
		return
	}
	f, err := os.Create(dir + "/" + t.Name() + ".png")
	require.NoError(t, err)
	require.NoError(t, png.Encode(f, c.Image()))
	require.NoError(t, f.Close())
}
