package fat

import (
	"fmt"

	"github.com/choba-os/choba/image/frame"
)

// Free is the room for new files on a FAT16 or FAT32 volume of size bytes, in bytes. It looks at the volume as Create
// does, and writes nothing. Errors: ErrDamaged, ErrNotFAT, or the disk's.
func Free(d frame.Device, size int64) (int64, error) {
	s, err := look(d, size)
	if err != nil {
		return 0, fmt.Errorf("measuring the room: %w", err)
	}
	clusters := int64(0)
	for c := uint32(firstCluster); c <= s.g.last(); c++ {
		if !s.isUsed(c) && !s.loose[c] && s.value(c) == free {
			clusters++
		}
	}
	return clusters * s.g.cluster, nil
}
