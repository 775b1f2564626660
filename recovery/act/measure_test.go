package act

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
)

// holes is a partition of zeros with a few bytes in it.
type holes map[int64]byte

func (h holes) ReadAt(b []byte, at int64) (int, error) {
	clear(b)
	for place, v := range h {
		if place >= at && place < at+int64(len(b)) {
			b[place-at] = v
		}
	}
	return len(b), nil
}

// TestMeasure: whatever the partition holds, its pieces follow each other without a gap, and what they leave out is zeros.
func TestMeasure(t *testing.T) {
	const size = 300*layout.MiB + 4096
	for name, c := range map[string]struct {
		in   holes
		want [][2]int64 // bytes, and what they stand for
	}{
		"nothing":        {nil, [][2]int64{{0, size}}},
		"a short gap":    {holes{0: 1, 60 * layout.MiB: 1}, [][2]int64{{60*layout.MiB + 512, size}}},
		"two long ones":  {holes{700: 1, 100 * layout.MiB: 1, size - 1: 1}, [][2]int64{{1024, 100 * layout.MiB}, {512, 200 * layout.MiB}, {4096, 4096}}},
		"zeros to begin": {holes{200*layout.MiB + 9: 1}, [][2]int64{{0, 200 * layout.MiB}, {512, 100*layout.MiB + 4096}}},
	} {
		var got [][2]int64
		seen := int64(0)
		for at := int64(0); at < size; {
			n, span, err := measure(c.in, at, min(partSize, size-at), func(n int64) error { seen += n; return nil })
			require.NoError(t, err, name)
			got = append(got, [2]int64{n, span})
			at += span
		}
		require.Equal(t, c.want, got, name)
		require.EqualValues(t, size, seen, name)
	}
	stop := errors.New("stopped")
	_, _, err := measure(holes{}, 0, size, func(int64) error { return stop })
	require.ErrorIs(t, err, stop)
}
