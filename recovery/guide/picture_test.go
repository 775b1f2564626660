package guide

import (
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/display/fonts/message"
	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/recovery/face"
)

func sizes() [][2]int {
	return [][2]int{{1024, 768}, {1280, 800}, {800, 600}, {1920, 1080}, {640, 480}}
}

// everyPicture draws every page in both tongues at every size.
func everyPicture(t *testing.T, fn func(t *testing.T, l *list.List, w, h int)) {
	for _, size := range sizes() {
		theme, err := face.NewTheme(size[0], size[1])
		require.NoError(t, err)
		for i, g := range everyPlace() {
			for _, english := range []bool{false, true} {
				tongue := map[bool]string{false: "ja", true: "en"}[english]
				t.Run(fmt.Sprintf("%02d-%s-%d", i, tongue, size[0]), func(t *testing.T) {
					fn(t, face.Draw(theme, g.Page(), face.State{English: english}), size[0], size[1])
				})
			}
		}
	}
}

// A23: no label is cut, no text leaves the screen, and no two texts run into each other.
func TestNothingIsCut(t *testing.T) {
	everyPicture(t, func(t *testing.T, l *list.List, w, h int) {
		require.Empty(t, l.Cuts)
		var texts []list.Op
		for _, o := range l.Ops {
			if o.Kind != list.Text || o.Text == "" {
				continue
			}
			require.True(t, o.Shape.In(image.Rect(0, 0, w, h)), "%q leaves the screen: %v", o.Text, o.Shape)
			for _, p := range texts {
				require.False(t, o.Shape.Overlaps(p.Shape), "%q runs into %q", o.Text, p.Text)
			}
			texts = append(texts, o)
		}
	})
}

// Fingers need room: 40 pixels on any screen that a register has.
func TestTargetsAreLarge(t *testing.T) {
	everyPicture(t, func(t *testing.T, l *list.List, w, h int) {
		for _, hit := range l.Hits {
			if w >= 800 {
				require.GreaterOrEqual(t, min(hit.Area.Dx(), hit.Area.Dy()), 40, hit.ID)
			}
			require.True(t, hit.Area.In(image.Rect(0, 0, w, h).Inset(-1)), "%s: %v", hit.ID, hit.Area)
		}
	})
}

// TestEveryCharacterIsThere: the small cut of the typeface has what the pages say.
func TestEveryCharacterIsThere(t *testing.T) {
	regular, err := message.Font()
	require.NoError(t, err)
	bold, err := message.Bold()
	require.NoError(t, err)
	missing := map[rune]bool{}
	everyPicture(t, func(t *testing.T, l *list.List, _, _ int) {
		for _, o := range l.Ops {
			for _, r := range append(regular.Missing(o.Text), bold.Missing(o.Text)...) {
				missing[r] = true
			}
		}
	})
	var all strings.Builder
	for r := range missing {
		all.WriteRune(r)
	}
	require.Empty(t, all.String(), "add them to drivers/display/fonts/message/strings.txt and make the fonts anew")
}

// TestShots writes pictures for people to look at into the folder that CHOBA_SHOTS names.
func TestShots(t *testing.T) {
	dir := os.Getenv("CHOBA_SHOTS")
	if dir == "" {
		t.Skip("CHOBA_SHOTS names no folder")
	}
	everyPicture(t, func(t *testing.T, l *list.List, w, h int) {
		p := list.NewPainter(w, h)
		p.Paint(l)
		_, name, _ := strings.Cut(t.Name(), "/")
		f, err := os.Create(filepath.Join(dir, name+".png"))
		require.NoError(t, err)
		require.NoError(t, (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(f, p.Canvas().Image()))
		require.NoError(t, f.Close())
	})
}
