package stage

import (
	"context"
	"io"

	"github.com/choba-os/choba/image/verity"
)

// hashes looks at what lies in a volume of at most size bytes. A block that cannot be read has the zero hash, which
// no release asks for; a volume that ends early ends the list.
func hashes(ctx context.Context, r io.ReaderAt, size int64, salt []byte) ([]verity.Hash, error) {
	hash := verity.NewHasher(salt)
	empty := hash.Sum(make([]byte, block)) // most of a slot is empty, and comparing is cheaper than hashing
	out := make([]verity.Hash, 0, size/block)
	buf := make([]byte, chunk)
	for at := int64(0); at < size; at += chunk {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		part := buf[:min(chunk, size-at)/block*block]
		n, err := r.ReadAt(part, at)
		if n < len(part) && err == io.EOF {
			return sums(hash, empty, part[:n/block*block], out), nil
		}
		if n == len(part) {
			out = sums(hash, empty, part, out)
			continue
		}
		for i := 0; i < len(part); i += block { // one bad block must not cost a whole chunk
			b := part[i : i+block]
			if n, _ := r.ReadAt(b, at+int64(i)); n == block {
				out = sums(hash, empty, b, out)
			} else {
				out = append(out, verity.Hash{})
			}
		}
	}
	return out, nil
}

func sums(hash *verity.Hasher, empty verity.Hash, data []byte, out []verity.Hash) []verity.Hash {
	for i := 0; i < len(data); i += block {
		b := data[i : i+block]
		if isZero(b) {
			out = append(out, empty)
		} else {
			out = append(out, hash.Sum(b))
		}
	}
	return out
}

func isZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
