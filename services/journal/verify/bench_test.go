package verify_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/journal/store"
	"github.com/choba-os/choba/services/journal/verify"
)

// BenchmarkFolder verifies a log of which every entry has a signed checkpoint of its own: the slowest there is.
func BenchmarkFolder(b *testing.B) {
	j := newJournal(b, 1)
	j.bytes = store.SegmentBytes
	j.live(5000)
	b.ReportAllocs()
	entries := uint64(0)
	for b.Loop() {
		r, err := verify.Folder(j.log(), verify.Options{})
		require.NoError(b, err)
		require.True(b, r.Good())
		entries += r.Entries
	}
	b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
}
