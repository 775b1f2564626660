package bench

import (
	"fmt"
	"image"
	"image/png"
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
	path := m.path("screen.png")
	if err := m.QMP.Screendump(path); err != nil {
		return nil, fmt.Errorf("taking a picture of the screen: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("taking a picture of the screen: %w", err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("taking a picture of the screen: %w", err)
	}
	return img, nil
}
