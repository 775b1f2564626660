package stage

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/services/update/updatetest"
)

// large is a slot as full as the product's layout lets it be; ten programs, one of which changes by being built anew.
func large(t testing.TB) (before, after updatetest.Release) {
	const mib = 1 << 20
	files := []updatetest.File{}
	for i := range 10 {
		files = append(files, updatetest.File{Seed: byte(i + 1), Size: (2 + i) * mib})
	}
	s := key(t)
	before, err := updatetest.Make(1, updatetest.EROFS(files...), s)
	require.NoError(t, err)
	files[4] = updatetest.File{Seed: 99, Size: 6*mib + 5000}
	after, err = updatetest.Make(2, updatetest.EROFS(files...), s)
	require.NoError(t, err)
	return before, after
}

func into(size int, r updatetest.Release) *frametest.Disk {
	d := frametest.New(size)
	copy(d.Data, r.Bundle[layout.HeadSize:][:r.Manifest.EROFS.Size+r.Manifest.Tree.Size])
	return d
}

// Bytes for a release with one changed program, against a full one: fetched, written, and how long this machine took
// (memory stands in for disk and network).
func BenchmarkStage(b *testing.B) {
	before, after := large(b)
	for _, c := range []struct {
		name          string
		idle, running bool
	}{
		{"full", false, false},
		{"one program, from the running slot", false, true},
		{"one program, over its predecessor", true, false},
		{"one program, from both", true, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				d := frametest.New(layout.SlotSize)
				if c.idle {
					d = into(layout.SlotSize, before)
				}
				st := stager(serving(after), d)
				st.Size = layout.SlotSize
				if c.running {
					st.Running = into(layout.SlotSize, before)
				}
				b.StartTimer()
				n, err := st.Put(b.Context(), what(after))
				require.NoError(b, err)
				b.ReportMetric(float64(n.Total), "total-B")
				b.ReportMetric(float64(n.Fetched), "fetched-B")
				b.ReportMetric(float64(n.Written), "written-B")
			}
		})
	}
}

// Memory is bounded whatever is staged: a full slot, from both slots, with blocks that are overwritten before their
// turn, takes less than 32 MiB beside what was there before.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("a full slot")
	}
	s := key(t)
	const content = layout.SlotContent / block * 126 / 128 * block
	before, err := updatetest.Make(1, updatetest.EROFS(updatetest.File{Seed: 1, Size: content - 40<<20}, updatetest.File{Seed: 2, Size: 30 << 20}), s)
	require.NoError(t, err)
	after, err := updatetest.Make(2, updatetest.EROFS(updatetest.File{Seed: 2, Size: 30 << 20}, updatetest.File{Seed: 3, Size: 10 << 20},
		updatetest.File{Seed: 1, Size: content - 42<<20}), s)
	require.NoError(t, err)
	d := into(layout.SlotSize, before)
	st := stager(serving(after), d)
	st.Size, st.Running = layout.SlotSize, into(layout.SlotSize, before)
	st.Breathe = nil
	runtime.GC()
	var was runtime.MemStats
	runtime.ReadMemStats(&was)
	peak := watchHeap(t)
	_, err = st.Put(t.Context(), what(after))
	require.NoError(t, err)
	grown := peak() - was.HeapAlloc
	t.Logf("%d MiB staged, heap grew by at most %.1f MiB", after.Manifest.EROFS.Size>>20, float64(grown)/(1<<20))
	require.Less(t, grown, uint64(32<<20))

	copy(d.Data, before.Bundle[layout.HeadSize:]) // and all of it moved, from the old content alone
	st.Running = nil
	runtime.GC()
	runtime.ReadMemStats(&was)
	peak = watchHeap(t)
	_, err = st.Put(t.Context(), what(after))
	require.NoError(t, err)
	require.Less(t, peak()-was.HeapAlloc, uint64(32<<20))
	runtime.KeepAlive(before)
	runtime.KeepAlive(after)
}

// watchHeap gives the largest heap seen since.
func watchHeap(t *testing.T) func() uint64 {
	var top atomic.Uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			top.Store(max(top.Load(), m.HeapAlloc))
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-done
		return top.Load()
	}
}
