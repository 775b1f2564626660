package notice

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/display/fonts/message"
	"github.com/choba-os/choba/drivers/display/paint"
)

func TestEveryLetterIsInTheTypeface(t *testing.T) {
	font, err := message.Font()
	require.NoError(t, err)
	p := Stopped(errors.New("opening the data key: PCR 13"))
	for _, s := range append([]string{p.Title, p.Detail}, p.Lines...) {
		require.Empty(t, font.Missing(s), s)
	}
}

// Everything fits on small screens too, and a long reason makes the type smaller instead of being cut.
func TestFits(t *testing.T) {
	font, err := message.Font()
	require.NoError(t, err)
	for _, size := range [][2]int{{640, 480}, {800, 480}, {1280, 800}, {1920, 1080}} {
		c := paint.New(size[0], size[1])
		Paint(c, font, Stopped(errors.New(strings.Repeat("a long reason, ", 20))))
		bottom := c.Pix[(c.H-4)*c.W:]
		require.Len(t, slices.Compact(slices.Clone(bottom)), 1, "nothing is painted at the very end")
		require.Greater(t, len(slices.Compact(slices.Clone(c.Pix))), 100, "something is painted")
	}
}
