package notice

import (
	"image/png"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/display/fonts/message"
	"github.com/choba-os/choba/drivers/display/paint"
)

func page(reasons ...string) (p Page) {
	p = New("このレジは起動できません", "This register cannot start")
	for _, r := range reasons {
		p = p.With("内容が壊れています。", "Its contents are damaged.", r)
	}
	return p.
		With("電源を入れ直してください。もう一度この画面が出たら、販売店に連絡して、内容を読み上げてください。",
			"Switch the register off and on again. If this page comes back, call your dealer and read it out.", "").
		With("売上の記録は安全です。", "Sales data is safe.", "")
}

func TestPage(t *testing.T) {
	first := New("題", "title").With("一", "one", "why")
	require.Equal(t, Page{{"題", Title}, {"title", Title}, {"一", Lead}, {"one", Body}, {"why", Detail}}, first)
	a, b := first.With("二", "two", ""), first.With("三", "three", "")
	require.Equal(t, append(append(Page{}, first...), Paragraph{"二", Lead}, Paragraph{"two", Body}), a)
	require.Equal(t, "三", b[5].Text, "pages that begin alike do not share their ends")
}

// TestNothingIsCut: on every size of screen the last line has room above the margin.
func TestNothingIsCut(t *testing.T) {
	font, err := message.Font()
	require.NoError(t, err)
	for _, size := range [][2]int{{640, 480}, {800, 480}, {1024, 768}, {1280, 800}, {1920, 1080}} {
		for _, reason := range []string{"a reason", strings.Repeat("a long reason, ", 20)} {
			c := paint.New(size[0], size[1])
			Paint(c, font, page(reason, reason))
			requireWhole(t, c)
			savePicture(t, c)
		}
	}
}

func requireWhole(t *testing.T, c *paint.Canvas) {
	require.Equal(t, uint32(alarm)&0xffffff, c.Pix[0]&0xffffff, "the bar above")
	for y := c.H - c.H/32; y < c.H; y++ {
		for x := range c.W {
			require.Equal(t, uint32(paper)&0xffffff, c.Pix[y*c.W+x]&0xffffff, "%dx%d at %d,%d", c.W, c.H, x, y)
		}
	}
	inked := 0
	for _, p := range c.Pix {
		if p&0xffffff == uint32(ink)&0xffffff {
			inked++
		}
	}
	require.Greater(t, inked, 500, "%dx%d", c.W, c.H)
}

func TestLongCausesShrinkTheType(t *testing.T) {
	font, err := message.Font()
	require.NoError(t, err)
	long := page(strings.Repeat("because ", 200))
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
