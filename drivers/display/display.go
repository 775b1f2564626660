// Package display shows pictures on the screens of a register through the kernel's mode setting (DRM/KMS).
//
// It lights every connected screen of a card at its preferred mode, each with one buffer in memory (a dumb buffer), and copies
// changed parts of a canvas into it. It is no compositor: no page flips, no cursor, no acceleration, no fbdev (without a virtual
// terminal that shows nothing). Rule that keeps it small: it only ever writes to the buffer that is on show, since reading from one is
// slow and small changes do not tear visibly; add page flips only when tearing was seen on real hardware.
//
// The subpackages: paint (shapes), text (lines of type), list (what to repaint), fonts (the typefaces that ship).
package display

import (
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"unsafe"

	"github.com/choba-os/choba/drivers/display/paint"
	"golang.org/x/sys/unix"
)

// ErrNoScreen means that the card has no connected screen.
var ErrNoScreen = errors.New("no screen is connected")

// Output is one screen with its buffer. One goroutine owns it.
type Output struct {
	Name string
	w, h int
	// MMW and MMH are the screen's size in millimetres as it claims, 0 when unknown.
	MMW, MMH int

	f       *os.File // shared by the card's outputs; stays open, since the picture goes away with it
	fb      uint32
	handle  uint32
	pitch   int
	mem     []byte
	noDirty bool
}

// Cards lists the display cards there are now.
func Cards() ([]string, error) {
	paths, err := filepath.Glob("/dev/dri/card*")
	if err != nil {
		return nil, fmt.Errorf("listing display cards: %w", err)
	}
	slices.Sort(paths)
	return paths, nil
}

// Open lights every connected screen of a card (/dev/dri/cardN), the first of the card's own order first. ErrNoScreen when none is
// connected. The process must be the card's master: the first to open it is.
func Open(path string) ([]*Output, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening display card: %w", err)
	}
	outs, err := lightAll(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lighting %s: %w", path, err), f.Close())
	}
	return outs, nil
}

// Close gives the card back: the picture goes, and those of the card's other outputs go with it.
func (o *Output) Close() error {
	var unmapped error
	if o.mem != nil {
		unmapped = unix.Munmap(o.mem)
		o.mem = nil
	}
	if err := o.f.Close(); !errors.Is(err, os.ErrClosed) {
		return errors.Join(unmapped, err)
	}
	return unmapped
}

// Size is the screen's size in pixels.
func (o *Output) Size() (w, h int) { return o.w, o.h }

// Show copies the damaged parts of c (all of it when damage is nil) to the screen. Parts outside the screen are left out.
func (o *Output) Show(c *paint.Canvas, damage []image.Rectangle) error {
	all := image.Rect(0, 0, min(o.w, c.W), min(o.h, c.H))
	if damage == nil {
		damage = []image.Rectangle{all}
	}
	clips := make([]clip, 0, len(damage))
	for _, r := range damage {
		if r = r.Intersect(all); r.Empty() {
			continue
		}
		o.copy(c, r)
		clips = append(clips, clip{uint16(r.Min.X), uint16(r.Min.Y), uint16(r.Max.X), uint16(r.Max.Y)})
	}
	return o.flush(clips)
}

func (o *Output) copy(c *paint.Canvas, r image.Rectangle) {
	n := r.Dx() * 4
	for y := r.Min.Y; y < r.Max.Y; y++ {
		src := unsafe.Slice((*byte)(unsafe.Pointer(&c.Pix[y*c.W+r.Min.X])), n)
		copy(o.mem[y*o.pitch+r.Min.X*4:][:n], src)
	}
}

// flush tells drivers that keep a copy of the buffer (virtio-gpu, simpledrm) what changed; others do not know the call.
func (o *Output) flush(clips []clip) error {
	for len(clips) > 0 && !o.noDirty {
		part := clips[:min(len(clips), maxClipsPerCall)]
		clips = clips[len(part):]
		var pin runtime.Pinner
		d := dirty{fb: o.fb, nClips: uint32(len(part)), clips: address(&pin, part)}
		err := ioctl(int(o.f.Fd()), iocDirty, &d)
		pin.Unpin()
		if errors.Is(err, unix.ENOSYS) {
			o.noDirty = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("showing changes on %s: %w", o.Name, err)
		}
	}
	return nil
}
