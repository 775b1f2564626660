package store

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/choba-os/choba/services/journal/segment"
)

// spare keeps one segment ready ahead: a file full of zeros, really written, because a commit into room that was only
// promised makes the file system write its own books at every sync (measured: half the rate).
type spare struct {
	disk    Disk
	bytes   int64
	reserve func() error // room for the hashes of the segment to come

	mu     sync.Mutex // guards what follows
	state  spareState
	err    error         // of spareFailed
	at     time.Time     // when it failed
	made   chan struct{} // closed when spareMaking ends
	rush   chan struct{} // closed when somebody waits for it
	closed bool
}

type spareState int

const (
	spareNone spareState = iota
	spareMaking
	spareReady
	spareFailed
)

// Pace of making a spare: small pieces with pauses, so that commits in between do not wait for it.
const (
	sparePiece = 256 << 10
	sparePause = 5 * time.Millisecond
	spareAgain = 5 * time.Second // after a failure
)

// newSpare begins to make a spare, or to look through the one that is there.
func newSpare(disk Disk, bytes int64, reserve func() error) *spare {
	p := &spare{disk: disk, bytes: bytes, reserve: reserve}
	p.wanted()
	return p
}

// wanted starts making a spare if there is none.
func (p *spare) wanted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.state == spareMaking || p.state == spareReady {
		return
	}
	p.state, p.made, p.rush = spareMaking, make(chan struct{}), make(chan struct{})
	go p.make(p.made, p.rush)
}

// retry starts again some time after a failure.
func (p *spare) retry() {
	p.mu.Lock()
	due := p.state == spareFailed && time.Since(p.at) >= spareAgain
	p.mu.Unlock()
	if due {
		p.wanted()
	}
}

// there says whether a spare is ready.
func (p *spare) there() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state == spareReady
}

// take waits for the spare and makes it the caller's. The error is ErrFull when the disk has no room for one.
func (p *spare) take() error {
	p.retry()
	p.finish(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.state {
	case spareReady:
		p.state = spareNone
		return nil
	case spareFailed:
		return full(p.err)
	}
	return errors.New("the spare segment was taken twice")
}

// giveBack undoes take, when nothing was done with the file.
func (p *spare) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = spareReady
}

// close waits until nothing is being made.
func (p *spare) close() { p.finish(true) }

// finish waits, and lets the making go without pauses.
func (p *spare) finish(closing bool) {
	p.mu.Lock()
	p.closed = p.closed || closing
	made := p.made
	select {
	case <-p.rush:
	default:
		close(p.rush)
	}
	p.mu.Unlock()
	<-made
}

func (p *spare) make(made, rush chan struct{}) {
	err := p.reserve()
	if err == nil {
		err = p.ensure(rush)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = spareReady
	if err != nil {
		p.state, p.err, p.at = spareFailed, fmt.Errorf("making the next segment: %w", err), time.Now()
	}
	close(made)
}

// ensure leaves a durable spare, the old one if it is whole.
func (p *spare) ensure(rush <-chan struct{}) error {
	ok, err := p.usable(rush)
	if ok || err != nil {
		return err
	}
	f, err := p.disk.Create(spareName + newSuffix)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := p.fill(f, rush); err != nil {
		if IsFull(err) {
			p.disk.Remove(spareName + newSuffix) // give the room back; what cannot be removed is overwritten later
		}
		return err
	}
	if err := p.disk.Rename(spareName+newSuffix, spareName); err != nil {
		return err
	}
	return p.disk.SyncDir(".")
}

// usable says whether the spare that is there has the right size and is all zeros.
func (p *spare) usable(rush <-chan struct{}) (bool, error) {
	f, err := p.disk.Open(spareName)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size != p.bytes {
		return false, err
	}
	for at := int64(0); at < size; at += sparePiece {
		to := min(at+sparePiece, size)
		if end, err := segment.Blank(f, at, to); err != nil || end != at {
			return false, err
		}
		pause(rush)
	}
	return true, nil
}

func (p *spare) fill(f File, rush <-chan struct{}) error {
	zeros := make([]byte, sparePiece)
	for at := int64(0); at < p.bytes; at += sparePiece {
		if _, err := f.WriteAt(zeros[:min(sparePiece, p.bytes-at)], at); err != nil {
			return err
		}
		if pause(rush) {
			continue
		}
		if err := f.Sync(); err != nil { // a little at a time, so that nobody's commit waits for all of it
			return err
		}
	}
	return f.Sync()
}

// pause lets others have the disk, unless somebody waits.
func pause(rush <-chan struct{}) (hurry bool) {
	select {
	case <-rush:
		return true
	case <-time.After(sparePause):
		return false
	}
}
