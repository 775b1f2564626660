// Package link is how a service is reached and how it reaches others: HTTP with JSON bodies over unix sockets.
//
// A peer is known by the credentials that the kernel gives for its socket, never by anything that it says. Bodies are
// read strictly and are bounded. The package is not a framework: routes, types and meaning belong to the services'
// own api packages. The rule that keeps it small: only what every service needs, to be called or to call, comes here.
//
// What init hands to each service it starts: file 3 is its listening socket, file 4 the write end of its life pipe.
package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/table"
)

// The files that init hands over.
const (
	listenerFile = 3
	lifeFile     = 4
)

// Bounds that hold for every service.
const (
	MaxBody = 1 << 20 // bytes of one request, one answer, or one line of a stream

	headerTime = 5 * time.Second  // to send a request's head
	bodyTime   = 10 * time.Second // to send a request's body, or to take one line of a stream
	graceTime  = 2 * time.Second  // for requests that are under way when the server is stopped
	maxConns   = 64               // open connections from one user
)

// Listener is the listening socket that init made for this process.
func Listener() (net.Listener, error) { return listenerAt(listenerFile) }

func listenerAt(fd int) (net.Listener, error) {
	on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return nil, fmt.Errorf("taking over the listening socket (file %d): %w", fd, err)
	}
	if on == 0 {
		return nil, fmt.Errorf("taking over the listening socket (file %d): not listening", fd)
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close() // FileListener works on a copy of its own
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("taking over the listening socket (file %d): %w", fd, err)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // init owns the path
	}
	return ln, nil
}

// Identify gives the name of the service that runs as uid, and "" for a stranger. table.T.NameOf is one.
type Identify func(uid uint32) (name string)

type callerKey struct{}

// Caller is the name of the service at the other end of the request's connection, "" for a stranger.
func Caller(r *http.Request) string {
	name, _ := r.Context().Value(callerKey{}).(string)
	return name
}

// Allow lets only those callers through that the table names for the service me. Everybody else is answered Denied.
func Allow(t table.T, me string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if who := Caller(r); !t.May(who, me) {
				if who == "" {
					who = "a stranger"
				}
				Refuse(w, Denied, fmt.Sprintf("%s may not call %s", who, me))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Run serves the routes h, on the socket that init made, to the callers that the table names for the service me, while
// work works. Each ends when the other does; the error is both's.
func Run(ctx context.Context, t table.T, me string, h http.Handler, work func(ctx context.Context) error) error {
	ln, err := Listener()
	if err != nil {
		return err
	}
	return serveWhile(ctx, ln, t.NameOf, Allow(t, me)(h), work)
}

func serveWhile(ctx context.Context, ln net.Listener, who Identify, h http.Handler, work func(ctx context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		defer stop()
		served <- Serve(ctx, ln, who, h)
	}()
	err := work(ctx)
	stop()
	return errors.Join(err, <-served)
}

// Serve answers requests on ln until ctx ends, then lets requests that are under way finish for a moment. It returns
// nil when ctx ended. It closes ln.
//
// A request's context stays alive for graceTime after ctx ended: a write that has begun may be completed. A handler
// that streams ends when its peer leaves, or at the end of that time.
func Serve(ctx context.Context, ln net.Listener, who Identify, h http.Handler) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			counted, ok := c.(*conn)
			if !ok {
				return ctx
			}
			return context.WithValue(ctx, callerKey{}, who(counted.uid))
		},
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(&listener{Listener: ln, open: map[uint32]int{}}) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	end, stop := context.WithTimeout(base, graceTime)
	defer stop()
	err := s.Shutdown(end)
	cancel()
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.Close()
	}
	if err != nil {
		return fmt.Errorf("stopping the server: %w", err)
	}
	return nil
}

// listener learns each peer's user from the kernel and bounds the number of connections that one user holds, so that
// one service that went wrong cannot take the callers' places of the others.
type listener struct {
	net.Listener
	mu   sync.Mutex     // guards open
	open map[uint32]int // connections by user
}

type conn struct {
	net.Conn
	uid  uint32
	once sync.Once
	done func()
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, err := peer(c)
		if err != nil || !l.enter(uid) {
			c.Close()
			continue
		}
		return &conn{Conn: c, uid: uid, done: func() { l.leave(uid) }}, nil
	}
}

func (l *listener) enter(uid uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[uid] >= maxConns {
		return false
	}
	l.open[uid]++
	return true
}

func (l *listener) leave(uid uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[uid]--; l.open[uid] == 0 {
		delete(l.open, uid)
	}
}

func (c *conn) Close() error {
	c.once.Do(c.done)
	return c.Conn.Close()
}

// NetConn is the socket itself, for a handler that hijacks the connection to pass a file over it.
func (c *conn) NetConn() net.Conn { return c.Conn }

// peer asks the kernel who opened the other end.
func peer(c net.Conn) (uid uint32, err error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return 0, errors.New("not a socket")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var callErr error
	if err := raw.Control(func(fd uintptr) {
		cred, callErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if callErr != nil {
		return 0, callErr
	}
	return cred.Uid, nil
}

// Hijack takes the connection out of the server's hands, for a handler that passes files over it. What the peer may
// already have sent behind its request is an error.
func Hijack(w http.ResponseWriter) (*net.UnixConn, error) {
	c, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("taking over the connection: %w", err)
	}
	counted, ok := c.(*conn)
	if !ok || buf.Reader.Buffered() > 0 {
		c.Close()
		return nil, errors.New("taking over the connection: not a plain unix socket request")
	}
	u, ok := counted.Conn.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("taking over the connection: not a unix socket")
	}
	if err := u.SetDeadline(time.Time{}); err != nil {
		c.Close()
		return nil, fmt.Errorf("taking over the connection: %w", err)
	}
	return u, nil
}
