package verify

import (
	"io"
	"runtime"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/choba-os/choba/services/journal/chain"
	"github.com/choba-os/choba/services/journal/entry"
	"github.com/choba-os/choba/services/journal/segment"
)

// Bounds of what is in memory at a time.
const (
	batchItems = 256
	batchBytes = 1 << 20
	batchAhead = 8
	checkAhead = 1024
)

// item is one record, and the entry in it.
type item struct {
	kind   segment.Kind
	body   []byte
	at     int64
	length int64
	entry  entry.Entry
	leaf   tlog.Hash
	err    error // of reading the entry
}

// batch is some records one after another. end, when set, is why there are no more.
type batch struct {
	items []item
	end   error
	ready chan struct{} // closed when the entries are read
}

// parser reads a segment ahead: one goroutine cuts it into records, one a core reads the entries, and next gives them
// in order.
type parser struct {
	order chan *batch
	quit  chan struct{}
	wait  sync.WaitGroup
}

func parse(f io.ReaderAt, size int64) *parser {
	p := &parser{order: make(chan *batch, batchAhead), quit: make(chan struct{})}
	work := make(chan *batch, batchAhead)
	p.wait.Go(func() {
		defer close(work)
		p.read(segment.NewScanner(f, 0, size), work)
	})
	for range runtime.GOMAXPROCS(0) {
		p.wait.Go(func() {
			for b := range work {
				b.parse()
				close(b.ready)
			}
		})
	}
	return p
}

// next gives the next batch; after one with an end there is none.
func (p *parser) next() *batch {
	b := <-p.order
	<-b.ready
	return b
}

func (p *parser) stop() {
	close(p.quit)
	p.wait.Wait()
}

func (p *parser) read(scan *segment.Scanner, work chan<- *batch) {
	for {
		b := fill(scan)
		for _, to := range []chan<- *batch{work, p.order} {
			select {
			case to <- b:
			case <-p.quit:
				return
			}
		}
		if b.end != nil {
			return
		}
	}
}

func fill(scan *segment.Scanner) *batch {
	b := &batch{ready: make(chan struct{})}
	for bytes := 0; len(b.items) < batchItems && bytes < batchBytes; {
		rec, at, err := scan.Next()
		if err != nil {
			b.end = err
			return b
		}
		body := append([]byte(nil), rec.Body...)
		b.items = append(b.items, item{kind: rec.Kind, body: body, at: at, length: rec.Len()})
		bytes += len(body)
	}
	return b
}

func (b *batch) parse() {
	for i := range b.items {
		it := &b.items[i]
		if it.kind == segment.KindEntry {
			it.leaf = tlog.RecordHash(it.body)
			it.entry, it.err = entry.Parse(it.body)
		}
	}
}

// check is a signature to be checked, and what to say when it is wrong.
type check struct {
	signature chain.Signature
	finding   Finding
}

// checks checks signatures on all cores, beside the reading.
type checks struct {
	queue chan check
	wg    sync.WaitGroup
	once  sync.Once

	mu  sync.Mutex // guards bad
	bad []Finding
}

func newChecks() *checks {
	c := &checks{queue: make(chan check, checkAhead)}
	for range runtime.GOMAXPROCS(0) {
		c.wg.Go(func() {
			for k := range c.queue {
				if err := k.signature.Check(); err != nil {
					c.keep(k.finding, err)
				}
			}
		})
	}
	return c
}

func (c *checks) keep(f Finding, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.bad) < maxFindings {
		f.Detail = err.Error()
		c.bad = append(c.bad, f)
	}
}

func (c *checks) add(k check) { c.queue <- k }

func (c *checks) close() { c.once.Do(func() { close(c.queue) }); c.wg.Wait() }

// wait gives what was found wrong, when all is checked.
func (c *checks) wait() []Finding {
	c.close()
	return c.bad
}
