package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/journal/chain"
	"github.com/choba-os/choba/services/journal/entry"
	"github.com/choba-os/choba/services/journal/journaltest"
	"github.com/choba-os/choba/services/journal/segment"
	"github.com/choba-os/choba/services/journal/store"
)

// clock is one that goes a second a look.
func clock(boot int) store.Clock {
	n := int64(0)
	return store.Clock{Boot: fmt.Sprintf("boot-%d", boot), Now: func() (time.Time, int64) {
		n++
		return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).Add(time.Duration(boot)*time.Hour + time.Duration(n)*time.Second), n * 1e9
	}}
}

func options(d store.Disk, boot int) store.Options {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return store.Options{Disk: d, Clock: clock(boot), Random: journaltest.Repeatable(uint64(boot) << 32), SegmentBytes: segment.MinBytes, Log: logrus.NewEntry(log)}
}

// running is an open store whose writer runs.
type running struct {
	*store.Store
	stop context.CancelFunc
	done chan error
}

func run(t testing.TB, opt store.Options) *running {
	s, err := store.Open(opt)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	r := &running{Store: s, stop: stop, done: make(chan error, 1)}
	go func() { r.done <- s.Run(ctx, func() {}) }()
	return r
}

func (r *running) end(t testing.TB) {
	r.stop()
	require.NoError(t, <-r.done)
	require.NoError(t, r.Close())
}

func event(t testing.TB, n int) entry.Event {
	v, err := entry.Event{Kind: "sale.line", Person: "0012", Content: fmt.Appendf(nil, `{"n":%d,"name":"おにぎり <%d>"}`, n, n)}.Normal()
	require.NoError(t, err)
	return v
}

func add(t testing.TB, r *running, n int) store.Recorded {
	got, err := r.Append(context.Background(), "register", event(t, n))
	require.NoError(t, err)
	return got
}

func check(t testing.TB, key string, r store.Recorded) api.Entry {
	e, err := api.Check(key, api.Proof{Entry: r.Entry, Index: r.Index, Size: r.Size, Path: r.Path, Checkpoint: r.Checkpoint})
	require.NoError(t, err)
	return e
}

// all reads the whole log and checks that the numbers have no gap.
func all(t testing.TB, s *store.Store) []entry.Entry {
	var got []entry.Entry
	require.NoError(t, s.Read(0, func(seq uint64, text []byte) error {
		require.EqualValues(t, len(got), seq)
		e, err := entry.Parse(text)
		require.NoError(t, err)
		got = append(got, e)
		return nil
	}))
	return got
}

func kinds(entries []entry.Entry) []string {
	var k []string
	for _, e := range entries {
		k = append(k, e.Kind)
	}
	return k
}

// A83, B21: what was recorded stays, with who and when, over restarts and segments.
func TestRecordRestartRead(t *testing.T) {
	disk := newTape()
	n := 0
	for boot := range 4 {
		r := run(t, options(disk, boot))
		for range 20 {
			got := add(t, r, n)
			e := check(t, r.Key(), got)
			require.Equal(t, "register", e.Service)
			require.Equal(t, fmt.Sprintf("boot-%d", boot), e.Boot)
			n++
		}
		r.end(t)
	}
	require.Greater(t, len(disk.log()), 3, "the log goes over segments")
	r := run(t, options(disk, 4))
	entries := all(t, r.Store)
	require.Equal(t, []string{chain.KindDevice, chain.KindSession}, kinds(entries)[:2])
	n = 0
	for _, e := range entries {
		if e.Service == "register" {
			require.Equal(t, event(t, n).Content, e.Content)
			n++
		}
		proof, err := r.Prove(e.Seq)
		require.NoError(t, err)
		require.Equal(t, e, check(t, r.Key(), proof))
	}
	require.Equal(t, 80, n)
	_, err := r.Prove(uint64(len(entries)))
	require.ErrorIs(t, err, store.ErrNone)
	seen := 0
	require.NoError(t, r.Read(50, func(seq uint64, _ []byte) error { require.EqualValues(t, 50+seen, seq); seen++; return nil }))
	require.Equal(t, len(entries)-50, seen)
	stop := errors.New("stop")
	require.ErrorIs(t, r.Read(3, func(uint64, []byte) error { return stop }), stop)
	require.NoError(t, r.Read(1000, func(uint64, []byte) error { return stop }))
	r.end(t)
	_, err = r.Append(context.Background(), "register", event(t, 0))
	require.ErrorIs(t, err, store.ErrFailed)
}

// B04: many callers at once get numbers without a gap and proofs that hold; readers meanwhile see only whole logs.
func TestManyAtOnce(t *testing.T) {
	r := run(t, options(newTape(), 0))
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[uint64]bool{}
	for g := range 16 {
		wg.Go(func() {
			for i := range 25 {
				got, err := r.Append(context.Background(), "register", event(t, g*1000+i))
				if err != nil {
					t.Error(err)
					return
				}
				check(t, r.Key(), got)
				mu.Lock()
				seen[got.Index] = true
				mu.Unlock()
			}
		})
		wg.Go(func() {
			for range 5 {
				all(t, r.Store)
			}
		})
	}
	wg.Wait()
	require.Len(t, seen, 400)
	for i := range uint64(400) {
		require.True(t, seen[i+2], "entry %d", i+2)
	}
	require.Len(t, all(t, r.Store), 402)
	r.end(t)
}

// Every step of a life with several boots and segments is a place where the power may fail, and what was not synced
// may be there or not, sector by sector. After each of them: every acknowledged entry is there, no entry is there
// twice, and the log goes on. Then the power fails again while that is being repaired.
func TestPowerCuts(t *testing.T) {
	disk := newTape()
	acked := 0
	for boot := range 3 {
		r := run(t, options(disk, boot))
		for range 12 {
			add(t, r, acked)
			acked++
			disk.mark(acked)
		}
		r.end(t)
	}
	stride := 1
	if testing.Short() {
		stride = 7
	}
	cuts := 0
	for n := 0; n <= disk.len(); n += stride {
		for i, how := range fates {
			random := rand.New(rand.NewPCG(uint64(n), uint64(i)))
			after, mark := disk.cut(n, how, random)
			first := after.copy()
			r := run(t, options(first, 10))
			found := survive(t, r, mark, fmt.Sprintf("%s after %d steps", how.name, n))
			r.end(t)
			cuts++
			if n%5 != i%5 {
				continue
			}
			again, _ := first.cut(first.base+random.IntN(first.len()-first.base+1), fates[random.IntN(len(fates))], random)
			r = run(t, options(again, 11))
			require.Equal(t, found, max(found, survive(t, r, mark, "a second time")))
			r.end(t)
			cuts++
		}
	}
	t.Logf("%d power cuts at %d steps", cuts, disk.len())
}

// survive checks that exactly the first entries of the register are there, at least as many as were acknowledged, and
// that the log takes one more.
func survive(t testing.TB, r *running, acked int, where string) int {
	n := 0
	for _, e := range all(t, r.Store) {
		if e.Service == "register" && e.Kind == "sale.line" {
			require.Equal(t, event(t, n).Content, e.Content, where)
			n++
		}
	}
	require.GreaterOrEqual(t, n, acked, where)
	for seq := range r.Size() {
		_, err := r.Prove(seq) // the list of hashes has no hole either
		require.NoError(t, err, where)
	}
	v, err := entry.Event{Kind: "sale.after"}.Normal()
	require.NoError(t, err)
	got, err := r.Append(context.Background(), "register", v)
	require.NoError(t, err, where)
	check(t, r.Key(), got)
	return n
}

// Cutting the newest segment at any byte, as a torn write would, brings back everything up to the last commit that
// is whole, and the log records what was cut.
func TestEveryTruncationPoint(t *testing.T) {
	disk := newTape()
	r := run(t, options(disk, 0))
	ends := []int{0}
	name := "log/" + segment.FileName(0)
	for n := range 5 {
		add(t, r, n)
		end, err := segment.Blank(&tapeFile{disk, disk.names[name]}, 0, segment.MinBytes)
		require.NoError(t, err)
		ends = append(ends, int(end))
	}
	r.end(t)
	whole := disk.names[name].text
	from := ends[1] // what is before holds the log's beginning; TestPowerCuts has it
	for at := from; at < ends[len(ends)-1]; at++ {
		cut := disk.copy()
		clear(cut.names[name].text[at:])
		cut.names["log/hashes"].text = nil
		want := 0
		for want+1 < len(ends) && ends[want+1] <= at {
			want++
		}
		r := run(t, options(cut, 1))
		entries := all(t, r.Store)
		noted := kinds(entries)[len(entries)-1] == chain.KindRecovered
		require.Equal(t, ends[want] < lastByte(whole[:at]), noted, "cut at byte %d", at)
		require.Equal(t, want, survive(t, r, want, fmt.Sprintf("cut at byte %d", at)))
		r.end(t)
	}
}

func lastByte(b []byte) int {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return len(b)
}

// What was acknowledged and is broken is never repaired: the store says where and changes nothing.
func TestDamageInsideIsRefused(t *testing.T) {
	disk := newTape()
	r := run(t, options(disk, 0))
	for n := range 30 {
		add(t, r, n)
	}
	r.end(t)
	logs := disk.log()
	newest := "log/" + logs[len(logs)-1]
	used := lastByte(disk.names[newest].text)
	for at := 0; at < used; at += 3 {
		bad := disk.copy()
		bad.names[newest].text[at] ^= 0x20
		before := bad.len()
		_, err := store.Open(options(bad, 1))
		require.ErrorContains(t, err, "segment "+logs[len(logs)-1], "byte %d", at)
		require.Equal(t, before, bad.len(), "nothing is written")
	}
}

func TestMissingPartsAreRefused(t *testing.T) {
	disk := newTape()
	r := run(t, options(disk, 0))
	for n := range 40 {
		add(t, r, n)
	}
	r.end(t)
	logs := disk.log()
	require.Greater(t, len(logs), 2)
	for name, change := range map[string]func(d *tape){
		"device key is missing": func(d *tape) { delete(d.names, "device.key") },
		"those before it are":   func(d *tape) { delete(d.names, "log/"+logs[0]) },
		"no longer there":       func(d *tape) { delete(d.names, "log/"+logs[len(logs)-1]) },
		"reading a key":         func(d *tape) { d.names["device.key"].text[20] ^= 1 },
		"another device key":    func(d *tape) { other(t, d) },
		"says that it begins":   func(d *tape) { rename(d.names, "log/"+logs[len(logs)-1], "log/"+segment.FileName(9999)) },
		"are no longer there": func(d *tape) {
			d.names["log/hashes"].write(make([]byte, 1), 1<<16)
			d.names["log/hashes"].write([]byte{1}, 1<<16)
		},
		"reading the note of a c": func(d *tape) { d.names["cut"] = &inode{text: []byte("x")} },
	} {
		bad := disk.copy()
		change(bad)
		_, err := store.Open(options(bad, 1))
		require.ErrorContains(t, err, name)
	}
}

// other puts another journal's device key into d.
func other(t testing.TB, d *tape) {
	alien := newTape()
	r := run(t, options(alien, 5))
	r.end(t)
	d.names["device.key"] = alien.names["device.key"]
}

// The list of hashes can be made anew, whatever happened to it.
func TestHashesAreMadeAnew(t *testing.T) {
	disk := newTape()
	r := run(t, options(disk, 0))
	for n := range 40 {
		add(t, r, n)
	}
	r.end(t)
	whole := disk.names["log/hashes"].text
	for name, change := range map[string]func(n *inode){
		"gone":    func(n *inode) { n.text = nil },
		"cut":     func(n *inode) { n.text = n.text[:100] },
		"zeroed":  func(n *inode) { clear(n.text) },
		"altered": func(n *inode) { n.text[62*32] ^= 1 }, // the root of the first 32
	} {
		bad := disk.copy()
		change(bad.names["log/hashes"])
		r := run(t, options(bad, 1))
		for seq := range r.Size() {
			got, err := r.Prove(seq)
			require.NoError(t, err, "%s: entry %d", name, seq)
			check(t, r.Key(), got)
		}
		r.end(t)
		require.Equal(t, whole, bad.names["log/hashes"].text[:len(whole)], name)
	}
}

// A full disk: the caller is told, nothing is lost, reading goes on, and so does recording when there is room again.
func TestFullDisk(t *testing.T) {
	disk := newTape()
	r := run(t, options(disk, 0))
	disk.mu.Lock()
	disk.free = 3 * segment.MinBytes
	disk.mu.Unlock()
	n, err := 0, error(nil)
	for ; n < 1000; n++ {
		if _, err = r.Append(context.Background(), "register", event(t, n)); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, store.ErrFull)
	_, err = r.Append(context.Background(), "register", event(t, n))
	require.ErrorIs(t, err, store.ErrFull, "and stays full")
	require.Len(t, all(t, r.Store), n+2)
	_, err = r.Prove(5)
	require.NoError(t, err)
	r.end(t)

	full := disk.copy()
	full.free = 0
	r = run(t, options(full, 1)) // a start needs room for the session's certificate: it is kept free
	_, err = r.Append(context.Background(), "register", event(t, n))
	require.ErrorIs(t, err, store.ErrFull)
	require.Len(t, all(t, r.Store), n+3)
	full.mu.Lock()
	full.free = -1
	full.mu.Unlock()
	require.Eventually(t, func() bool {
		_, err := r.Append(context.Background(), "register", event(t, n))
		return err == nil
	}, 20*time.Second, 100*time.Millisecond)
	require.Len(t, all(t, r.Store), n+4)
	r.end(t)
}

// The same with a file system that is really full.
func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	n := 0
	for boot := range 2 {
		d, err := store.OpenDir(dir)
		require.NoError(t, err)
		r := run(t, options(d, boot))
		for ; n < 1000; n++ {
			if _, err = r.Append(context.Background(), "register", event(t, n)); err != nil {
				break
			}
		}
		require.ErrorIs(t, err, store.ErrFull)
		require.Positive(t, n)
		require.Len(t, all(t, r.Store), 1+boot+1+n)
		for seq := range r.Size() {
			_, err := r.Prove(seq)
			require.NoError(t, err)
		}
		r.end(t)
		require.NoError(t, d.Close())
	}
}

// A disk that fails ends the journal: what a failed sync left on it nobody knows.
func TestFailingDisk(t *testing.T) {
	disk := newTape()
	r := run(t, options(disk, 0))
	add(t, r, 0)
	broken := errors.New("broken disk")
	disk.mu.Lock()
	disk.fail = broken
	disk.mu.Unlock()
	_, err := r.Append(context.Background(), "register", event(t, 1))
	require.ErrorIs(t, err, store.ErrLost)
	require.ErrorIs(t, <-r.done, broken)
	_, err = r.Append(context.Background(), "register", event(t, 2))
	require.ErrorIs(t, err, store.ErrFailed)
	require.NoError(t, r.Close())
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	d, err := store.OpenDir(dir)
	require.NoError(t, err)
	_, err = store.OpenDir(dir)
	require.ErrorContains(t, err, "another journal has it")
	require.NoError(t, d.Close())
	d, err = store.OpenDir(dir)
	require.NoError(t, err)
	require.NoError(t, d.Close())
}

// On a real folder: the same log, and nothing unsynced left to chance by a wrong name.
func TestOnARealDisk(t *testing.T) {
	dir := t.TempDir()
	for boot := range 3 {
		d, err := store.OpenDir(dir)
		require.NoError(t, err)
		r := run(t, options(d, boot))
		for n := range 20 {
			add(t, r, boot*20+n)
		}
		require.Equal(t, (boot+1)*20, survive(t, r, (boot+1)*20, "real disk"))
		r.end(t)
		require.NoError(t, d.Close())
	}
}

func TestOptionsRefused(t *testing.T) {
	for _, bytes := range []int64{1, segment.MinBytes - 1, segment.MaxBytes + 1} {
		opt := options(newTape(), 0)
		opt.SegmentBytes = bytes
		_, err := store.Open(opt)
		require.Error(t, err)
	}
}
