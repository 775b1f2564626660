package link

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// aliveEvery bounds how often Alive writes, however often it is called.
const aliveEvery = time.Second

// Life is the line on which a service tells init that it is ready, and then that its main loop still turns.
//
// Alive belongs into the loop that does the work. Called by a ticker of its own it would say that a process exists,
// which init knows already.
type Life struct {
	mu    sync.Mutex // guards what follows
	fd    int        // -1: nobody listens
	ready bool
	last  time.Time // when something was last written
}

// OpenLife is the life line that init made for this process; where there is none (in a test), what is said on it is
// dropped.
func OpenLife() *Life { return openLife(lifeFile) }

func openLife(fd int) *Life {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return &Life{fd: -1}
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil { // a full pipe must not stop the service
		return &Life{fd: -1}
	}
	return &Life{fd: fd}
}

// Ready says, once, that the service can do its work.
func (l *Life) Ready() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ready {
		l.ready = true
		l.write("ready\n")
	}
}

// Alive says that the main loop turned. Call it at least every five seconds; it may be called as often as one likes.
func (l *Life) Alive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.last) >= aliveEvery {
		l.write("alive\n")
	}
}

// write drops what does not fit: init reads the line as long as it lives, and without init nothing matters.
func (l *Life) write(word string) {
	l.last = time.Now()
	if l.fd >= 0 {
		unix.Write(l.fd, []byte(word))
	}
}
