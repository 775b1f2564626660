package display

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The structures below are those of Linux include/uapi/drm/drm.h and drm_mode.h, field for field.

type resources struct {
	fbs, crtcs, connectors, encoders     uint64
	nFbs, nCrtcs, nConnectors, nEncoders uint32
	minW, maxW, minH, maxH               uint32
}

type modeInfo struct {
	clock                                  uint32
	w, hSyncStart, hSyncEnd, hTotal, hSkew uint16
	h, vSyncStart, vSyncEnd, vTotal, vScan uint16
	refresh, flags, kind                   uint32
	name                                   [32]byte
}

type connector struct {
	encoders, modes, props, values     uint64
	nModes, nProps, nEncoders          uint32
	encoder, id, kind, kindID          uint32
	connection, mmW, mmH, subpixel, _p uint32
}

type encoder struct{ id, kind, crtc, possibleCrtcs, possibleClones uint32 }

type crtc struct {
	connectors       uint64
	nConnectors      uint32
	id, fb, x, y     uint32
	gamma, modeValid uint32
	mode             modeInfo
}

type createDumb struct {
	h, w, bpp, flags, handle, pitch uint32
	size                            uint64
}

type mapDumb struct {
	handle, _p uint32
	offset     uint64
}

type framebuffer struct {
	id, w, h, format, flags   uint32
	handles, pitches, offsets [4]uint32
	_p                        uint32
	modifiers                 [4]uint64
}

type dirty struct {
	fb, flags, color, nClips uint32
	clips                    uint64
}

type clip struct{ x1, y1, x2, y2 uint16 }

const (
	iocResources    = 0xa0
	iocSetCrtc      = 0xa2
	iocEncoder      = 0xa6
	iocConnector    = 0xa7
	iocDirty        = 0xb1
	iocCreateDumb   = 0xb2
	iocMapDumb      = 0xb3
	iocAddFB2       = 0xb8
	connected       = 1
	preferredMode   = 1 << 3
	formatXRGB8888  = 'X' | 'R'<<8 | '2'<<16 | '4'<<24
	maxClipsPerCall = 256 // DRM_MODE_FB_DIRTY_MAX_CLIPS
)

// ioctl does a read-write DRM call on v. v must point into pinned or heap memory; what it points to is pinned by the caller.
func ioctl[T any](fd int, nr uintptr, v *T) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(v)
	req := 3<<30 | unsafe.Sizeof(*v)<<16 | 'd'<<8 | nr
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), req, uintptr(unsafe.Pointer(v)))
		switch e {
		case 0:
			return nil
		case unix.EINTR, unix.EAGAIN:
		default:
			return e
		}
	}
}

// address pins s and gives its address as the kernel wants it.
func address[T any](pin *runtime.Pinner, s []T) uint64 {
	if len(s) == 0 {
		return 0
	}
	pin.Pin(&s[0])
	return uint64(uintptr(unsafe.Pointer(&s[0])))
}
