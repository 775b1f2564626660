package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/journal/entry"
	"github.com/choba-os/choba/services/journal/journaltest"
	"github.com/choba-os/choba/services/journal/store"
)

// Compare BenchmarkCommit with BenchmarkBareSync: the second is what the disk can do at all. -benchtime=2000x gives
// steady figures. The folder is that of TMPDIR: point it at the disk that matters.

// BenchmarkCommit is one caller that waits for each entry of about 1 KB.
func BenchmarkCommit(b *testing.B) {
	r := openBench(b)
	v := benchEvent(b)
	times := make([]time.Duration, 0, b.N)
	for b.Loop() {
		begin := time.Now()
		_, err := r.Append(context.Background(), "register", v)
		require.NoError(b, err)
		times = append(times, time.Since(begin))
	}
	report(b, times)
}

// BenchmarkCommitMany is sixteen callers at once, who share syncs.
func BenchmarkCommitMany(b *testing.B) {
	r := openBench(b)
	v := benchEvent(b)
	var mu sync.Mutex
	var times []time.Duration
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			begin := time.Now()
			_, err := r.Append(context.Background(), "register", v)
			if err != nil {
				b.Error(err)
			}
			mu.Lock()
			times = append(times, time.Since(begin))
			mu.Unlock()
		}
	})
	report(b, times)
}

// BenchmarkBareSync writes as many bytes as a commit has into a file that was filled with zeros, and syncs.
func BenchmarkBareSync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "bare"))
	require.NoError(b, err)
	defer f.Close()
	const room = store.SegmentBytes
	_, err = f.Write(make([]byte, room))
	require.NoError(b, err)
	require.NoError(b, f.Sync())
	text := make([]byte, 1500)
	for i := range text {
		text[i] = byte(i)
	}
	times := make([]time.Duration, 0, b.N)
	at := int64(0)
	for b.Loop() {
		begin := time.Now()
		_, err := f.WriteAt(text, at)
		require.NoError(b, err)
		require.NoError(b, unix.Fdatasync(int(f.Fd())))
		times = append(times, time.Since(begin))
		if at += int64(len(text)); at+int64(len(text)) > room {
			at = 0
		}
	}
	report(b, times)
}

// BenchmarkStart opens a journal whose newest segment is nearly full: the longest that a start takes.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	d, err := store.OpenDir(dir)
	require.NoError(b, err)
	opt := options(d, 0)
	opt.SegmentBytes = store.SegmentBytes
	r := run(b, opt)
	v := benchEvent(b)
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for range 10 {
				if _, err := r.Append(context.Background(), "register", v); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	r.end(b)
	require.NoError(b, d.Close())
	boot := 0
	for b.Loop() {
		d, err := store.OpenDir(dir)
		require.NoError(b, err)
		boot++
		opt.Disk, opt.Clock = d, clock(boot)
		opt.Random = journaltest.Repeatable(uint64(boot) << 32)
		s, err := store.Open(opt)
		require.NoError(b, err)
		b.StopTimer()
		require.NoError(b, s.Close())
		require.NoError(b, d.Close())
		b.StartTimer()
	}
}

func openBench(b *testing.B) *running {
	d, err := store.OpenDir(b.TempDir())
	require.NoError(b, err)
	opt := options(d, 0)
	opt.SegmentBytes = store.SegmentBytes
	r := run(b, opt)
	b.Cleanup(func() { r.end(b); d.Close() })
	return r
}

func benchEvent(b *testing.B) entry.Event {
	text := make([]byte, 800)
	for i := range text {
		text[i] = 'a' + byte(i%26)
	}
	v, err := entry.Event{Kind: "sale.line", Person: "0012", Content: fmt.Appendf(nil, `{"text":%q}`, text)}.Normal()
	require.NoError(b, err)
	return v
}

func report(b *testing.B, times []time.Duration) {
	slices.Sort(times)
	for _, p := range []int{50, 99} {
		at := times[min(len(times)-1, len(times)*p/100)]
		b.ReportMetric(float64(at.Microseconds())/1000, fmt.Sprintf("ms/p%d", p))
	}
	b.ReportMetric(float64(len(times))/b.Elapsed().Seconds(), "commits/s")
}
