// Package audit reads from the kernel which programs it refused to execute (IPE's records) so that init can have them
// in the journal.
//
// It is not an audit daemon: it sets no rules, keeps no log, and looks at one type of record. The rule that keeps it
// small: one pure parser and one bounded reader.
package audit

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// recordIPE is AUDIT_IPE_ACCESS (include/uapi/linux/audit.h).
const recordIPE = 1420

// Refusal is an execution that the kernel refused. Times and texts are the kernel's.
type Refusal struct {
	Op      string `json:"op"`      // EXECUTE, …
	Hook    string `json:"hook"`    // BPRM_CHECK (a program), MMAP, MPROTECT (memory), …
	PID     int    `json:"pid"`     //
	Process string `json:"process"` // the process's name for itself
	Path    string `json:"path"`    // of the file; "?" for memory that is no file
	Device  string `json:"device"`  // file system or block device the file lies on
	Rule    string `json:"rule"`    // the line of the policy
	// More counts further refusals that were not reported one by one, to bound what an attacker can make us write.
	More int `json:"more,omitempty"`
}

// JSON is the refusal as the content of an event.
func (r Refusal) JSON() json.RawMessage {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return text
}

// Parse reads the text of a record: "audit(…): key=value key="value" …". A path with odd characters comes as hex
// digits without quotes.
func Parse(text string) (Refusal, error) {
	if len(text) > maxRecord {
		return Refusal{}, errors.New("reading an audit record: it is too long")
	}
	_, body, ok := strings.Cut(strings.TrimRight(text, "\x00\n"), "): ")
	if !ok || !strings.HasPrefix(text, "audit(") {
		return Refusal{}, errors.New("reading an audit record: no head")
	}
	fields, err := split(body)
	if err != nil {
		return Refusal{}, err
	}
	r := Refusal{Op: fields["ipe_op"], Hook: fields["ipe_hook"], Process: fields["comm"], Path: fields["path"],
		Device: fields["dev"], Rule: fields["rule"]}
	if r.Op == "" {
		return Refusal{}, errors.New("reading an audit record: no ipe_op")
	}
	if r.PID, err = strconv.Atoi(fields["pid"]); err != nil || r.PID < 0 {
		return Refusal{}, fmt.Errorf("reading an audit record: pid %q", fields["pid"])
	}
	return r, nil
}

const maxRecord = 9000 // MAX_AUDIT_MESSAGE_LENGTH and its head

// split takes key=value pairs apart; a value may be quoted and may then hold blanks.
func split(body string) (map[string]string, error) {
	fields := map[string]string{}
	for body = strings.TrimLeft(body, " "); body != ""; body = strings.TrimLeft(body, " ") {
		key, rest, ok := strings.Cut(body, "=")
		if !ok || key == "" || strings.ContainsAny(key, " \"") {
			return nil, fmt.Errorf("reading an audit record: %.40q is no field", body)
		}
		var value string
		if quoted, is := strings.CutPrefix(rest, `"`); is {
			if value, body, ok = strings.Cut(quoted, `"`); !ok {
				return nil, fmt.Errorf("reading an audit record: %s is not closed", key)
			}
		} else {
			value, body, _ = strings.Cut(rest, " ")
			if key == "path" || key == "comm" {
				value = unhex(value)
			}
		}
		if _, twice := fields[key]; !twice {
			fields[key] = printable(value)
		}
	}
	return fields, nil
}

// unhex undoes the kernel's writing of odd names as hex digits.
func unhex(s string) string {
	if raw, err := hex.DecodeString(s); err == nil && len(raw) > 0 {
		return string(raw)
	}
	return s
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// Bounds on what is reported: a burst, and then a count in every period.
const (
	burst  = 20
	period = 10 * time.Second
)

// limiter bounds refusals; it is a value of its own so that time can be handed in.
type limiter struct {
	since time.Time
	seen  int
	more  int
	last  Refusal
}

// admit says whether r is reported now. At the end of a period the last one left out is reported with the count.
func (l *limiter) admit(r Refusal, now time.Time) (out []Refusal) {
	out = l.flush(now)
	if l.seen++; l.seen <= burst {
		return append(out, r)
	}
	l.more++
	l.last = r
	return out
}

// flush gives what was held back, once the period is over.
func (l *limiter) flush(now time.Time) (out []Refusal) {
	if now.Sub(l.since) < period {
		return nil
	}
	if l.more > 0 {
		l.last.More = l.more - 1
		out = append(out, l.last)
	}
	l.since, l.seen, l.more = now, 0, 0
	return out
}

// Reader listens to the kernel.
type Reader struct{ fd int }

// Listen joins those who may read audit records (CAP_AUDIT_READ); it takes nobody's place and changes no setting.
func Listen() (*Reader, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_AUDIT)
	if err != nil {
		return nil, fmt.Errorf("listening for refusals: %w", err)
	}
	const readLog = 1 << (1 - 1) // AUDIT_NLGRP_READLOG
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: readLog}); err != nil {
		return nil, errors.Join(fmt.Errorf("listening for refusals: %w", err), unix.Close(fd))
	}
	return &Reader{fd: fd}, nil
}

// Run gives report each refusal, within the bounds, until ctx ends.
func (r *Reader) Run(ctx context.Context, report func(Refusal)) error {
	defer unix.Close(r.fd)
	var l limiter
	buf := make([]byte, maxRecord+unix.SizeofNlMsghdr)
	for ctx.Err() == nil {
		const second = 1000
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}}, second); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("listening for refusals: %w", err)
		}
		n, from, err := unix.Recvfrom(r.fd, buf, unix.MSG_DONTWAIT)
		now := time.Now()
		for _, held := range l.flush(now) {
			report(held)
		}
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOBUFS) {
			continue
		}
		if err != nil {
			return fmt.Errorf("listening for refusals: %w", err)
		}
		if k, ok := from.(*unix.SockaddrNetlink); !ok || k.Pid != 0 {
			continue // not the kernel
		}
		if text, ok := message(buf[:n]); ok {
			if refusal, err := Parse(text); err == nil {
				for _, out := range l.admit(refusal, now) {
					report(out)
				}
			}
		}
	}
	return nil
}

// message takes the text out of a netlink message of IPE's type.
func message(b []byte) (string, bool) {
	if len(b) < unix.SizeofNlMsghdr || uint16(b[4])|uint16(b[5])<<8 != recordIPE {
		return "", false
	}
	return string(b[unix.SizeofNlMsghdr:]), true
}
