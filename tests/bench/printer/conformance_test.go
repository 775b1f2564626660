package printer_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/escpos"
	"github.com/choba-os/choba/tests/bench/printer"
)

// bench is the driver and the twin with a line between them.
type bench struct {
	t      *testing.T
	twin   *printer.Printer
	driver *escpos.Printer
	line   net.Conn // the twin's end

	mu    sync.Mutex
	moves []escpos.Drawer
	ended error
}

func start(t *testing.T, opts printer.Options, paper escpos.Paper) *bench {
	t.Helper()
	b := &bench{t: t, twin: printer.New(opts)}
	b.plug(paper)
	return b
}

func (b *bench) plug(paper escpos.Paper) {
	mine, theirs := net.Pipe()
	b.line = theirs
	b.driver = escpos.New(mine, escpos.Options{Paper: paper, FirstMark: 12345, Moved: func(d escpos.Drawer) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.moves = append(b.moves, d)
	}})
	ctx, cancel := context.WithCancel(b.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.twin.Serve(theirs) })
	driver := b.driver
	wg.Go(func() {
		err := driver.Run(ctx)
		b.mu.Lock()
		b.ended = err
		b.mu.Unlock()
	})
	b.t.Cleanup(func() { cancel(); _ = theirs.Close(); wg.Wait() })
}

// raw is a line that brings only these bytes.
func (b *bench) raw(bytes []byte) {
	mine, theirs := net.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.twin.Serve(theirs) })
	_, err := mine.Write(bytes)
	require.NoError(b.t, err)
	require.NoError(b.t, mine.Close())
	wg.Wait()
}

func (b *bench) unplug() { _ = b.line.Close() }

func (b *bench) moved() []escpos.Drawer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]escpos.Drawer(nil), b.moves...)
}

type outcome struct {
	out    escpos.Outcome
	reason string
}

// printing starts a job and returns its end.
func (b *bench) printing(lines ...escpos.Line) <-chan outcome {
	done := make(chan outcome, 1)
	driver := b.driver
	go func() {
		out, reason := driver.Print(b.t.Context(), lines, true)
		done <- outcome{out, reason}
	}()
	return done
}

func receipt(n int) []escpos.Line {
	lines := []escpos.Line{{Text: "駅前商店 本店", Bold: true, Wide: true, Tall: true, Align: escpos.Center}, {Rule: true}}
	for i := range n {
		lines = append(lines, escpos.Line{Text: fmt.Sprintf("手巻おにぎり 紅鮭 %03d", i), Right: "¥1,68※"})
	}
	return append(lines, escpos.Line{Text: "合計", Right: "¥4,239", Bold: true, Tall: true})
}

func within(t *testing.T, d time.Duration, c <-chan outcome) outcome {
	t.Helper()
	select {
	case o := <-c:
		return o
	case <-time.After(d):
		require.FailNow(t, "no outcome", "after %s", d)
	}
	return outcome{}
}

func nothing(t *testing.T, d time.Duration, c <-chan outcome) {
	t.Helper()
	select {
	case o := <-c:
		require.FailNow(t, "ended too early", "%+v", o)
	case <-time.After(d):
	}
}

// A35: the printer prints, says so, and the paper has every line once.
func TestA35PrintsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, printer.Options{LineTime: 10 * time.Millisecond}, escpos.Paper{})
		o := within(t, 20*time.Second, b.printing(receipt(200)...))
		require.Equal(t, escpos.Done, o.out, o.reason)
		papers := b.twin.Papers()
		require.Len(t, papers, 1)
		for i := range 200 {
			require.Equal(t, 1, strings.Count(papers[0].Text, fmt.Sprintf("%03d", i)))
		}
		st := b.twin.State()
		require.Zero(t, st.Lost, "a buffer of 4 KiB is enough")
		require.Zero(t, st.Buffer)
		for _, tk := range b.twin.Tokens() {
			require.NotEqual(t, "junk", tk.Name)
		}
		s := b.driver.State()
		require.Equal(t, "EPSON", s.Maker)
		require.Equal(t, "TM-T88 twin", s.Model)
		require.True(t, s.Known)
		require.False(t, s.Printing || s.Waiting)
	})
}

// Every fault that a person can mend stops the job and does not spoil it.
func TestA35JobWaitsForPeople(t *testing.T) {
	faults := map[printer.Fault]func(escpos.State) bool{
		printer.PaperOut:  func(s escpos.State) bool { return s.Status.PaperEnd },
		printer.CoverOpen: func(s escpos.State) bool { return s.Status.Cover },
		printer.Offline:   func(s escpos.State) bool { return s.Status.Offline },
		printer.CutterJam: func(s escpos.State) bool { return s.Status.Cutter },
	}
	for fault, seen := range faults {
		for _, when := range []time.Duration{-time.Second, 100 * time.Millisecond, 700 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s at %s", fault, when), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { mended(t, fault, when, seen) })
			})
		}
	}
}

func mended(t *testing.T, fault printer.Fault, when time.Duration, seen func(escpos.State) bool) {
	b := start(t, printer.Options{LineTime: 10 * time.Millisecond}, escpos.Paper{})
	time.Sleep(time.Second)
	if when < 0 {
		b.twin.Set(fault, true)
		time.Sleep(-when)
	}
	job := b.printing(receipt(100)...)
	if when > 0 {
		time.Sleep(when)
		b.twin.Set(fault, true)
	}
	nothing(t, 10*time.Minute, job)
	s := b.driver.State()
	require.True(t, seen(s), "%+v", s.Status)
	require.True(t, s.Waiting)
	b.twin.Set(fault, false)
	o := within(t, 20*time.Second, job)
	require.Equal(t, escpos.Done, o.out, o.reason)
	papers := b.twin.Papers()
	require.Len(t, papers, 1)
	require.Equal(t, 1, strings.Count(papers[0].Text, "099"))
}

// The roll ends by itself in the middle of a job.
func TestA35RollEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, printer.Options{LineTime: 10 * time.Millisecond}, escpos.Paper{})
		b.twin.SetPaper(40 * 31)
		job := b.printing(receipt(100)...)
		nothing(t, time.Minute, job)
		require.True(t, b.driver.State().Status.PaperEnd)
		b.twin.Set(printer.PaperOut, false)
		require.Equal(t, escpos.Done, within(t, 20*time.Second, job).out)
		require.Len(t, b.twin.Papers(), 1)
	})
}

func TestNearEndPrints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, printer.Options{}, escpos.Paper{})
		b.twin.Set(printer.NearEnd, true)
		require.Equal(t, escpos.Done, within(t, 20*time.Second, b.printing(receipt(5)...)).out)
		require.True(t, b.driver.State().Status.NearEnd)
	})
}

// What nobody can know is called unknown, and in time.
func TestUnknownIsSaid(t *testing.T) {
	spoil := map[string]func(*bench){
		"power lost":        func(b *bench) { b.twin.Set(printer.Off, true) },
		"power lost, back":  func(b *bench) { b.twin.Set(printer.Off, true); b.twin.Set(printer.Off, false) },
		"unplugged":         func(b *bench) { b.unplug() },
		"garbled":           func(b *bench) { b.twin.Set(printer.Garbled, true) },
		"no process ids":    func(b *bench) { b.twin.Set(printer.NoMarks, true) },
		"power, paper gone": func(b *bench) { b.twin.Set(printer.PaperOut, true); b.twin.Set(printer.Off, true) },
	}
	for name, fn := range spoil {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := start(t, printer.Options{LineTime: 10 * time.Millisecond}, escpos.Paper{})
				time.Sleep(time.Second)
				job := b.printing(receipt(100)...)
				time.Sleep(200 * time.Millisecond)
				fn(b)
				o := within(t, 30*time.Second, job)
				require.Equal(t, escpos.Unknown, o.out)
				require.NotEmpty(t, o.reason)
			})
		})
	}
}

// Slow or broken answers cost time, not truth: done is said only when it is so.
func TestBadAnswersNeverLie(t *testing.T) {
	for _, fault := range []printer.Fault{printer.Late, printer.Half, printer.Garbled} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := start(t, printer.Options{}, escpos.Paper{})
				b.twin.Set(fault, true)
				o := within(t, 3*time.Minute, b.printing(receipt(30)...))
				if o.out == escpos.Done {
					require.Len(t, b.twin.Papers(), 1)
				}
				if fault == printer.Late {
					require.Equal(t, escpos.Done, o.out, o.reason)
					require.False(t, b.driver.State().Status.Cover, "a late answer is not taken for another")
				}
				b.twin.Set(fault, false)
				time.Sleep(15 * time.Second)
				require.Equal(t, escpos.Done, within(t, 20*time.Second, b.printing(receipt(3)...)).out)
			})
		})
	}
}

func TestNothingSentIsNotDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, printer.Options{}, escpos.Paper{})
		b.twin.Set(printer.PaperOut, true)
		time.Sleep(2 * time.Second)
		job := b.printing(receipt(3)...)
		nothing(t, time.Minute, job)
		b.unplug()
		require.Equal(t, escpos.NotDone, within(t, time.Second, job).out)
		require.ErrorIs(t, func() error { b.mu.Lock(); defer b.mu.Unlock(); return b.ended }(), escpos.ErrGone)
	})
	synctest.Test(t, func(t *testing.T) {
		b := start(t, printer.Options{}, escpos.Paper{})
		b.twin.Set(printer.Off, true)
		require.Equal(t, escpos.NotDone, within(t, time.Minute, b.printing(receipt(3)...)).out)
		out, reason := b.driver.Pulse(t.Context())
		require.Equal(t, escpos.NotDone, out, reason)
	})
}

// A37: the drawer opens by our pulse, in time, or we say that it did not.
func TestA37Drawer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, printer.Options{}, escpos.Paper{})
		time.Sleep(time.Second)
		begun := time.Now()
		out, reason := b.driver.Pulse(t.Context())
		require.Equal(t, escpos.Done, out, reason)
		require.Less(t, time.Since(begun), 100*time.Millisecond)
		kicks := b.twin.Kicks()
		require.Len(t, kicks, 1)
		require.Equal(t, 2, kicks[0].Pin)
		require.Equal(t, 50*time.Millisecond, kicks[0].On)
		require.False(t, kicks[0].Now)
		b.twin.MoveDrawer(false)
		time.Sleep(10 * time.Second)
		b.twin.MoveDrawer(true)
		time.Sleep(time.Second)
		require.Equal(t, []escpos.Drawer{{Open: true, Own: true}, {}, {Open: true}}, b.moved())
	})
}

func TestA37DrawerStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, printer.Options{}, escpos.Paper{})
		time.Sleep(time.Second)
		b.twin.Set(printer.DrawerStuck, true)
		begun := time.Now()
		out, reason := b.driver.Pulse(t.Context())
		require.Equal(t, escpos.NotDone, out)
		require.Equal(t, "the drawer did not open", reason)
		require.Less(t, time.Since(begun), time.Second)
	})
}

// With the paper out the drawer opens at once, and not again when there is paper.
func TestA37DrawerWithoutPaper(t *testing.T) {
	for _, f := range []printer.Fault{printer.PaperOut, printer.CoverOpen, printer.Offline} {
		synctest.Test(t, func(t *testing.T) {
			b := start(t, printer.Options{}, escpos.Paper{})
			b.twin.Set(f, true)
			time.Sleep(2 * time.Second)
			job := b.printing(receipt(2)...)
			out, reason := b.driver.Pulse(t.Context())
			require.Equal(t, escpos.Done, out, reason)
			b.twin.MoveDrawer(false)
			b.twin.Set(f, false)
			require.Equal(t, escpos.Done, within(t, 10*time.Second, job).out)
			require.Len(t, b.twin.Kicks(), 1)
			require.True(t, b.twin.Kicks()[0].Now)
			require.False(t, b.twin.State().Drawer)
		})
	}
}

func TestDrawerFoundOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, twin: printer.New(printer.Options{})}
		b.twin.MoveDrawer(true)
		b.plug(escpos.Paper{})
		time.Sleep(time.Second)
		require.Equal(t, []escpos.Drawer{{Open: true, First: true}}, b.moved())
	})
}

// Silence is noticed, and so is its end.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, printer.Options{}, escpos.Paper{})
		time.Sleep(time.Second)
		b.twin.Set(printer.Off, true)
		time.Sleep(5 * time.Second)
		require.True(t, b.driver.State().Silent)
		b.twin.Set(printer.Off, false)
		time.Sleep(5 * time.Second)
		require.False(t, b.driver.State().Silent)
		b.twin.Set(printer.CoverOpen, true)
		time.Sleep(time.Millisecond * 10)
		require.True(t, b.driver.State().Status.Cover, "automatic status is on again")
	})
}

// The state after a replug is the printer's, and the next job is whole.
func TestReplug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, printer.Options{LineTime: 10 * time.Millisecond}, escpos.Paper{})
		time.Sleep(time.Second)
		job := b.printing(receipt(100)...)
		time.Sleep(200 * time.Millisecond)
		b.unplug()
		require.Equal(t, escpos.Unknown, within(t, 5*time.Second, job).out)
		time.Sleep(5 * time.Second)
		b.plug(escpos.Paper{})
		require.Equal(t, escpos.Done, within(t, 20*time.Second, b.printing(receipt(2)...)).out)
	})
}

// Unplugged in the middle of a picture: the printer waits for the rest of it,
// and must not get it from the next receipt.
func TestReplugInAPicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, printer.Options{}, escpos.Paper{})
		time.Sleep(time.Second)
		b.unplug()
		time.Sleep(time.Second)
		b.raw([]byte{0x1d, 0x76, 0x30, 0x00, 0x48, 0x00, 0x1f, 0x00, 0xff, 0xff})
		b.plug(escpos.Paper{})
		out, reason := b.driver.Pulse(t.Context())
		require.Equal(t, escpos.NotDone, out, "asked before it has answered anything: %s", reason)
		time.Sleep(150 * time.Millisecond)
		out, reason = b.driver.Pulse(t.Context())
		require.Equal(t, escpos.Done, out, reason)
		require.True(t, b.twin.Kicks()[0].Now)
		job := b.printing(receipt(2)...)
		require.Equal(t, escpos.Done, within(t, 10*time.Second, job).out)
		require.Contains(t, b.twin.Papers()[0].Text, "駅前商店 本店\n"+strings.Repeat("-", 48))
		for _, tk := range b.twin.Tokens() {
			if tk.Name != "junk" {
				continue
			}
			require.Equal(t, []byte{0}, tk.Bytes)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	mine, theirs := net.Pipe()
	go func() { _ = printer.New(printer.Options{}).Serve(theirs) }()
	ctx, cancel := context.WithCancel(t.Context())
	p := escpos.New(mine, escpos.Options{})
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	cancel()
	require.NoError(t, <-ended)
	require.False(t, errors.Is(nil, escpos.ErrGone))
}
