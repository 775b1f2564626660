package fetch

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// contentRange reads "bytes FIRST-LAST/TOTAL"; total is -1 for "*".
func contentRange(text string) (first, last, total int64, ok bool) {
	rest, ok := strings.CutPrefix(text, "bytes ")
	if !ok {
		return 0, 0, 0, false
	}
	part, whole, ok := strings.Cut(rest, "/")
	a, b, dash := strings.Cut(part, "-")
	if !ok || !dash {
		return 0, 0, 0, false
	}
	first, ok1 := number(a)
	last, ok2 := number(b)
	total, ok3 := int64(-1), true
	if whole != "*" {
		total, ok3 = number(whole)
	}
	return first, last, total, ok1 && ok2 && ok3 && first <= last && (total < 0 || last < total)
}

func number(text string) (int64, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// isPath says whether path names something inside a folder and nothing else: plain words between single slashes.
func isPath(path string) bool {
	if path == "" || len(path) > 512 {
		return false
	}
	for _, word := range strings.Split(path, "/") {
		if word == "" || word[0] == '.' || strings.IndexFunc(word, odd) >= 0 {
			return false
		}
	}
	return true
}

func odd(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_')
}

// watched is a body that ends with an error when a reader waits for it too long.
type watched struct {
	body   io.ReadCloser
	timer  *time.Timer
	silent time.Duration
	cancel context.CancelFunc
}

func watch(body io.ReadCloser, silent time.Duration, cancel context.CancelFunc) *watched {
	w := &watched{body: body, timer: time.AfterFunc(silent, cancel), silent: silent, cancel: cancel}
	w.timer.Stop()
	return w
}

func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.silent) // between two readings it stands still: the reader may be busy with a disk, or with a sale
	n, err := w.body.Read(p)
	if stopped := w.timer.Stop(); !stopped && err != nil && err != io.EOF {
		return n, fmt.Errorf("%w: silent for %v", ErrUnreachable, w.silent)
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return n, err
}

func (w *watched) Close() error {
	w.timer.Stop()
	w.cancel()
	return w.body.Close()
}
