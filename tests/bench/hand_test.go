package bench

import (
	"image/color"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDecodePicture(t *testing.T) {
	img, err := decode([]byte("P6\n2 1\n255\n\x01\x02\x03\n\x00\xff"))
	require.NoError(t, err)
	require.Equal(t, color.RGBA{1, 2, 3, 255}, img.At(0, 0))
	require.Equal(t, color.RGBA{'\n', 0, 255, 255}, img.At(1, 0))
	for _, bad := range []string{"", "P6\n", "P5\n1 1\n255\n\x00", "P6\n2 1\n255\n\x01", "P6\n-1 1\n255\n", "P6\n1 1\n65535\n\x00\x00\x00"} {
		_, err := decode([]byte(bad))
		require.Error(t, err, "%q", bad)
	}
}

func FuzzDecodePicture(f *testing.F) {
	f.Add([]byte("P6\n2 1\n255\n\x01\x02\x03\n\x00\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if img, err := decode(b); err == nil {
			require.False(t, img.Bounds().Empty())
		}
	})
}
