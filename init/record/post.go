package record

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// ErrRefused: the journal will never take this event.
var ErrRefused = errors.New("the journal refused it")

// Journal appends to the journal that listens at a socket.
type Journal struct{ Socket string }

const maxAnswer = 1 << 20 // bytes of an answer that are looked at

// Append sends one request on a connection of its own and looks at the status of the answer; the proof in it is for
// others.
func (j Journal) Append(ctx context.Context, e Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", j.Socket)
	if err != nil {
		return fmt.Errorf("calling the journal: %w", err)
	}
	defer c.Close()
	if end, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(end); err != nil {
			return fmt.Errorf("calling the journal: %w", err)
		}
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	_, err = fmt.Fprintf(c, "POST /v1/append HTTP/1.1\r\nHost: service\r\nConnection: close\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if err != nil {
		return fmt.Errorf("calling the journal: %w", err)
	}
	return answer(c)
}

// answer reads the status and, when it is a refusal, its text (the last line of the answer).
func answer(r io.Reader) error {
	text, err := io.ReadAll(bufio.NewReader(io.LimitReader(r, maxAnswer)))
	if err != nil {
		return fmt.Errorf("reading the journal's answer: %w", err)
	}
	head, _, ok := strings.Cut(string(text), "\r\n")
	version, rest, _ := strings.Cut(head, " ")
	number, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(number)
	if !ok || err != nil || !strings.HasPrefix(version, "HTTP/1.") {
		return fmt.Errorf("reading the journal's answer: %.40q is no status", head)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	switch status {
	case 200:
		return nil
	case 400, 403:
		return fmt.Errorf("%w: %.200s", ErrRefused, lines[len(lines)-1])
	}
	return fmt.Errorf("the journal answers %d", status)
}
