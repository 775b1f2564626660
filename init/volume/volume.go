// Package volume is the inside of the data partition on the machine: dm-crypt over the partition, ext4 mounted at
// /data and grown to the device.
//
// It is not a volume manager and knows nothing of keys' origin, of headers or of first boots; package data does. The
// rule that keeps it small: one volume, one place, and what was opened can be closed.
package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
)

const (
	name      = "choba-data"
	blockSize = 4096 // of the ext4 that the image ships
	// resizeFS is EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64): the wanted size in blocks (fs/ext4/ext4.h).
	resizeFS = 0x40086610
)

// Volume is the data partition's inside.
type Volume struct {
	partition string // block device underneath
	size      int64  // of it, in bytes
	target    string // where it is mounted
	device    string // of decrypted bytes, once open
	mounted   bool
}

// New is the volume on a partition of this many bytes.
func New(partition string, size int64, target string) *Volume {
	return &Volume{partition: partition, size: size, target: target}
}

// bytes is the room inside the encryption: whole blocks.
func (v *Volume) bytes() int64 { return (v.size - layout.DataCrypt) / blockSize * blockSize }

// Open makes the decrypting device; it wipes key.
func (v *Volume) Open(key []byte) (frame.Device, error) {
	if v.bytes() <= 0 {
		clear(key)
		return nil, fmt.Errorf("opening %s: %d bytes are too few", v.partition, v.size)
	}
	dev, err := dm.OpenCrypt(dm.Crypt{Name: name, Device: v.partition, Offset: uint64(layout.DataCrypt / dm.SectorSize),
		Sectors: uint64(v.bytes() / dm.SectorSize), Key: key})
	if err != nil {
		return nil, err
	}
	v.device = dev
	if err := dm.WaitNode(dev); err != nil {
		return nil, err
	}
	return device(dev), nil
}

// device opens its file for each use: nothing keeps the volume busy when it is to be closed.
type device string

func (d device) with(flags int, do func(*os.File) (int, error)) (int, error) {
	f, err := os.OpenFile(string(d), flags, 0)
	if err != nil {
		return 0, err
	}
	n, err := do(f)
	return n, errors.Join(err, f.Close())
}

func (d device) ReadAt(b []byte, at int64) (int, error) {
	n, err := d.with(os.O_RDONLY, func(f *os.File) (int, error) { return f.ReadAt(b, at) })
	if n < len(b) && err == nil {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (d device) WriteAt(b []byte, at int64) (int, error) {
	return d.with(os.O_WRONLY, func(f *os.File) (int, error) { return f.WriteAt(b, at) })
}

func (d device) Sync() error {
	_, err := d.with(os.O_WRONLY, func(f *os.File) (int, error) { return 0, f.Sync() })
	return err
}

// Mount mounts the file system. An error in its structure makes it read-only: better to stop selling than to write on
// sand. It is not noexec: IPE refuses to execute anything on it, and unlike noexec says so, which the journal keeps.
func (v *Volume) Mount() error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOATIME
	if err := unix.Mount(v.device, v.target, "ext4", flags, "errors=remount-ro"); err != nil {
		return fmt.Errorf("mounting %s on %s: %w", v.device, v.target, err)
	}
	v.mounted = true
	return nil
}

// Grow lets the mounted file system fill the device. Where it does already, nothing is written.
func (v *Volume) Grow() error {
	blocks := uint64(v.bytes() / blockSize)
	super := make([]byte, 1024)
	if _, err := device(v.device).ReadAt(super, 1024); err != nil {
		return fmt.Errorf("growing %s: reading its superblock: %w", v.target, err)
	}
	if blocksOf(super) == blocks {
		return nil
	}
	dir, err := os.Open(v.target)
	if err != nil {
		return fmt.Errorf("growing %s: %w", v.target, err)
	}
	defer dir.Close()
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), resizeFS, uintptr(unsafe.Pointer(&blocks))); e != 0 {
		return fmt.Errorf("growing %s to %d blocks: %w", v.target, blocks, e)
	}
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("growing %s: %w", v.target, err)
	}
	return nil
}

// blocksOf is the size that stands in a superblock of ext4 (fs/ext4/ext4.h: s_blocks_count_lo and _hi).
func blocksOf(super []byte) uint64 {
	return uint64(binary.LittleEndian.Uint32(super[0x150:]))<<32 | uint64(binary.LittleEndian.Uint32(super[4:]))
}

// Close unmounts the file system and takes the device, and with it the key, out of the kernel.
func (v *Volume) Close() error {
	var errs []error
	if v.mounted {
		if err := unix.Unmount(v.target, 0); err != nil {
			return fmt.Errorf("unmounting %s: %w", v.target, err) // the device is still in use
		}
		v.mounted = false
	}
	if v.device != "" {
		errs = append(errs, dm.Remove(name))
		v.device = ""
	}
	return errors.Join(errs...)
}
