package api

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
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/link"
)

// Protocol is the word of the Upgrade header of a claim. After the answer 101
// the server sends one line of JSON (a Handed) and, with it, one open file; the
// connection then stays silent and open for as long as the claim holds.
const Protocol = "choba-claim"

// maxAnswer bounds what a claim reads before the file is there.
const maxAnswer = 16 << 10

// Client calls the port guard.
type Client struct {
	socket string
	calls  *link.Client
}

// New returns a client of the guard behind a unix socket.
func New(socket string) *Client {
	return &Client{socket: socket, calls: link.Dial(socket)}
}

// Devices lists every device that the guard sees, with its state and reason.
func (c *Client) Devices(ctx context.Context) ([]Device, error) {
	var out []Device
	if err := c.calls.Get(ctx, "/v1/devices", &out); err != nil {
		return nil, fmt.Errorf("listing devices: %w", err)
	}
	return out, nil
}

// Claim waits until a device with the role is there and returns it. It returns
// early when ctx ends, when the caller may not have the role, or when the guard
// ends; the claim itself lives on after ctx has ended, until Release.
func (c *Client) Claim(ctx context.Context, role string) (*Handed, error) {
	h, err := c.claim(ctx, role)
	if err != nil {
		return nil, fmt.Errorf("claiming the %s: %w", role, err)
	}
	return h, nil
}

func (c *Client) claim(ctx context.Context, role string) (*Handed, error) {
	var d net.Dialer
	dialled, err := d.DialContext(ctx, "unix", c.socket)
	if err != nil {
		return nil, err
	}
	conn := dialled.(*net.UnixConn)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	h, err := ask(conn, role)
	if !stop() && err == nil {
		h.Release()
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return h, nil
}

// ask sends the request and reads the answer and its file.
func ask(conn *net.UnixConn, role string) (*Handed, error) {
	body, err := json.Marshal(ClaimRequest{Role: role})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, "http://ports/v1/claim", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", Protocol)
	if err := req.Write(conn); err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	a := answer{conn: conn}
	h, err := a.read(req)
	if err != nil {
		a.closeFiles()
		return nil, err
	}
	h.watch(conn)
	return h, nil
}

// watch closes Gone when the connection ends, from either side.
func (h *Handed) watch(conn *net.UnixConn) {
	gone := make(chan struct{})
	var once sync.Once
	h.Gone = gone
	h.release = func() { once.Do(func() { _ = conn.Close() }) }
	go func() {
		defer close(gone)
		defer h.release()
		_, _ = io.Copy(io.Discard, conn)
	}()
}

// answer reads bytes and files together. Every read takes control messages,
// because a plain read over a message that carries a file drops the file.
type answer struct {
	conn *net.UnixConn
	got  []byte
	fds  []int
}

func (a *answer) read(req *http.Request) (*Handed, error) {
	for {
		if h, done, err := a.parse(req); done || err != nil {
			return h, err
		}
		if err := a.more(); err != nil {
			if errors.Is(err, io.EOF) {
				return a.refused(req)
			}
			return nil, err
		}
	}
}

func (a *answer) more() error {
	if len(a.got) >= maxAnswer {
		return fmt.Errorf("reading the answer: longer than %d bytes", maxAnswer)
	}
	buf := make([]byte, 4096)
	oob := make([]byte, unix.CmsgSpace(4*4))
	n, oobn, _, _, err := a.conn.ReadMsgUnix(buf, oob)
	if oobn > 0 {
		if err := a.take(oob[:oobn]); err != nil {
			return err
		}
	}
	if err != nil { // n is -1 then
		return fmt.Errorf("reading the answer: %w", err)
	}
	a.got = append(a.got, buf[:n]...)
	if n == 0 {
		return fmt.Errorf("reading the answer: %w", io.EOF)
	}
	return nil
}

func (a *answer) take(oob []byte) error {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("reading control message: %w", err)
	}
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
		}
		a.fds = append(a.fds, fds...)
	}
	return nil
}

// parse returns done=false while the answer is not complete.
func (a *answer) parse(req *http.Request) (h *Handed, done bool, err error) {
	if !bytes.Contains(a.got, []byte("\r\n\r\n")) {
		return nil, false, nil
	}
	r := bufio.NewReader(bytes.NewReader(a.got))
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, false, fmt.Errorf("reading the answer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, false, nil // more to come; the end of the stream ends it
		}
		return nil, true, refusal(resp.StatusCode, text)
	}
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, false, nil
	}
	return a.handed(line)
}

func (a *answer) handed(line []byte) (*Handed, bool, error) {
	if len(a.fds) != 1 {
		return nil, false, fmt.Errorf("reading the answer: %d files came with it, want 1", len(a.fds))
	}
	h := new(Handed)
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(h); err != nil {
		return nil, false, fmt.Errorf("reading the answer: %w", err)
	}
	fd := a.fds[0]
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, false, fmt.Errorf("setting up the file: %w", err)
	}
	a.fds = nil
	h.File = os.NewFile(uintptr(fd), h.Role)
	return h, true, nil
}

// refused is the answer that ended before it was whole.
func (a *answer) refused(req *http.Request) (*Handed, error) {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(a.got)), req)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", io.ErrUnexpectedEOF)
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(resp.Body)
	return nil, refusal(resp.StatusCode, text)
}

func (a *answer) closeFiles() {
	for _, fd := range a.fds {
		_ = unix.Close(fd)
	}
	a.fds = nil
}

// refusal turns an error answer into the error that link's client would return.
func refusal(status int, text []byte) error {
	var e link.Error
	if err := json.Unmarshal(text, &e); err != nil || e.Text == "" {
		return fmt.Errorf("the guard answered %d", status)
	}
	return &e
}
