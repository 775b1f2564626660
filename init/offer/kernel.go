package offer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/verity"
)

// deviceName is the device-mapper's name for the slot while it is looked at.
const deviceName = "choba-offer"

// Open has the kernel open the release that lies on the partition at path: dm-verity, which wants the root hash signed
// by a key of its own, and EROFS above it. The file system is mounted nowhere: services that start meanwhile would
// keep it.
func Open(path string, r release.Release) (Volume, error) {
	_ = dm.Remove(deviceName) // what an earlier check may have left
	dev, err := dm.OpenVerity(dm.Verity{
		Name: deviceName, Table: table(path, r.Verity), Sectors: r.Verity.Sectors(), Signature: r.RootSignature,
	})
	if err != nil {
		return nil, err
	}
	root, err := mount(dev)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the release: %w", err), remove())
	}
	return volume{root}, nil
}

// table is the slot's own, but for what a bad block does: here it is an error of reading, not the register's end in the
// middle of a day. Whoever may write the slot may spoil it while it is looked at.
func table(path string, p verity.Params) string {
	return strings.Replace(verity.Table(path, p, dm.VerityKey), " 3 panic_on_corruption ", " 2 ", 1)
}

func mount(dev string) (root int, err error) {
	if err := dm.WaitNode(dev); err != nil {
		return 0, err
	}
	fs, err := unix.Fsopen("erofs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetString(fs, "source", dev); err != nil {
		return 0, err
	}
	if err := unix.FsconfigSetFlag(fs, "ro"); err != nil {
		return 0, err
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return 0, err
	}
	const attr = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attr)
}

// remove takes the device away. The file system above it ends a moment after its last file.
func remove() (err error) {
	for range 100 {
		if err = dm.Remove(deviceName); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// volume is an open file system that has no place.
type volume struct{ root int }

func (v volume) ReadFile(path string, most int64) ([]byte, error) {
	fd, err := unix.Openat2(v.root, strings.TrimPrefix(path, "/"), &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("reading %s: more than %d bytes", path, most)
	}
	return text, nil
}

func (v volume) Close() error { return errors.Join(unix.Close(v.root), remove()) }
