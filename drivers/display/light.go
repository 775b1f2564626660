package display

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// lightAll sets a mode on every connected connector that a free CRTC can serve.
func lightAll(f *os.File) ([]*Output, error) {
	fd := int(f.Fd())
	crtcs, connectors, err := inventory(fd)
	if err != nil {
		return nil, err
	}
	var outs []*Output
	var failed error
	used := map[uint32]bool{}
	for _, id := range connectors {
		o, crtcID, err := lightOne(f, id, crtcs, used)
		switch {
		case errors.Is(err, ErrNoScreen):
		case err != nil: // one bad screen must not darken the others
			failed = errors.Join(failed, err)
		default:
			used[crtcID] = true
			outs = append(outs, o)
		}
	}
	if len(outs) == 0 {
		return nil, errors.Join(ErrNoScreen, failed)
	}
	return outs, nil
}

func inventory(fd int) (crtcs, connectors []uint32, err error) {
	var n resources
	if err := ioctl(fd, iocResources, &n); err != nil {
		return nil, nil, fmt.Errorf("counting the card's parts: %w", err)
	}
	crtcs, connectors = make([]uint32, n.nCrtcs), make([]uint32, n.nConnectors)
	var pin runtime.Pinner
	defer pin.Unpin()
	r := resources{
		nCrtcs: n.nCrtcs, nConnectors: n.nConnectors,
		crtcs: address(&pin, crtcs), connectors: address(&pin, connectors),
	}
	if err := ioctl(fd, iocResources, &r); err != nil {
		return nil, nil, fmt.Errorf("listing the card's parts: %w", err)
	}
	return crtcs[:min(r.nCrtcs, n.nCrtcs)], connectors[:min(r.nConnectors, n.nConnectors)], nil
}

func lightOne(f *os.File, id uint32, crtcs []uint32, used map[uint32]bool) (*Output, uint32, error) {
	fd := int(f.Fd())
	n := connector{id: id}
	if err := ioctl(fd, iocConnector, &n); err != nil {
		return nil, 0, fmt.Errorf("asking connector %d: %w", id, err)
	}
	if n.connection != connected || n.nModes == 0 {
		return nil, 0, ErrNoScreen
	}
	modes, encoders := make([]modeInfo, n.nModes), make([]uint32, n.nEncoders)
	var pin runtime.Pinner
	defer pin.Unpin()
	c := connector{
		id: id, nModes: n.nModes, nEncoders: n.nEncoders,
		modes: address(&pin, modes), encoders: address(&pin, encoders),
	}
	if err := ioctl(fd, iocConnector, &c); err != nil {
		return nil, 0, fmt.Errorf("asking connector %d for its modes: %w", id, err)
	}
	modes = modes[:min(c.nModes, n.nModes)]
	if len(modes) == 0 {
		return nil, 0, ErrNoScreen
	}
	crtcID, ok := pick(fd, encoders, crtcs, used)
	if !ok {
		return nil, 0, fmt.Errorf("lighting connector %d: no free CRTC", id)
	}
	o := &Output{Name: fmt.Sprintf("connector %d (type %d-%d)", id, c.kind, c.kindID), MMW: int(c.mmW), MMH: int(c.mmH), f: f}
	return o, crtcID, o.light(id, crtcID, preferred(modes))
}

func preferred(modes []modeInfo) modeInfo {
	for _, m := range modes {
		if m.kind&preferredMode != 0 {
			return m
		}
	}
	return modes[0]
}

// pick finds a CRTC that one of the encoders can use and no other screen has.
func pick(fd int, encoders, crtcs []uint32, used map[uint32]bool) (uint32, bool) {
	for _, id := range encoders {
		e := encoder{id: id}
		if ioctl(fd, iocEncoder, &e) != nil {
			continue
		}
		for i, c := range crtcs {
			if i < 32 && e.possibleCrtcs&(1<<i) != 0 && !used[c] {
				return c, true
			}
		}
	}
	return 0, false
}

// light makes the buffer, maps it and puts it on show, black.
func (o *Output) light(conn, crtcID uint32, m modeInfo) error {
	fd := int(o.f.Fd())
	d := createDumb{w: uint32(m.w), h: uint32(m.h), bpp: 32}
	if err := ioctl(fd, iocCreateDumb, &d); err != nil {
		return fmt.Errorf("making a buffer of %d × %d: %w", m.w, m.h, err)
	}
	fb := framebuffer{w: d.w, h: d.h, format: formatXRGB8888}
	fb.handles[0], fb.pitches[0] = d.handle, d.pitch
	if err := ioctl(fd, iocAddFB2, &fb); err != nil {
		return fmt.Errorf("registering the buffer: %w", err)
	}
	mm := mapDumb{handle: d.handle}
	if err := ioctl(fd, iocMapDumb, &mm); err != nil {
		return fmt.Errorf("asking for the buffer's place: %w", err)
	}
	mem, err := unix.Mmap(fd, int64(mm.offset), int(d.size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping the buffer: %w", err)
	}
	o.w, o.h, o.pitch, o.mem, o.fb, o.handle = int(m.w), int(m.h), int(d.pitch), mem, fb.id, d.handle
	var pin runtime.Pinner
	defer pin.Unpin()
	c := crtc{connectors: address(&pin, []uint32{conn}), nConnectors: 1, id: crtcID, fb: fb.id, modeValid: 1, mode: m}
	if err := ioctl(fd, iocSetCrtc, &c); err != nil {
		return fmt.Errorf("setting %d × %d: %w", m.w, m.h, err)
	}
	return nil
}
