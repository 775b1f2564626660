package link

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// callTime bounds a call whose context has no deadline.
const callTime = 30 * time.Second

// Client calls one service. Its methods may be used by several goroutines at once.
type Client struct {
	socket string
	http   *http.Client
}

// Dial is a client of the service that listens at socket; no connection is made before the first call.
func Dial(socket string) *Client {
	var d net.Dialer
	return &Client{socket: socket, http: &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "unix", socket)
			},
			DisableCompression:     true,
			MaxIdleConns:           4,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("services do not redirect") },
	}}
}

// Socket is the path that the client calls.
func (c *Client) Socket() string { return c.socket }

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Get asks for path and reads the answer into the pointer out. An error of the service is an *Error; so is one of
// the way to it: Unavailable when it was not reached, Unknown when it was and the answer was lost.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, nil, out)
}

// Post sends in as JSON to path and reads the answer into the pointer out, which may be nil. Errors are those of Get.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("calling %s: %w", path, err)
	}
	return c.call(ctx, http.MethodPost, path, body, out)
}

func (c *Client) call(ctx context.Context, method, path string, body []byte, out any) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTime)
		defer cancel()
	}
	answer, err := c.open(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	text, err := io.ReadAll(io.LimitReader(answer, MaxBody+1))
	if err != nil {
		return lost(path, err)
	}
	if len(text) > MaxBody {
		return lost(path, errors.New("the answer is larger than 1 MiB"))
	}
	if out == nil {
		return nil
	}
	if err := Decode(text, out); err != nil {
		return lost(path, err)
	}
	return nil
}

// open sends a request and gives the body of a good answer.
func (c *Client) open(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	b, _, err := c.answer(ctx, method, path, body)
	return b, err
}

// answer is open with the answer's head.
func (c *Client) answer(ctx context.Context, method, path string, body []byte) (io.ReadCloser, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://service"+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("calling %s: %w", path, err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	a, err := c.http.Do(r)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return nil, nil, &Error{Kind: Unavailable, Text: "calling " + path + ": " + op.Err.Error()}
		}
		return nil, nil, lost(path, err)
	}
	if a.StatusCode == http.StatusOK {
		return a.Body, a.Header, nil
	}
	defer a.Body.Close()
	return nil, nil, refusal(path, a)
}

// refusal reads the error in an answer that is not a good one.
func refusal(path string, a *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(a.Body, 64<<10))
	var e Error
	if err == nil {
		err = Decode(text, &e)
	}
	if err == nil && e.Kind != "" {
		return &e
	}
	kind := Internal
	if a.StatusCode == http.StatusNotFound {
		kind = NotFound
	}
	return &Error{Kind: kind, Text: "calling " + path + ": " + a.Status}
}

func lost(path string, err error) error {
	return &lostError{&Error{Kind: Unknown, Text: "calling " + path + ": " + err.Error()}, err}
}

// lostError keeps the cause, so that errors.Is(err, context.Canceled) holds where it should.
type lostError struct {
	said  *Error
	cause error
}

func (e *lostError) Error() string   { return e.said.Error() }
func (e *lostError) Unwrap() []error { return []error{e.said, e.cause} }

// Bytes asks for path and gives the answer as it comes, with its head; the caller bounds what it reads, and closes it.
// ctx must last until then.
func (c *Client) Bytes(ctx context.Context, path string) (io.ReadCloser, http.Header, error) {
	return c.answer(ctx, http.MethodGet, path, nil)
}

// Stream asks for path and hands each line of the answer to fn until ctx ends, fn returns an error, or the server
// closes the stream; the last is no error. The line is fn's only during the call.
func (c *Client) Stream(ctx context.Context, path string, fn func(line json.RawMessage) error) error {
	answer, err := c.open(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	lines := bufio.NewScanner(answer)
	lines.Buffer(make([]byte, 0, 16<<10), MaxBody)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		if err := fn(lines.Bytes()); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := lines.Err(); err != nil {
		return lost(path, err)
	}
	return nil
}
