package bench

import (
	"bytes"
	"fmt"
	"image"
	"os"
	"time"
)

// press is how long a finger stays on the glass.
const press = 60 * time.Millisecond

// Tap touches the screen at pixel x, y.
func (m *Machine) Tap(x, y int) error {
	ax, ay := m.axis(x, m.cfg.Width), m.axis(y, m.cfg.Height)
	if err := m.QMP.Pointer(ax, ay, true); err != nil {
		return fmt.Errorf("touching %d,%d: %w", x, y, err)
	}
	time.Sleep(press)
	if err := m.QMP.Pointer(ax, ay, false); err != nil {
		return fmt.Errorf("lifting the finger at %d,%d: %w", x, y, err)
	}
	return nil
}

// axis is the pointer value of the middle of pixel p of n.
func (m *Machine) axis(p, n int) int { return (2*p + 1) * 0x7fff / (2 * n) }

// Picture is what the register's screen shows now.
func (m *Machine) Picture() (image.Image, error) {
	path := m.path("screen.ppm")
	if err := m.QMP.Screendump(path); err != nil {
		return nil, fmt.Errorf("taking a picture of the screen: %w", err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("taking a picture of the screen: %w", err)
	}
	img, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("taking a picture of the screen: %w", err)
	}
	return img, nil
}

// decode reads a binary PPM of eight bits a colour, as QEMU writes it.
func decode(b []byte) (image.Image, error) {
	var w, h, top int
	r := bytes.NewReader(b)
	if _, err := fmt.Fscanf(r, "P6\n%d %d\n%d\n", &w, &h, &top); err != nil {
		return nil, fmt.Errorf("reading ppm: %w", err)
	}
	px := b[len(b)-r.Len():]
	if top != 255 || w <= 0 || h <= 0 || w > 1<<14 || h > 1<<14 || len(px) != 3*w*h {
		return nil, fmt.Errorf("reading ppm: %d×%d, %d, with %d bytes", w, h, top, len(px))
	}
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i, o := 0, 0; i < len(px); i, o = i+3, o+4 {
		img.Pix[o], img.Pix[o+1], img.Pix[o+2], img.Pix[o+3] = px[i], px[i+1], px[i+2], 0xff
	}
	return img, nil
}
