package vm

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/tests/bench"
)

// pictures is where tests leave what they saw, for a person to look at.
const pictures = "../../out/pictures"

// keep saves what the screen shows.
func keep(t *testing.T, r *bench.Register, name string) image.Image {
	img, err := r.Picture()
	require.NoError(t, err)
	save(t, img, name)
	return img
}

func save(t *testing.T, img image.Image, name string) {
	require.NoError(t, os.MkdirAll(pictures, 0o755))
	f, err := os.Create(filepath.Join(pictures, name+".png"))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, png.Encode(f, img))
}

// colours counts the colours of the bottom third, where the firmware draws
// nothing and recovery draws its advice on a ground of its own.
func colours(img image.Image) int {
	seen := map[[3]uint32]bool{}
	b := img.Bounds()
	for y := b.Max.Y * 2 / 3; y < b.Max.Y; y += 2 {
		for x := b.Min.X; x < b.Max.X; x += 2 {
			r, g, bl, _ := img.At(x, y).RGBA()
			seen[[3]uint32{r, g, bl}] = true
		}
	}
	return len(seen)
}
