// Package qmp speaks QEMU's monitor protocol, as far as the bench drives a
// machine with it: pictures of the screen, pointer events, devices that come
// and go, snapshots, the end.
//
// It is not a general client: no events are kept, one command runs at a time.
//
// The rule that keeps it small: a method is added when a test needs it.
package qmp

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"
)

// Client is one monitor connection. It is safe for use by several goroutines.
type Client struct {
	mu   sync.Mutex // one command at a time
	conn net.Conn
	in   *bufio.Reader
}

// Dial waits up to timeout for the monitor at the unix socket path and
// negotiates with it.
func Dial(path string, timeout time.Duration) (*Client, error) {
	end := time.Now().Add(timeout)
	for {
		conn, err := net.Dial("unix", path)
		if err == nil {
			c := &Client{conn: conn, in: bufio.NewReader(conn)}
			if _, err := c.in.ReadBytes('\n'); err != nil { // the greeting
				return nil, fmt.Errorf("reading qmp greeting: %w", err)
			}
			return c, c.Do("qmp_capabilities", nil, nil)
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("reaching the machine's monitor: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Close ends the connection; the machine goes on.
func (c *Client) Close() error { return c.conn.Close() }

// Do runs one command with its arguments and stores what it returns in out.
func (c *Client) Do(command string, args, out any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	msg := map[string]any{"execute": command}
	if args != nil {
		msg["arguments"] = args
	}
	b, err := json.Marshal(msg)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", command, err)
	}
	c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := c.conn.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("sending %s: %w", command, err)
	}
	for {
		line, err := c.in.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("reading answer to %s: %w", command, err)
		}
		var r struct {
			Return json.RawMessage
			Error  *struct{ Class, Desc string }
			Event  string
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("reading answer to %s: %w", command, err)
		}
		switch {
		case r.Event != "":
			continue
		case r.Error != nil:
			return fmt.Errorf("%s: %s", command, r.Error.Desc)
		case out != nil:
			return json.Unmarshal(r.Return, out)
		}
		return nil
	}
}

// Screendump writes what the first display shows to a PPM file: QEMU packs
// nothing, so the machine loses little time by it.
func (c *Client) Screendump(path string) error {
	return c.Do("screendump", map[string]string{"filename": path, "format": "ppm"}, nil)
}

type event struct {
	Type string `json:"type"`
	Data any    `json:"data"`
}

func axis(name string, v int) event {
	return event{"abs", map[string]any{"axis": name, "value": v}}
}

func button(down bool) event {
	return event{"btn", map[string]any{"button": "left", "down": down}}
}

// Pointer moves the absolute pointer, x and y in 0…32767, and presses or
// releases it.
func (c *Client) Pointer(x, y int, down bool) error {
	return c.Do("input-send-event", map[string]any{"events": []event{axis("x", x), axis("y", y), button(down)}}, nil)
}

// Monitor runs a command of the human monitor and returns what it prints.
func (c *Client) Monitor(line string) (string, error) {
	var out string
	err := c.Do("human-monitor-command", map[string]string{"command-line": line}, &out)
	return out, err
}
