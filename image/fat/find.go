package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/gpt"
	"github.com/choba-os/choba/image/layout"
)

// Find says where on a disk of size bytes the first volume lies that Open takes: on all of it, or in a partition of an
// MBR or GPT (not in a logical one). Errors: ErrNotFAT, or the disk's.
func Find(r io.ReaderAt, size int64) (start, length int64, err error) {
	start, length, err = find1(r, size)
	if err != nil {
		return 0, 0, fmt.Errorf("finding a FAT volume: %w", err)
	}
	return start, length, nil
}

func find1(r io.ReaderAt, size int64) (start, length int64, err error) {
	_, whole := Open(r, size)
	if whole == nil {
		return 0, size, nil
	}
	if !verdict(whole) {
		return 0, 0, whole
	}
	parts, err := partitions(r, size)
	if err != nil {
		return 0, 0, err
	}
	why := whole
	for _, p := range parts {
		if p[0] <= 0 || p[1] <= 0 || p[0] > size || p[1] > size-p[0] {
			continue
		}
		_, err := Open(io.NewSectionReader(r, p[0], p[1]), p[1])
		if err == nil {
			return p[0], p[1], nil
		}
		if !verdict(err) {
			return 0, 0, err
		}
		why = err
	}
	return 0, 0, why
}

// verdict tells a word about what is on the disk from a disk that does not answer.
func verdict(err error) bool { return errors.Is(err, ErrNotFAT) || errors.Is(err, ErrDamaged) }

const (
	mbrTable  = 446
	mbrRow    = 16
	mbrRows   = 4
	typeGPT   = 0xee
	typeEmpty = 0
)

// partitions gives start and length of each partition in bytes. Nothing that it says is believed yet.
func partitions(r io.ReaderAt, size int64) ([][2]int64, error) {
	b := make([]byte, bootSize)
	if size < bootSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrNotFAT, size)
	}
	if _, err := r.ReadAt(b, 0); err != nil {
		return nil, err
	}
	if b[bootSignatureAt] != 0x55 || b[bootSignatureAt+1] != 0xaa {
		return nil, fmt.Errorf("%w: neither a partition table nor a boot sector", ErrNotFAT)
	}
	var out [][2]int64
	for i := range mbrRows {
		row := b[mbrTable+i*mbrRow:][:mbrRow]
		switch row[4] {
		case typeEmpty:
		case typeGPT:
			return gptPartitions(r, size)
		default:
			start, length := binary.LittleEndian.Uint32(row[8:]), binary.LittleEndian.Uint32(row[12:])
			out = append(out, [2]int64{int64(start) * layout.Sector, int64(length) * layout.Sector})
		}
	}
	return out, nil
}

func gptPartitions(r io.ReaderAt, size int64) ([][2]int64, error) {
	parts, err := gpt.Read(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFAT, err)
	}
	var out [][2]int64
	for _, p := range parts {
		out = append(out, [2]int64{p.Start, p.Size})
	}
	return out, nil
}
