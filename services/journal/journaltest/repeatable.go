package journaltest

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
)

// Repeatable gives bytes that look random and are the same for the same seed, so that a test can make the same keys
// and the same log again.
func Repeatable(seed uint64) io.Reader { return &repeatable{seed} }

type repeatable struct{ n uint64 }

func (c *repeatable) Read(p []byte) (int, error) {
	for i := 0; i < len(p); {
		c.n++
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, c.n))
		i += copy(p[i:], sum[:])
	}
	return len(p), nil
}
