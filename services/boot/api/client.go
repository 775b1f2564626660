package api

import (
	"bufio"
	"context"
	"errors"
	"net"
	"time"
)

// Times of a call whose context has no deadline. An offer reads a whole slot.
const (
	callTime  = 30 * time.Second
	offerTime = 10 * time.Minute
)

// Client asks init. Its methods may be used by several goroutines at once; init answers one after the other.
type Client struct{ socket string }

// New is a client of the init that listens at socket: Socket, or any path in a test.
func New(socket string) *Client { return &Client{socket} }

// Status is how the slots are.
func (c *Client) Status(ctx context.Context) (Status, error) {
	a, err := c.ask(ctx, Request{Verb: VerbStatus}, callTime)
	if err != nil {
		return Status{}, err
	}
	if a.Status == nil {
		return Status{}, &Error{Unknown, "init answered without a status"}
	}
	return *a.Status, nil
}

// Clear empties the idle slot in the slot record, durably. It must come before the first byte is written into the
// slot. Conflict: it is the only committed one.
func (c *Client) Clear(ctx context.Context) error {
	_, err := c.ask(ctx, Request{Verb: VerbClear}, callTime)
	return err
}

// Offer has init check what lies in the idle slot as the next boot would, and put it on trial, durably. anew is a
// person's wish to try a release that failed here before, or one that is no newer than the running one. Refused says
// in words what keeps the next boot from verifying or from opening the data; Conflict, that the slot was not cleared
// or that the release failed here before.
func (c *Client) Offer(ctx context.Context, anew bool) error {
	_, err := c.ask(ctx, Request{Verb: VerbOffer, Anew: anew}, offerTime)
	return err
}

// Restart has init stop everything in order and restart; it returns when init has begun. reason goes into the journal;
// ReasonRecovery stops in recovery.
func (c *Client) Restart(ctx context.Context, reason string) error {
	_, err := c.ask(ctx, Request{Verb: VerbRestart, Reason: reason}, callTime)
	return err
}

func (c *Client) ask(ctx context.Context, r Request, limit time.Duration) (Answer, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	line, err := Line(r)
	if err != nil {
		return Answer{}, &Error{BadRequest, err.Error()}
	}
	if _, err := ParseRequest(line); err != nil {
		return Answer{}, &Error{BadRequest, err.Error()}
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.socket)
	if err != nil {
		return Answer{}, &Error{Unavailable, "asking init: " + err.Error()}
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	return exchange(conn, line)
}

func exchange(conn net.Conn, line []byte) (Answer, error) {
	// init may refuse a caller without listening to him: its answer counts, also when the request did not get through.
	_, wrote := conn.Write(line)
	got, err := ReadLine(conn)
	if err != nil {
		return Answer{}, &Error{Unknown, "asking init: " + errors.Join(wrote, err).Error()}
	}
	a, err := ParseAnswer(got)
	if err != nil {
		return Answer{}, &Error{Unknown, err.Error()}
	}
	if a.Error != nil {
		return Answer{}, a.Error
	}
	return a, nil
}

// ReadLine reads up to the first line feed, of MaxLine bytes at most.
func ReadLine(conn net.Conn) ([]byte, error) {
	line, err := bufio.NewReaderSize(conn, MaxLine).ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errors.New("a line that is too long")
	}
	return line, err
}
