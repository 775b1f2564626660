package guide

import (
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/display/list"
	"github.com/choba-os/choba/recovery/face"
)

// The pictures in the documents are what recovery draws. After a change that is meant, look at them again and write
// them anew with
//
//	CHOBA_UPDATE=1 go test -run TestDocumentPictures ./recovery/guide
func TestDocumentPictures(t *testing.T) {
	all := everyPlace()
	all[stopped].Tick(6 * time.Second)
	for name, g := range map[string]*Guide{"recovery-stopped": all[stopped], "recovery-menu": all[menu], "recovery-working": all[working]} {
		theme, err := face.NewTheme(1024, 768)
		require.NoError(t, err)
		p := list.NewPainter(1024, 768)
		p.Paint(face.Draw(theme, g.Page(), face.State{English: name == "recovery-menu"}))
		compare(t, filepath.Join("../../docs/pictures", name+".png"), p.Canvas().Image())
	}
}

func compare(t *testing.T, path string, got *image.RGBA) {
	if os.Getenv("CHOBA_UPDATE") != "" {
		f, err := os.Create(path)
		require.NoError(t, err)
		require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(f, got))
		require.NoError(t, f.Close())
	}
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	m, err := png.Decode(f)
	require.NoError(t, err)
	want := image.NewRGBA(m.Bounds())
	draw.Draw(want, want.Rect, m, image.Point{}, draw.Src)
	require.Equal(t, want.Rect, got.Rect, path)
	for i := range got.Pix {
		// other processors may round a curve's coverage differently by one step
		if d := int(got.Pix[i]) - int(want.Pix[i]); d > 2 || d < -2 {
			t.Fatalf("%s: pixel %d, %d differs by %d", path, i/4%got.Rect.Dx(), i/4/got.Rect.Dx(), d)
		}
	}
}
