// Package api is how update reads a memory stick: what is plugged in, and the files of a repository folder on it.
//
// It is not the stick and believes nothing: what it hands out is as untrusted as what a web server sends, and is proven
// by whoever asked. The rule that keeps it small: the two questions, their words, and their client.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/services/link"
)

// State is what is plugged in. The zero State is "nothing".
type State struct {
	// Present: a stick is there whose files can be asked for.
	Present bool `json:"present"`
	// Device names the unit as the journal does ("0781:5581 1-3"); empty without one.
	Device string `json:"device"`
	// Text and TextEn say in plain words what is there, or what is wrong with it; empty without a stick.
	Text   string `json:"text"`
	TextEn string `json:"textEn"`
}

// SizeHeader is the whole file's size in bytes, in the answer to GET /v1/file.
const SizeHeader = "X-Size"

// Client reads the stick. It is a source.Fetcher.
type Client struct{ calls *link.Client }

// New returns a client of the stick service behind a unix socket.
func New(socket string) *Client { return &Client{calls: link.Dial(socket)} }

// Watch calls fn with the state now and then with every change, until ctx ends, the service ends, or fn fails.
func (c *Client) Watch(ctx context.Context, fn func(State) error) error {
	return c.calls.Stream(ctx, "/v1/state", func(line json.RawMessage) error {
		var s State
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&s); err != nil {
			return fmt.Errorf("reading the stick's state: %w", err)
		}
		return fn(s)
	})
}

// File returns a whole file of at most limit bytes. Errors wrap source.ErrMissing and source.ErrTooLarge; without a
// stick they are of kind link.Unavailable.
func (c *Client) File(ctx context.Context, path string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, size, err := c.open(ctx, path, 0, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if size > limit {
		return nil, fmt.Errorf("reading %s from the stick: %w: %d bytes, at most %d", path, source.ErrTooLarge, size, limit)
	}
	data, err := io.ReadAll(&exactly{r: body, left: size})
	if err != nil {
		return nil, fmt.Errorf("reading %s from the stick: %w", path, err)
	}
	return data, nil
}

// Range returns n bytes of a file from an offset. The reader ends with io.ErrUnexpectedEOF when the stick is pulled out
// before all of them came. ctx must last until it is closed.
func (c *Client) Range(ctx context.Context, path string, from, n int64) (io.ReadCloser, error) {
	if from < 0 || n < 0 {
		return nil, fmt.Errorf("reading %s from the stick: %d bytes from %d", path, n, from)
	}
	if n == 0 {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	body, _, err := c.open(ctx, path, from, n)
	if err != nil {
		return nil, err
	}
	return &exactly{r: body, left: n, closer: body}, nil
}

func (c *Client) open(ctx context.Context, path string, from, n int64) (io.ReadCloser, int64, error) {
	q := url.Values{"path": {path}, "from": {strconv.FormatInt(from, 10)}, "n": {strconv.FormatInt(n, 10)}}
	body, head, err := c.calls.Bytes(ctx, "/v1/file?"+q.Encode())
	if link.KindOf(err) == link.NotFound {
		err = fmt.Errorf("%w: %w", source.ErrMissing, err)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading %s from the stick: %w", path, err)
	}
	size, err := strconv.ParseInt(head.Get(SizeHeader), 10, 64)
	if err != nil || size < 0 {
		return nil, 0, errors.Join(fmt.Errorf("reading %s from the stick: size %q", path, head.Get(SizeHeader)), body.Close())
	}
	return body, size, nil
}

// exactly gives as many bytes as were promised: fewer are an error, more are left.
type exactly struct {
	r      io.Reader
	left   int64
	closer io.Closer
}

func (e *exactly) Read(b []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(b[:min(int64(len(b)), e.left)])
	e.left -= int64(n)
	if errors.Is(err, io.EOF) && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (e *exactly) Close() error { return e.closer.Close() }
