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
