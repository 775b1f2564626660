// Package desk is where the update service asks init: it reads one request from each connection to /run/choba/init.sock,
// has it done, and answers in one line.
//
// It is not a server for others and knows nothing of slots or of restarting; Slots does what is asked. It believes
// nobody but the kernel, which says who the peer is, and nothing of a request but its verb.
//
// The rule that keeps it small: one connection, one line each way, one after the other; whatever is slow, too long or
// from somebody else is over.
package desk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	bootapi "github.com/choba-os/choba/services/boot/api"
)

// Slots does what is asked. An error that is no *bootapi.Error is the register's own fault; its text goes to the caller
// as well: there is one caller, and it writes it into the journal.
type Slots interface {
	Status() (bootapi.Status, error)
	Clear() error
	// Offer may take minutes. It ends early when ctx does: the caller has left.
	Offer(ctx context.Context, anew bool) error
	// Restart returns when it was noted; what follows ends this server too.
	Restart(reason string) error
}

// Times of one request.
const (
	readTime  = 5 * time.Second
	writeTime = 5 * time.Second
	doTime    = 10 * time.Minute
)

// Server answers one user.
type Server struct {
	UID   uint32 // whose requests are done
	Slots Slots
	Say   func(string) // for the console: what was asked and what was refused
}

// Listen makes the socket. Anybody on the register may connect: who it is, the kernel says.
func Listen(path string) (*net.UnixListener, error) {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening for the update service: %w", err)
	}
	ln.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(fmt.Errorf("listening for the update service: %w", err), ln.Close())
	}
	return ln, nil
}

// Run answers, one after the other, until ctx ends.
func (s Server) Run(ctx context.Context, ln *net.UnixListener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for {
		conn, err := ln.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("listening for the update service: %w", err)
		}
		s.serve(ctx, conn)
		conn.Close()
	}
}

func (s Server) serve(ctx context.Context, conn *net.UnixConn) {
	uid, err := peer(conn)
	if err != nil || uid != s.UID {
		s.Say(fmt.Sprintf("user %d may not ask for the slots (%v)", uid, err))
		s.answer(conn, refusal(&bootapi.Error{Kind: bootapi.Denied, Text: "only the update service may ask"}))
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(readTime))
	line, err := bootapi.ReadLine(conn)
	if err != nil {
		s.answer(conn, refusal(&bootapi.Error{Kind: bootapi.BadRequest, Text: "reading the request: " + err.Error()}))
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithTimeout(ctx, doTime)
	defer cancel()
	go func() { // nothing more is to come: what comes is the end
		_, _ = conn.Read(make([]byte, 1))
		cancel()
	}()
	s.answer(conn, s.do(ctx, line))
}

// peer is the user at the other end.
func peer(conn *net.UnixConn) (uid uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); cerr != nil {
		return 0, cerr
	}
	if err != nil {
		return 0, err
	}
	return cred.Uid, nil
}

// do has a request done and gives the answer.
func (s Server) do(ctx context.Context, line []byte) bootapi.Answer {
	r, err := bootapi.ParseRequest(line)
	if err != nil {
		return refusal(&bootapi.Error{Kind: bootapi.BadRequest, Text: err.Error()})
	}
	var a bootapi.Answer
	switch r.Verb {
	case bootapi.VerbStatus:
		var st bootapi.Status
		if st, err = s.Slots.Status(); err == nil {
			a.Status = &st
		}
	case bootapi.VerbClear:
		err = s.Slots.Clear()
	case bootapi.VerbOffer:
		err = s.Slots.Offer(ctx, r.Anew)
	case bootapi.VerbRestart:
		err = s.Slots.Restart(r.Reason)
	}
	if err != nil {
		s.Say(r.Verb + ": " + err.Error())
		return refusal(err)
	}
	return a
}

func refusal(err error) bootapi.Answer {
	var e *bootapi.Error
	if errors.As(err, &e) {
		return bootapi.Answer{Error: e}
	}
	return bootapi.Answer{Error: &bootapi.Error{Kind: bootapi.Internal, Text: err.Error()}}
}

func (s Server) answer(conn *net.UnixConn, a bootapi.Answer) {
	line, err := bootapi.Line(a)
	if err != nil {
		line, err = bootapi.Line(refusal(err))
	}
	_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
	if err == nil {
		_, err = conn.Write(line)
	}
	if err != nil {
		s.Say("answering the update service: " + err.Error())
	}
}
