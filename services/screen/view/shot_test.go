package view_test

import (
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/choba-os/choba/services/screen/state"
	"github.com/choba-os/choba/services/screen/view"
	"github.com/stretchr/testify/require"
)

// TestShots writes pictures of every sample for people to look at, into the folder that CHOBA_SHOTS names.
func TestShots(t *testing.T) {
	dir := os.Getenv("CHOBA_SHOTS")
	if dir == "" {
		t.Skip("CHOBA_SHOTS names no folder")
	}
	for _, size := range sizes() {
		for _, s := range samples() {
			for _, lang := range []state.Lang{state.Japanese, state.English} {
				s.ui.Lang = lang
				m, err := view.Render(s.v, s.ui, size[0], size[1])
				require.NoError(t, err)
				f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", s.name, lang, size[0])))
				require.NoError(t, err)
				require.NoError(t, (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(f, m))
				require.NoError(t, f.Close())
			}
		}
	}
}

func sizes() [][2]int { return [][2]int{{1024, 768}, {1280, 800}, {1920, 1080}} }
