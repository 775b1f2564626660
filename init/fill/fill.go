// Package fill lets the data partition end where the disk ends: the image that is flashed is smaller than any
// register's disk.
//
// The table is image/gpt's; here it is told to the kernel, for this one partition only: the others are in use, so that
// the kernel would not read the whole table again. It is not about what lies in the partition. The rule that keeps it
// small: one partition, and an error leaves what the kernel has.
package fill

import (
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/image/gpt"
)

// Disk lets the partition, the last on its whole disk (a path, such as "/dev/vda"), fill it. It gives the partition as
// the kernel has it afterwards: on any error, and when there is nothing to grow, as it was.
func Disk(whole string, p disk.Partition) (disk.Partition, error) {
	f, err := os.OpenFile(whole, os.O_RDWR, 0)
	if err != nil {
		return p, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return p, fmt.Errorf("reading the size of %s: %w", whole, err)
	}
	g, err := gpt.Grow(f, size, p.Name)
	if err != nil {
		return p, err
	}
	switch {
	case g.Part.Size == p.Size:
		return p, nil
	case g.Part.Size < p.Size:
		return p, fmt.Errorf("partition %s has %d bytes in the table, but %d in the kernel", p.Name, g.Part.Size, p.Size)
	}
	if err := tell(f, g); err != nil {
		return p, fmt.Errorf("telling the kernel of the partition's new size: %w", err)
	}
	p.Size = g.Part.Size
	return p, nil
}

// tell has the kernel take over the partition's size. It refuses another beginning than it knows.
func tell(whole *os.File, g gpt.Growth) error {
	part := unix.BlkpgPartition{Start: g.Part.Start, Length: g.Part.Size, Pno: int32(g.Number)}
	arg := unix.BlkpgIoctlArg{Op: unix.BLKPG_RESIZE_PARTITION, Datalen: int32(unsafe.Sizeof(part)), Data: (*byte)(unsafe.Pointer(&part))}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, whole.Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&arg))); e != 0 {
		return e
	}
	return nil
}
